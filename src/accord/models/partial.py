"""A decoder run up to one of its layers: what a probe reads needs nothing above it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from torch import Tensor, nn

from accord.core.errors import ConfigError

LISTS = ("layers", "h", "blocks")
"""What decoders call the list of their layers."""


def run_until(decoder: nn.Module, layers: int, **given: Any) -> Any:
    """`decoder(**given)`, with the states after so many layers as its `last_hidden_state`.

    The layers above are taken out while it runs, where it lists them in the usual way; after its
    last one, and before its first, it is run whole. Raises ConfigError where there are fewer.
    """
    most = int(cast(Any, decoder).config.num_hidden_layers)
    if not 0 <= layers <= most:
        raise ConfigError("the model has fewer layers", got=layers, do=f"name 0 to {most}")
    name = next((name for name in LISTS if hasattr(decoder, name)), "")
    whole = getattr(decoder, name, None)
    if not isinstance(whole, nn.ModuleList) or not 0 < layers < len(whole):
        out = decoder(output_hidden_states=True, **given)
        return SimpleNamespace(last_hidden_state=out.hidden_states[layers])
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _given: Any, out: Any) -> None:
        seen.append(out[0] if isinstance(out, tuple) else out)

    handle = whole[layers - 1].register_forward_hook(keep)
    setattr(decoder, name, whole[:layers])
    try:
        decoder(**given)
    finally:
        setattr(decoder, name, whole)
        handle.remove()
    return SimpleNamespace(last_hidden_state=seen[0])
