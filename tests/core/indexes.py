"""A package index on this machine, for pip: whole, broken off in the middle, or stopping there."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Index(http.server.BaseHTTPRequestHandler):
    """Serves one archive; without its content, half of a file that never comes to its end."""

    name = ""
    content: bytes | None = None
    hang = False
    asked: list[str]

    def do_GET(self) -> None:
        if not self.path.endswith(self.name):
            page = f'<html><body><a href="/{self.name}">{self.name}</a></body></html>'.encode()
            self._say("text/html", len(page))
            self.wfile.write(page)
            return
        self.asked.append(self.path)
        self._say("application/octet-stream", len(self.content or b"\0" * 3_000_000))
        self.wfile.write(self.content or b"\0" * 1_500_000)
        if self.hang:
            self.rfile.read(1)

    def _say(self, kind: str, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(
    name: str, content: bytes | None = None, *, hang: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """Address of an index with the archive `name`, and the list of times that it was asked for."""
    asked: list[str] = []
    said = {"name": name, "content": content, "hang": hang, "asked": asked}
    handler = type("Handler", (Index,), said)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/simple", asked
        server.shutdown()


def pip_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip with no index, no settings of this machine and no second try."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")


def left_in(cache: Path) -> list[str]:
    """Names in a cache folder, lock files left out."""
    return sorted(p.name for p in cache.iterdir() if not p.name.endswith(".lock"))
