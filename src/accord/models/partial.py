"""A decoder run up to one of its layers: what a probe reads needs nothing above it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from torch import Tensor, nn

from accord.core.errors import ConfigError

LISTS = ("layers", "h", "blocks")
"""What decoders call the list of their layers."""


class _Reached(Exception):
    """The states after the last layer that was wanted."""

    def __init__(self, states: Tensor) -> None:
        super().__init__()
        self.states = states


def run_until(decoder: nn.Module, layers: int, **given: Any) -> Any:
    """`decoder(**given)`, with the states after so many layers as its `last_hidden_state`.

    The layers above are not run where the decoder lists its layers in the usual way; after its last
    one, and before its first, it is run whole. Raises ConfigError where there are fewer.
    """
    most = int(cast(Any, decoder).config.num_hidden_layers)
    if not 0 <= layers <= most:
        raise ConfigError("the model has fewer layers", got=layers, do=f"name 0 to {most}")
    found = next((getattr(decoder, name) for name in LISTS if hasattr(decoder, name)), None)
    if not isinstance(found, nn.ModuleList) or not 0 < layers < len(found):
        out = decoder(output_hidden_states=True, **given)
        return SimpleNamespace(last_hidden_state=out.hidden_states[layers])

    def leave(_module: nn.Module, _given: Any, out: Any) -> None:
        raise _Reached(out[0] if isinstance(out, tuple) else out)

    handle = found[layers - 1].register_forward_hook(leave)
    try:
        decoder(**given)
    except _Reached as reached:
        return SimpleNamespace(last_hidden_state=reached.states)
    finally:
        handle.remove()
    raise AssertionError("a layer was not run")
