"""How many tokens a model reads at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig

from accord.core.errors import ModelError

UNBOUNDED = 1 << 30
"""The context of a model that names none, in tokens."""


def context_of(config: Any) -> int:
    """Longest sequence that positions were made for, by a transformers configuration, in tokens.

    The configuration is asked and not its file: each kind of model has its own word for this.
    """
    return int(getattr(config, "max_position_embeddings", None) or UNBOUNDED)


def folder_context(folder: Path) -> int:
    """The same of the model in a folder, whose weights are not read. Raises ModelError."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            "the model's configuration cannot be read",
            got=error,
            where=folder,
            do="check the folder",
        ) from error
    return context_of(config)
