"""A real headless Chromium, driven over its DevTools protocol (chromedevtools.github.io)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

PATIENCE = 60.0
"""Seconds after which a test gives up; never how long something should take."""
_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")


def program() -> str | None:
    """Return where Chromium is, if it is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """One browser with a profile of its own; it and all its processes end with the block."""

    def __init__(self, profile: Path) -> None:
        found = program()
        assert found, "no chromium here: `make test-browser` installs it"
        argv = [found, "--headless=new", "--remote-debugging-port=0", "--no-first-run"]
        argv += [f"--user-data-dir={profile}", "--disable-gpu", "--disable-dev-shm-usage"]
        argv += ["--disable-background-networking", "--disable-component-update"]
        argv += ["--no-sandbox"] * (os.getuid() == 0)  # Chromium's own refuses to run as root.
        self._said = (profile.parent / "chromium.log").open("w+b")
        self._process = subprocess.Popen(
            [*argv, "about:blank"], stdout=self._said, stderr=self._said, start_new_session=True
        )
        self._wire = _Wire(self._address())
        self._contexts: list[str] = []

    def _address(self) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := _LISTENING.search(Path(self._said.name).read_bytes()):
                return found[1].decode()
            time.sleep(0.05)
        raise AssertionError(Path(self._said.name).read_text(errors="replace")[-3000:])

    def page(self, url: str = "about:blank") -> Page:
        """Open a tab in a browsing context of its own: storage is not shared with others."""
        context = self._wire.ask("Target.createBrowserContext")["browserContextId"]
        self._contexts.append(context)
        wanted = {"url": "about:blank", "browserContextId": context}
        target = self._wire.ask("Target.createTarget", **wanted)["targetId"]
        attached = {"targetId": target, "flatten": True}
        page = Page(self._wire, self._wire.ask("Target.attachToTarget", **attached)["sessionId"])
        page.go(url)
        return page

    def close_pages(self) -> None:
        """Close every tab that was opened, and forget what they stored."""
        while self._contexts:
            context = self._contexts.pop()
            self._wire.ask("Target.disposeBrowserContext", browserContextId=context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self._wire.ask("Browser.close")
        self._wire.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # It leads the group of its own.
            self._process.wait()
        self._said.close()


class _Wire:
    """One connection: commands and their answers; events are kept by their session."""

    def __init__(self, address: str) -> None:
        self._open = contextlib.ExitStack()
        wanted = connect(address, max_size=None, compression=None, proxy=None, ping_interval=None)
        self._socket: ClientConnection = self._open.enter_context(wanted)
        self._count = 0
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self._count += 1
        mine = self._count
        command: dict[str, Any] = {"id": mine, "method": method, "params": params}
        if session:
            command["sessionId"] = session
        self._socket.send(json.dumps(command))
        while True:
            said: dict[str, Any] = json.loads(self._socket.recv(PATIENCE))
            if "id" not in said:
                self.events.append(said)
            elif said["id"] == mine:
                assert "error" not in said, f"{method}: {said['error']}"
                result: dict[str, Any] = said["result"]
                return result

    def close(self) -> None:
        self._open.close()


class Page:
    """One tab, and what people do in it."""

    def __init__(self, wire: _Wire, session: str) -> None:
        self._wire = wire
        self._session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.cdp(f"{domain}.enable")

    def cdp(self, method: str, **params: Any) -> dict[str, Any]:
        return self._wire.ask(method, self._session, **params)

    def go(self, url: str) -> None:
        self.cdp("Page.navigate", url=url)

    # ------------------------------------------------------------ what it shows

    def js(self, expression: str) -> Any:
        """Evaluate, waiting for a promise, and return the plain value."""
        wanted = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        said = self.cdp("Runtime.evaluate", **wanted)
        if "exceptionDetails" in said:
            raise AssertionError(said["exceptionDetails"])
        return said["result"].get("value")

    def wait(self, expression: str, what: str = "") -> Any:
        """Wait until an expression is true, looking at every frame the browser draws."""
        deadline = time.monotonic() + PATIENCE
        look = f"""new Promise((resolve) => {{
            const until = performance.now() + 1000;
            const look = () => {{
                let found = null;
                try {{ found = {expression}; }} catch {{ found = null; }}
                if (found instanceof Node) resolve(true);
                else if (found || performance.now() > until) resolve(found);
                else setTimeout(look, 25);
            }};
            look();
        }})"""
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):  # A page that is just being left.
                if found := self.js(look):
                    return found
        text = self.js("document.body.innerText")
        raise AssertionError(f"never seen: {what or expression}\n{text}\n{self.complaints()}")

    def text(self, selector: str) -> str:
        return str(self.js(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def complaints(self) -> list[str]:
        """Return every error the browser has noted for this tab: scripts, policies, requests."""
        self.js("0")
        found = []
        for event in self._wire.events:
            params = event["params"]
            if event.get("sessionId") != self._session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"])[:600])
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        return found

    def requested(self) -> list[str]:
        """Return every address this tab has asked for."""
        return [
            str(event["params"]["request"]["url"])
            for event in self._wire.events
            if event.get("sessionId") == self._session
            and event["method"] == "Network.requestWillBeSent"
        ]

    # ------------------------------------------------------------ what people do

    def click(self, selector: str) -> None:
        """Click in the middle of an element with a real mouse event."""
        where = self.wait(
            f"""(() => {{
                const node = document.querySelector({json.dumps(selector)});
                if (!node || !node.checkVisibility()) return null;
                node.scrollIntoView({{block: 'center', behavior: 'instant'}});
                const box = node.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const top = document.elementFromPoint(x, y);
                return top && (node.contains(top) || top.contains(node)) ? [x, y] : null;
            }})()""",
            f"{selector} to click on",
        )
        spot = {"x": where[0], "y": where[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.cdp("Input.dispatchMouseEvent", type=kind, **spot)

    def hover(self, x: float, y: float) -> None:
        """Move the mouse."""
        self.cdp("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """Press and release a key."""
        wanted = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.cdp("Input.dispatchKeyEvent", type="keyDown", text=text, **wanted)
        self.cdp("Input.dispatchKeyEvent", type="keyUp", **wanted)

    def type(self, text: str) -> None:
        self.cdp("Input.insertText", text=text)

    # ------------------------------------------------------------ how it is looked at

    def media(self, scheme: str) -> None:
        """Prefer ``dark`` or ``light``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", features=features)

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        wanted = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.cdp("Emulation.setDeviceMetricsOverride", **wanted)

    def picture(self, path: Path) -> None:
        """Write a PNG of what is seen."""
        path.write_bytes(base64.b64decode(self.cdp("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Run a browser whose profile is below ``folder`` until the block ends."""
    with Chromium(folder / "profile") as browser:
        yield browser
