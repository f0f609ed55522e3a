"""How many tokens a model reads at once, by its configuration alone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from accord.core.errors import ModelError
from accord.models.context import UNBOUNDED, folder_context
from tests.models.workshop import Folders, load


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_whatever_word_a_kind_of_model_has_for_it(folder_of: Folders, kind: str) -> None:
    """`n_positions` in GPT-2's file: it is what the loaded model refuses longer rows by."""
    folder = folder_of(kind)
    assert folder_context(folder) == load(folder).context == 64


def test_a_model_without_positions_has_no_bound(folder_of: Folders) -> None:
    assert folder_context(folder_of("mamba")) == UNBOUNDED


def test_a_folder_without_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="configuration cannot be read"):
        folder_context(tmp_path)
