"""Fetching: real pip, real source distributions, a real index on this machine."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from accord.core.errors import DownloadError
from accord.core.fetching import Archive, cache_folder, cached, source_archive
from tests.cli.small import powerless
from tests.core.indexes import left_in, pip_alone, serving

ROOT = Path(__file__).parents[2]
NAME = "accordLittle-1.0.tar.gz"
OWN_BACKEND = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
"""By which an archive asks for its own code to be run."""


def source_distribution(folder: Path, marker: Path, *, own: bool = False) -> Archive:
    """An archive in `folder` whose code writes `marker` when it is run, and its promise."""
    telling = f"open({str(marker)!r}, 'w').write('run')\n"
    files = {"setup.py": telling, "data.bin": os.urandom(100_000).hex()}
    if own:
        files |= {"pyproject.toml": OWN_BACKEND, "own.py": telling}
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / NAME, "w:gz") as packed:
        for name, text in files.items():
            member = tarfile.TarInfo(f"accordLittle-1.0/{name}")
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))
    content = (folder / NAME).read_bytes()
    return Archive(
        distribution="accordLittle",
        version="1.0",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        source=True,
    )


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pip_alone(monkeypatch)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))


def test_a_source_distribution_arrives_and_none_of_its_code_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    archive = source_distribution(tmp_path / "index", tmp_path / "marker")
    said: list[tuple[str, float]] = []
    cache = tmp_path / "cache"
    found = source_archive(archive, cache, progress=lambda what, share: said.append((what, share)))
    assert found == cache / NAME
    assert found.read_bytes() == (tmp_path / "index" / NAME).read_bytes()
    assert left_in(cache) == [NAME]
    assert not (tmp_path / "marker").exists()
    assert capfd.readouterr() == ("", "")
    assert said[-1] == ("fetch accordLittle", 1.0)
    assert said == sorted(said)


def test_pip_alone_would_run_its_code(tmp_path: Path) -> None:
    """What the stand-in is there for."""
    source_distribution(tmp_path / "index", tmp_path / "marker")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "accordLittle"], cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "marker").exists()


def test_a_whole_file_is_found_and_a_damaged_one_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = source_distribution(tmp_path / "index", tmp_path / "marker")
    content = (tmp_path / "index" / NAME).read_bytes()
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / NAME).write_bytes(content)  # by hand, where there is no connection
    with monkeypatch.context() as offline:
        offline.delenv("PIP_FIND_LINKS")
        assert source_archive(archive, cache).read_bytes() == content
        (cache / NAME).write_bytes(content[:-1])
        with pytest.raises(DownloadError, match="could not be fetched") as caught:
            source_archive(archive, cache)
    assert caught.value.where == cache
    assert "put its .tar.gz" in str(caught.value.do)
    assert source_archive(archive, cache).read_bytes() == content
    assert left_in(cache) == [NAME]


@pytest.mark.parametrize("own", [False, True])
def test_another_file_is_refused_before_its_code_could_run(tmp_path: Path, own: bool) -> None:
    archive = source_distribution(tmp_path / "index", tmp_path / "marker", own=own)
    with pytest.raises(DownloadError, match="arrived different") as caught:
        source_archive(replace(archive, sha256="0" * 64), tmp_path / "cache")
    assert caught.value.got == f"sha256 {archive.sha256}"
    assert left_in(tmp_path / "cache") == []
    assert not (tmp_path / "marker").exists()


def test_a_connection_that_breaks_leaves_nothing_and_the_next_call_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = source_distribution(tmp_path / "index", tmp_path / "marker")
    cache = tmp_path / "cache"
    with serving(NAME) as (url, _), monkeypatch.context() as online:
        online.delenv("PIP_NO_INDEX")
        online.delenv("PIP_FIND_LINKS")
        online.setenv("PIP_RESUME_RETRIES", "0")
        online.setenv("PIP_INDEX_URL", url)
        with pytest.raises(DownloadError, match=r"could not be fetched|arrived different"):
            source_archive(archive, cache)
    assert left_in(cache) == []
    assert source_archive(archive, cache).is_file()


CALL = """
import sys
from pathlib import Path
from accord.core.fetching import Archive, source_archive
promise = {"version": "1.0", "size": 1, "sha256": sys.argv[1], "source": True}
archive = Archive(distribution="accordLittle", **promise)
try:
    print(source_archive(archive, Path(sys.argv[2])))
except OSError as error:
    sys.exit(str(error))
"""


def calling(archive: Archive, cache: Path) -> list[str]:
    """The command of a process that fetches."""
    return [sys.executable, "-c", CALL, str(archive.sha256), str(cache)]


def test_processes_wait_for_one_another_and_fetch_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = source_distribution(tmp_path / "index", tmp_path / "marker")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    with serving(NAME, (tmp_path / "index" / NAME).read_bytes()) as (url, asked):
        monkeypatch.setenv("PIP_INDEX_URL", url)
        command = calling(archive, tmp_path / "cache")
        children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
        found = [child.communicate(timeout=120)[0].decode().strip() for child in children]
    assert found == [str(tmp_path / "cache" / NAME)] * 3
    assert len(asked) == 1


def test_a_disk_that_fills_in_the_middle_is_one_clear_error(tmp_path: Path) -> None:
    archive = source_distribution(tmp_path / "index", tmp_path / "marker")
    cache = tmp_path / "cache"
    # A limit on the size of files makes the system itself say that there is no more room.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(DownloadError, match="no room left") as caught:
            source_archive(archive, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.where == cache
    assert "ACCORD_CACHE" in str(caught.value.do)
    assert left_in(cache) == []
    assert source_archive(archive, cache).is_file()


def test_too_little_room_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    archive = source_distribution(tmp_path / "index", tmp_path / "marker")
    with pytest.raises(DownloadError, match="too little free space"):
        source_archive(replace(archive, size=1 << 60), tmp_path / "cache")
    assert left_in(tmp_path / "cache") == []


def test_a_cache_that_may_not_be_written_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies there already is found all the same."""
    archive = source_distribution(tmp_path / "index", tmp_path / "marker")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    cache = tmp_path / "cache"
    cache.mkdir()
    command = [*powerless(), *calling(archive, cache)]
    cache.chmod(0o555)
    try:
        shut = subprocess.run(command, capture_output=True, text=True, check=False)
        cache.chmod(0o755)
        source_archive(archive, cache)
        cache.chmod(0o555)
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        cache.chmod(0o755)
    assert shut.returncode == 1
    assert shut.stderr.startswith("the cache folder cannot be written")
    assert "set ACCORD_CACHE" in shut.stderr
    assert found.stdout.strip() == str(cache / NAME), found.stderr


def test_other_errors_come_through_and_leave_nothing(tmp_path: Path) -> None:
    def make(work: Path) -> Path:
        (work / "half").write_text("half")
        raise LookupError

    with pytest.raises(LookupError):
        cached("x", make, cache=tmp_path, what="x", needed_bytes=1, holds=Path.is_file)
    assert left_in(tmp_path) == []


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_CACHE", "/somewhere/else")
    assert cache_folder() == Path("/somewhere/else")
    monkeypatch.delenv("ACCORD_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "accord"
