"""The log of a workspace's judgements: where it is, the key that signs it, and its export."""

from __future__ import annotations

from pathlib import Path

from accord.core.disk import Guarded
from accord.core.errors import WorkspaceError
from accord.pipeline.whereabouts import check_there, open_workspace_database
from accord.pipeline.workspace import Workspace
from accord.store.database import Database
from accord.store.exporting import Exported, export_log
from accord.store.keys import PublicKey, SigningKey, is_there

SECRET, PUBLIC = "log.pem", "log.pub"
"""Files in `.accord/keys`: the half that signs, read by its owner alone, and the half to give."""


def open_log(workspace: Workspace) -> Database:
    """The database of a workspace's judgements, to be closed by the caller.

    Raises WorkspaceError where there is none yet, none any more, or another one than last time;
    StoreError where it cannot be reached.
    """
    check_there(workspace)
    place = workspace.database_place()
    if isinstance(place, Path) and not place.exists():
        raise WorkspaceError(
            "nothing was judged in this workspace yet",
            got=f"no {place.name} in {place.parent}",
            do="open a campaign and rate, or name a database by ACCORD_DATABASE_URL",
        )
    return open_workspace_database(workspace)


def signing_key(workspace: Workspace) -> SigningKey:
    """The key that signs this workspace's log; made, with its public half beside it, where there is
    none.

    Raises ConfigError for a file that others may read or that holds no key.
    """
    folder = _keys(workspace)
    with Guarded(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = SigningKey.load_or_make(folder / SECRET)
    if not is_there(folder / PUBLIC):
        key.public.save(folder / PUBLIC)
    return key


def public_key(workspace: Workspace) -> PublicKey | None:
    """The public half of the workspace's key; None before anything was signed here.

    Raises ConfigError where it may not be read.
    """
    path = _keys(workspace) / PUBLIC
    return PublicKey.load(path) if is_there(path) else None


def export_workspace_log(workspace: Workspace, path: Path) -> Exported:
    """Sign the log and write it to `path`, whole, for `accord verify` anywhere.

    Raises WorkspaceError where nothing was judged, StoreError where it cannot be written.
    """
    with open_log(workspace) as database:
        return export_log(database, path, key=signing_key(workspace))


def _keys(workspace: Workspace) -> Path:
    return workspace.root / ".accord" / "keys"
