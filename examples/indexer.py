"""An agent that keeps the index of a field guide that somebody else is writing.

It remembers nothing: the index it finds in the repository says how far it had come.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from repository import Repository

from lazarus_pit.beat import Heart

INDEX = "INDEX.md"


def entry(path: Path) -> str:
    """Return a chapter's line of the index: its title and number of words."""
    text = path.read_text()
    title = text.splitlines()[0].removeprefix("# ")
    return f"- {title} ({len(text.split())} words, chapters/{path.name})"


def main() -> None:
    """Index what is new, again and again."""
    pace = float(os.environ.get("PACE", "0.5"))
    generation = os.environ.get("LAZARUS_GENERATION", "0")
    heart = Heart()
    repository = Repository(Path("guide"), "indexer")
    index = repository.top / INDEX
    heart.beat(status="reading what is there", cycle=0)
    while True:
        with repository.turn(heart.beat):
            entries = [entry(repository.top / path) for path in repository.committed("chapters")]
            before = index.read_text().count("\n- ") if index.exists() else 0
            if len(entries) > before:
                temporary = index.with_suffix(".tmp")
                temporary.write_text("\n".join(["# Index", "", *entries]) + "\n")
                temporary.rename(index)
                message = (
                    f"Index {len(entries)} chapters\n\nAgent: indexer\nGeneration: {generation}"
                )
                repository.commit([INDEX], message)
                print(f"generation {generation}: indexed {len(entries)} chapters", flush=True)
        heart.beat(status=f"{len(entries)} chapters indexed", cycle=len(entries))
        time.sleep(pace)


if __name__ == "__main__":
    main()
