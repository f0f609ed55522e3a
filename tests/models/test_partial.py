"""A decoder run in part gives what it gives at that place when it is run whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from accord.core.errors import ConfigError
from accord.models.ragged import Ragged
from tests.models.workshop import alike, load

Folders = Callable[[str], Path]


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_states_are_those_of_the_whole_pass(folder_of: Folders, kind: str, packs: bool) -> None:
    backbone = load(folder_of(kind))
    backbone.packs = backbone.packs and packs
    depth = int(backbone.config.num_hidden_layers)
    batch = Ragged.of(alike(3, 9, (4, 1, 6)))
    with torch.no_grad():
        for layers in range(depth + 1):
            _, inner = backbone.hidden_after(batch, layers)
            assert torch.equal(backbone.states_after(batch, layers), inner), layers


def test_layers_above_are_not_run(folder_of: Folders) -> None:
    backbone, run = load(folder_of("llama")), []
    for place, layer in enumerate(backbone.decoder.layers):  # type: ignore[arg-type]
        layer.register_forward_hook(lambda *_, place=place: run.append(place))
    with torch.no_grad():
        backbone.states_after(Ragged.of(alike(2, 9, (4, 5))), 1)
    assert run == [0]
    # The way out leaves nothing behind: the next pass goes to the end.
    with torch.no_grad():
        backbone.hidden(Ragged.of(alike(2, 9, (4, 5))))
    assert run == [0, *range(int(backbone.config.num_hidden_layers))]


def test_a_layer_that_is_not_there_is_refused(folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match="fewer layers"):
        load(folder_of("llama")).states_after(Ragged.of(alike(2, 9, (4, 5))), 99)
