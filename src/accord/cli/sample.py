"""`accord sample "..."`: what trained policies say, one alone or several side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import open_session
from accord.cli.sheets import printable
from accord.cli.side_by_side import show, show_row
from accord.core.errors import ConfigError
from accord.core.types import Conversation, Response, SamplingSettings
from accord.pipeline.answering import find_policies, load_voices, names_of
from accord.pipeline.stage import Artifact


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Flags of `accord sample`."""

    prompt: Annotated[tuple[str, ...], tyro.conf.Positional]
    """What to ask; several in quotes are asked one by one."""
    stage: str | None = None
    """Whose policy answers: a stage (ppo, dpo, sft, pretrain, base), or one artifact by its folder
    (ppo-0123456789abcdef). By default the most trained policy of the settings,
    or one that was made by hand after it."""
    against: tuple[str, ...] = ()
    """Other policies that answer the same, named as in --stage, after the prompts.
    Side by side on a terminal with 50 columns for each, else one below the other."""
    n: int = 1
    """Answers a prompt, of each policy."""
    system: str | None = None
    """A system message before the prompt."""
    temperature: float = 1.0
    """0 takes the most probable token each time."""
    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this."""
    max_tokens: int = 128
    """Longest answer, in tokens."""
    seed: int = 0
    """The same seed, the same answers. Every policy gets the same one."""


def main(words: Sequence[str], options: Options) -> int:
    """Print the answers; which policies said them goes to standard error."""
    about = "Ask a trained policy something, or several the same."
    asked = parse(Sample, words, command="sample", about=about)
    if not asked.prompt:
        before = "put it before --against: " if asked.against else ""
        raise ConfigError("nothing is asked", do=f'{before}accord sample "your question"')
    if asked.n < 1:
        raise ConfigError("--n must be at least 1", got=asked.n)
    settings = SamplingSettings(
        temperature=asked.temperature, top_p=asked.top_p, max_tokens=asked.max_tokens
    )
    session = open_session(options)
    wanted = [asked.stage, *asked.against]
    policies = find_policies(session.workspace, session.plan().stages, wanted)
    tell_who(policies)
    conversations = [Conversation.of(text, system=asked.system) for text in asked.prompt]
    said = [
        voice.respond(conversations, settings=settings, n=asked.n, seed=asked.seed)
        for voice in load_voices(session.workspace, policies, session.machine()())
    ]
    console = Console(file=sys.stdout, highlight=False)
    for place, text in enumerate(asked.prompt):
        if len(asked.prompt) > 1:
            print(f"> {printable(text)}")
        _print(console, names_of(policies), [answers[place] for answers in said])
    return 0


def tell_who(policies: Sequence[Artifact]) -> None:
    """Say on standard error which policies answer."""
    names = [f"{policy.name}-{policy.key}" for policy in policies]
    told = f"{names[0]} answers" if len(names) == 1 else f"{', '.join(names)} answer"
    print(told, file=sys.stderr)


def _print(console: Console, names: Sequence[str], said: Sequence[Sequence[Response]]) -> None:
    """The answers of each policy to one prompt, those of the same number together."""
    rows = list(zip(*said, strict=True))
    for number, row in enumerate(rows, start=1):
        if len(names) == 1:
            show(console, row[0])
        else:
            of = f" ({number} of {len(rows)})" if len(rows) > 1 else ""
            show_row(console, [f"{name}{of}" for name in names], row)
