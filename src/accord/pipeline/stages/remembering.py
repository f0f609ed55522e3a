"""Numbers that take long to compute and are the same for several stages, kept on disk.

A file is found by the digest of everything that its numbers depend on, and read only where it says
itself that it is about exactly that and its bytes are whole: a stale, foreign or damaged one is as
good as none. What is read is what was computed, to the bit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from accord.core.disk import Guarded
from accord.core.files import sync_folder
from accord.core.hashing import canonical_json, digest
from accord.models.ragged import Masked

_ABOUT, _SHA = "about", "sha256"


def remembered(
    folder: Path | None, name: str, about: Mapping[str, object], compute: Callable[[], Tensor]
) -> tuple[Tensor, bool]:
    """`compute()`, a float32 tensor, or what it gave when all of `about` was the same; and whether
    it was found.

    `about` must hold everything that decides the numbers, down to the last bit. Without a `folder`
    nothing is kept. Raises WorkspaceError where the disk refuses, and what `compute` raises.
    """
    if folder is None:
        return compute(), False
    path = folder / f"{name}-{digest(about)}.safetensors"
    found = _read(path, about)
    if found is not None:
        return found, True
    values = compute()
    _write(path, about, values.detach().float().cpu().contiguous())
    return values, False


def rows_digest(rows: Iterable[Masked]) -> str:
    """Digest of token rows with their masks, in their order."""
    sha = hashlib.sha256()
    for row in rows:
        ids, mask = np.asarray(row.ids, np.int64), np.asarray(row.mask, np.bool_)
        sha.update(len(ids).to_bytes(8, "little") + ids.tobytes() + mask.tobytes())
    return sha.hexdigest()


def _read(path: Path, about: Mapping[str, object]) -> Tensor | None:
    try:
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
            values: Tensor = file.get_tensor("values")
    except (OSError, SafetensorError):
        return None
    whole = told.get(_ABOUT) == canonical_json(about) and told.get(_SHA) == _sha(values)
    return values if whole and values.dtype == torch.float32 else None


def _write(path: Path, about: Mapping[str, object], values: Tensor) -> None:
    with Guarded(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            told = {_ABOUT: canonical_json(about), _SHA: _sha(values)}
            save_file({"values": values}, temporary, metadata=told)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def _sha(values: Tensor) -> str:
    shape = str(tuple(values.shape)).encode()
    return hashlib.sha256(shape + values.contiguous().numpy().tobytes()).hexdigest()
