"""`accord sft`, `reward`, `ppo` ...: one stage, every field of its settings a flag."""

from __future__ import annotations

from collections.abc import Sequence

from accord.cli.commands import BY_NAME, Options
from accord.cli.flags import parse
from accord.cli.session import open_session, print_outcomes
from accord.core.errors import AccordError
from accord.pipeline.config import PipelineConfig

_STRICT = "--strict"


def main(words: Sequence[str], options: Options) -> int:
    """Run the stage from finished inputs; defaults are the workspace's settings."""
    name = options.command
    own_words = [word for word in words if word != _STRICT]
    about = (
        f"{BY_NAME[name].summary}. Defaults are those of this workspace's accord.toml; what is\n"
        f"given here holds for this artifact alone and is recorded in it.\n"
        f"{_STRICT} makes it again where it was made on another machine."
    )
    try:
        session = open_session(options)
    except AccordError:
        if not {"-h", "--help"} & set(words):
            raise
        default = getattr(PipelineConfig(), name)
        parse(type(default), own_words, command=name, about=about, default=default)
        return 0
    default = getattr(session.config, name)
    own = parse(type(default), own_words, command=name, about=about, default=default)
    print_outcomes([session.run_stage(name, own, strict=_STRICT in words)])
    return 0
