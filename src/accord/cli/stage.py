"""`accord sft`, `reward`, `ppo` ...: one stage, every field of its settings a flag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, make_dataclass
from typing import Annotated, Any

import tyro

from accord.cli.commands import BY_NAME, Options
from accord.cli.flags import parse
from accord.cli.session import open_session, print_outcomes
from accord.core.errors import AccordError
from accord.pipeline.config import PipelineConfig

_STRICT = "Also make again what was made on another machine or with other machine settings."


def main(words: Sequence[str], options: Options) -> int:
    """Run the stage from finished inputs; defaults are the workspace's settings."""
    name = options.command
    try:
        session = open_session(options)
    except AccordError:
        if not {"-h", "--help"} & set(words):
            raise
        _parse(words, name, getattr(PipelineConfig(), name))
        return 0
    own, strict = _parse(words, name, getattr(session.config, name))
    print_outcomes([session.run_stage(name, own, strict=strict)])
    return 0


def _parse(words: Sequence[str], name: str, default: Any) -> tuple[Any, bool]:
    """The settings of one stage as flags, and `--strict` beside them."""
    about = (
        f"{BY_NAME[name].summary}. Defaults are those of this workspace's accord.toml; what is\n"
        "given here holds for this artifact alone and is recorded in it."
    )
    settings: Any = type(default)
    kind = make_dataclass(
        "Asked",
        [
            ("own", Annotated[settings, tyro.conf.arg(name="")], field(default=default)),
            ("strict", Annotated[bool, tyro.conf.arg(help=_STRICT)], field(default=False)),
        ],
        kw_only=True,
        frozen=True,
    )
    asked: Any = parse(kind, words, command=name, about=about)
    return asked.own, asked.strict
