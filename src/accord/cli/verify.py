"""`accord verify`: whether the log, an export of it, or a frozen set is as it was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import find_workspace
from accord.collect.frozen import FrozenVerdict, is_frozen, verify_frozen
from accord.collect.sealing import sealed_by
from accord.core.errors import ConfigError, DataError
from accord.pipeline.logbook import open_log, public_key
from accord.pipeline.workspace import Workspace
from accord.store.keys import PublicKey
from accord.store.verifying import Verdict, verify, verify_database

MOST_LISTED = 10
"""Faults that are shown."""
LOGS = (".jsonl", ".json")
"""How a word ends that means a file, not a set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verify:
    """Flags of `accord verify`."""

    what: Annotated[str | None, tyro.conf.Positional] = None
    """A file that `accord export --log` wrote, a frozen set (its name or folder), or nothing: this
    workspace's own log."""
    key: tuple[Path, ...] = ()
    """Public keys to believe, got from those who signed: without one a forger who holds the
    database could have signed with a key of their own."""
    log: Path | None = None
    """An exported log to hold a frozen set against, in place of this workspace's."""


def main(words: Sequence[str], options: Options) -> int:
    """Verify, and say what was found. Raises DataError, which names the first fault."""
    about = "Check that nothing people said was changed, dropped or put in."
    asked = parse(Verify, words, command="verify", about=about)
    keys = [PublicKey.load(path) for path in asked.key] or None
    what = None if asked.what is None else Path(asked.what)
    if what is not None and what.is_file():
        print(_log(verify(what, public_keys=keys), str(what)))
        return 0
    if what is None and asked.log is not None:
        raise ConfigError(
            "which frozen set is held against this log?",
            got=asked.log,
            do="`accord verify SET --log EXPORT`, or `accord verify EXPORT` for the log alone",
        )
    if what is None:
        workspace = find_workspace(options)
        own = _own_key(workspace, needed=keys is None)
        with open_log(workspace) as database:
            found = verify_database(database, public_keys=keys)
            print(_log(found, database.place, own=own))
        return 0
    folder = _folder(what, options)
    if asked.log is not None:
        print(_set(verify_frozen(folder, asked.log, public_keys=keys), folder))
        return 0
    workspace = find_workspace(options)
    own = _own_key(workspace, needed=False)
    with open_log(workspace) as database:
        print(_set(verify_frozen(folder, database, public_keys=keys), folder))
    if keys is None and own is not None and sealed_by(folder).id != own.id:
        print(
            f"  sealed with key {sealed_by(folder).id}, not with this workspace's: unless you know "
            "whose that is (--key), somebody may have sealed it anew"
        )
    return 0


def _own_key(workspace: Workspace, *, needed: bool) -> PublicKey | None:
    """This workspace's key; None before it has one, or where it is shut away and not needed."""
    try:
        return public_key(workspace)
    except ConfigError as error:
        if not needed:
            return None
        error.do = f"{error.do}; then `accord verify --key FILE`"
        raise


def _folder(what: Path, options: Options) -> Path:
    if "/" in str(what) or what.suffix in LOGS:
        if not what.is_dir():
            raise _missing("there is no such file or folder", str(what))
        folder = what
    else:
        folder = what if what.is_dir() else _named(str(what), find_workspace(options))
    if not is_frozen(folder):
        raise ConfigError(
            "this data set was not frozen from judgements",
            got=folder,
            do="name one that `accord freeze` made, or a file that `accord export --log` wrote",
        )
    return folder


def _named(name: str, workspace: Workspace) -> Path:
    """The folder of the set of this name. Raises ConfigError where there is none."""
    sets = [
        (one.name.partition("/")[2], one.folder)
        for kind in ("preferences", "demonstrations")
        for one in workspace.datasets(kind)
    ]
    called = [folder for known, folder in sets if known == name]
    meant = [folder for folder in called if is_frozen(folder)] or called
    if len(meant) > 1:
        raise ConfigError(
            "two frozen sets have this name",
            got=name,
            do=f"name the folder: {' or '.join(map(str, meant))}",
        )
    if meant:
        return meant[0]
    frozen = [known for known, folder in sets if is_frozen(folder)]
    near = get_close_matches(name, frozen, n=1)
    mean = f"did you mean {near[0]}? " if near else ""
    there = f"; there are: {', '.join(frozen) or 'none'}"
    raise _missing("there is no file, and no frozen set, of this name", name, mean, there)


def _missing(what: str, name: str, before: str = "", behind: str = "") -> ConfigError:
    ways = "name a file that `accord export --log FILE` wrote, or a set that `accord freeze` made"
    return ConfigError(what, got=name, do=f"{before}{ways}{behind}")


def _log(found: Verdict, place: str, *, own: PublicKey | None = None) -> str:
    _refuse("the log is not as it was written", found.faults, place)
    lines = [f"log {found.log}: {found.events} events, each as it was written"]
    if found.signed:
        names = [
            key + " (this workspace's)" * (own is not None and key == own.id) for key in found.keys
        ]
        lines.append(f"  {found.signed} of them signed, by {', '.join(names)}")
    else:
        lines.append("  none of them signed: nothing shows that the log was not written anew")
    if own is not None and own.id not in found.keys:
        lines.append(
            "  this workspace has a key, and none of them is signed by it: if it ever signed this "
            "log, somebody wrote it anew"
        )
    if found.signed and not found.trusted:
        lines.append("  the log itself says whose keys these are: name those you know with --key")
    if found.erased:
        lines.append(f"  {len(found.erased)} parts of what was said were erased")
    if found.withheld:
        lines.append(f"  {len(found.withheld)} identities and profiles are not in it")
    return "\n".join(lines)


def _set(found: FrozenVerdict, folder: Path) -> str:
    _refuse("the set does not follow from the log", found.faults, folder)
    lines = [f"{folder.name}: {found.rows} rows, each follows from a {found.noun} in the log"]
    if found.erased_since:
        lines.append(f"  {found.erased_since} more were erased in the log since it was frozen")
    return "\n".join([*lines, _log(found.log, str(folder))])


def _refuse(what: str, faults: Sequence[object], where: str | Path) -> None:
    if not faults:
        return
    shown = [str(fault) for fault in faults[:MOST_LISTED]]
    if len(faults) > MOST_LISTED:
        shown.append(f"and {len(faults) - MOST_LISTED} more")
    raise DataError(
        what,
        got="\n         ".join(shown),
        where=where,
        do="keep this copy as evidence and go back to a backup from before; where a key is not "
        "trusted, ask who signed for theirs",
    )
