"""The seal of a frozen set: a signature over its rows, its notes and the log that it stands on.

Judgements can be erased after a set was frozen; then the log alone no longer says what its rows
were, and the seal does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from accord.core.disk import Guarded
from accord.core.files import write_atomic
from accord.core.hashing import canonical_json, digest
from accord.store.event import from_hex
from accord.store.keys import PublicKey, SigningKey
from accord.store.manifest import DatasetManifest

SEAL = "seal.json"
LOG = "log"
"""The note of the manifest that says when it was frozen, and the checkpoint."""
_PURPOSE = b"accord frozen set 1\n"
"""Before what is signed: a signature for this can be used for nothing else."""


def account(manifest: DatasetManifest) -> str:
    """Digest of the rows and of every note but the log's: the same for the same content, whenever
    it was frozen."""
    notes = {name: value for name, value in manifest.notes.items() if name != LOG}
    layout = [manifest.unit, manifest.dev, manifest.test, manifest.split_across]
    return digest([manifest.digest, manifest.source, layout, notes])


def seal(folder: Path, manifest: DatasetManifest, key: SigningKey) -> None:
    """Write the seal of the set in `folder`. Raises WorkspaceError where the disk refuses."""
    signature = key.sign(_signed(manifest)).hex()
    body = {"public_key": key.public.raw.hex(), "signature": signature}
    with Guarded(folder):
        write_atomic(folder / SEAL, json.dumps(body, indent=2, sort_keys=True) + "\n")


def broken(folder: Path, manifest: DatasetManifest, keys: Sequence[PublicKey] | None) -> str | None:
    """What is wrong with the seal; None where it holds.

    `keys` are those to believe; None believes the one that the seal itself names.
    """
    try:
        key, signature = _read(folder)
    except OSError:
        return "the set has no seal"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "the seal is damaged"
    if keys is not None and key.id not in {trusted.id for trusted in keys}:
        return "the set is sealed with a key that is not trusted"
    if not key.signed(_signed(manifest), signature):
        return "the manifest is not the one that was sealed"
    return None


def sealed_by(folder: Path) -> PublicKey:
    """Whose seal the set in `folder` bears. For one whose seal was found to hold."""
    return _read(folder)[0]


def _read(folder: Path) -> tuple[PublicKey, bytes]:
    body = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    return PublicKey(from_hex(body["public_key"])), from_hex(body["signature"])


def _signed(manifest: DatasetManifest) -> bytes:
    said = {"account": account(manifest), LOG: manifest.notes.get(LOG)}
    return _PURPOSE + canonical_json(said).encode()
