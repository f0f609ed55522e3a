"""A very small WebDriver client for Debian's chromium: JSON over HTTP, standard library only."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
# Only loopback is asked, so a proxy of the environment must stay out of the way.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def missing() -> str:
    """What is missing for browser tests, or nothing."""
    absent = [n for n, found in (("chromium", CHROMIUM), ("chromedriver", DRIVER)) if not found]
    return f"not installed: {' and '.join(absent)}" if absent else ""


class Browser:
    """One session of a headless chromium."""

    def __init__(self, address: str, profile: Path) -> None:
        options = {
            "binary": CHROMIUM,
            "args": [*SWITCHES, f"--user-data-dir={profile}"],
        }
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = _ask(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})
        self._root = f"{address}/session/{made['sessionId']}"

    def open(self, address: str, *, width: int, dark: bool = False) -> None:
        """Show a page as a screen of this width would."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", media="", features=[scheme])
        _ask(f"{self._root}/url", {"url": address})

    def run(self, script: str) -> object:
        """Value of a piece of JavaScript that returns something."""
        return _ask(f"{self._root}/execute/sync", {"script": script, "args": []})

    def cdp(self, command: str, **parameters: object) -> dict[str, object]:
        """One command of the DevTools protocol."""
        return _ask(f"{self._root}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self, kind: str) -> list[dict[str, object]]:
        """Entries since the last call: `browser` is the console, `performance` has the network."""
        return _ask(f"{self._root}/se/log", {"type": kind})

    def requests(self) -> list[str]:
        """Addresses asked for since the last call."""
        messages = [json.loads(str(e["message"]))["message"] for e in self.log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(str(shot["data"]))

    def pdf(self) -> bytes:
        """The page as it prints."""
        return base64.b64decode(str(self.cdp("Page.printToPDF", printBackground=False)["data"]))

    def close(self) -> None:
        """End the session."""
        request = urllib.request.Request(self._root, method="DELETE")
        with _OPENER.open(request, timeout=20):
            pass


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser that is gone afterwards, with its profile."""
    assert DRIVER is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        driver = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert driver.stdout is not None
            port = next(
                found[1] for line in driver.stdout if (found := re.search(r"on port (\d+)\.", line))
            )
            session = Browser(f"http://127.0.0.1:{port}", Path(folder))
            try:
                yield session
            finally:
                session.close()
        finally:
            driver.terminate()
            driver.wait(timeout=20)
            if driver.stdout is not None:
                driver.stdout.close()


def _ask(address: str, body: dict[str, object]) -> dict[str, object]:
    data = json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with _OPENER.open(request, timeout=60) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{address} {body}: {error.read().decode()[:2000]}") from error
