# Every target sets itself up. Nothing is installed outside this folder but the system's bubblewrap,
# and that only where the wheel's own copy does not run and the system's package manager is ours to use.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
JOBS   ?= 4

.PHONY: help setup demo test test-agents test-api test-browser test-channels check sim bench lock clean
help:            ## This list.
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(READY): requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/lazarus doctor --fix-bubblewrap
	touch $@

setup: $(READY)  ## Virtual environment, locked dependencies, bubblewrap.

demo: setup      ## Watch two real agents die and come back.
	$(BIN)/lazarus demo

test: setup      ## The quick suite, as this user and (for root, in part) as an ordinary one.
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

test-user: setup ## As root: what holds under root holds for an ordinary user too.
	$(BIN)/python -m pytest -n $(JOBS) tests/ordinary $(ARGS)

test-agents: setup ## Eight agent programs in real cells, against a model on loopback (installs two gigabytes from npm and PyPI).
	@command -v npm >/dev/null || { echo "test-agents: no npm here" >&2; exit 1; }
	@folder=$${LAZARUS_AGENTS:-$$(mktemp -d)} && { [ -n "$$LAZARUS_AGENTS" ] || trap 'rm -rf "$$folder"' EXIT; } && \
	npm install --loglevel=error --no-save --prefix "$$folder" @copilotkit/aimock@1.43.0 @anthropic-ai/claude-code@2.1.197 \
	  @openai/codex@0.171.0 opencode-ai@1.18.33 @earendil-works/pi-coding-agent@0.74.2 @google/gemini-cli@0.61.0 @qwen-code/qwen-code@0.15.10 @modelcontextprotocol/inspector@0.15.0 >/dev/null && \
	$(PYTHON) -m venv "$$folder/python" && "$$folder/python/bin/pip" install --quiet --disable-pip-version-check \
	  aider-chat==0.86.2 mini-swe-agent==2.4.6 && \
	LAZARUS_AGENTS=$$folder $(BIN)/python -m pytest -n $(JOBS) tests/agents $(ARGS)

test-browser: setup ## The page in a real headless Chromium, and axe-core on it.
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } || \
	  { echo "test-browser: no chromium here, and only root can install it" >&2; exit 1; }
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && axe= && \
	if command -v npm >/dev/null; then npm install --loglevel=error --no-save --prefix "$$folder" axe-core@4.14.1 ws@8.23.0 \
	  >/dev/null && axe=$$folder/node_modules/axe-core/axe.min.js; fi && \
	NODE_PATH=$$folder/node_modules LAZARUS_AXE=$$axe $(BIN)/python -m pytest tests/browser $(ARGS)

test-api: setup  ## The HTTP API against its own document, at length.
	LAZARUS_API_EXAMPLES=200 $(BIN)/python -m pytest -n $(JOBS) tests/integration/test_openapi.py $(ARGS)

test-channels: setup ## The ways to people, held to other people's documents and programs.
	@command -v npm >/dev/null || { echo "test-channels: no npm here" >&2; exit 1; }
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && npm install --loglevel=error --no-save \
	  --prefix "$$folder" @stoplight/prism-cli@5.14.2 nostr-tools@2.25.2 ws@8.23.0 telegram-test-api@4.2.1 >/dev/null && \
	LAZARUS_NODE_MODULES=$$folder/node_modules $(BIN)/python -m pytest tests/channels $(ARGS)

check: setup     ## Format, lint, types, import rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

sim: setup       ## Thousands of simulated fleets, and every mutant of the core.
	$(BIN)/lazarus simulate --seeds 2000
	$(BIN)/python tests/simulation/mutants.py

bench: setup     ## Every figure the documents claim.
	$(BIN)/python bench/run.py

lock: setup      ## Compile the lock files anew (hashes only, no addresses).
	$(BIN)/python -m pip install --quiet pip-tools
	cd requirements && for f in runtime dev; do ../$(BIN)/pip-compile --quiet --strip-extras --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --allow-unsafe -o $$f.lock $$f.in; done

clean:           ## Forget the virtual environment.
	rm -rf $(VENV)
