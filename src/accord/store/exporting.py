"""The log in one file that can be read and verified anywhere: JSON Lines, one record a line.

Every line is the canonical JSON of its record, so that no byte of it can be changed unseen. Texts
that were not erased come along with their salts; who raters are does not.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from accord.core.errors import StoreError
from accord.core.files import sync_folder
from accord.core.hashing import canonical_json
from accord.store.checkpoints import sign_checkpoint
from accord.store.database import Database
from accord.store.keys import SigningKey
from accord.store.log import size
from accord.store.records import CHECKPOINT, EVENT, records


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds."""

    path: Path
    events: int
    checkpoints: int


def export_log(database: Database, path: Path, *, key: SigningKey | None = None) -> Exported:
    """Write the log to `path`, which is there whole or not at all, and replaces what was there.

    With `key` a checkpoint over all events is signed first. Raises StoreError where the file cannot
    be written.
    """
    if key is not None:
        with database.write() as connection:
            if size(connection):
                sign_checkpoint(connection, key)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    counts = {EVENT: 0, CHECKPOINT: 0}
    try:
        # Words of people are in it: only its owner reads it until they decide otherwise.
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file, database.read() as connection:
            for record in records(connection, private=False):
                file.write(canonical_json(record) + "\n")
                counts[record["kind"]] = counts.get(record["kind"], 0) + 1
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        sync_folder(path.parent)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            "the export cannot be written",
            got=error.strerror,
            where=path,
            do="name a file in a folder that you may write to, on a disk with room",
        ) from None
    finally:
        aside.unlink(missing_ok=True)
    return Exported(path, counts[EVENT], counts[CHECKPOINT])
