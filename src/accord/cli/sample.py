"""`accord sample "..."`: what a trained policy says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import open_session
from accord.core.errors import ConfigError
from accord.core.types import Conversation, SamplingSettings, StopReason
from accord.pipeline.answering import find_policy, respond


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Flags of `accord sample`."""

    prompt: Annotated[tuple[str, ...], tyro.conf.Positional]
    """What to ask; several in quotes are asked one by one."""
    stage: str | None = None
    """Whose policy answers: a stage (ppo, dpo, sft, pretrain, base), or one artifact by its folder
    (ppo-0123456789abcdef). By default the most trained policy of the settings,
    or one that was made by hand after it."""
    n: int = 1
    """Answers a prompt."""
    system: str | None = None
    """A system message before the prompt."""
    temperature: float = 1.0
    """0 takes the most probable token each time."""
    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this."""
    max_tokens: int = 128
    """Longest answer, in tokens."""
    seed: int = 0
    """The same seed, the same answers."""


def main(words: Sequence[str], options: Options) -> int:
    """Print the answers; which policy said them goes to standard error."""
    about = "Ask a trained policy something."
    asked = parse(Sample, words, command="sample", about=about)
    if not asked.prompt:
        raise ConfigError("nothing is asked", do='accord sample "your question"')
    if asked.n < 1:
        raise ConfigError("--n must be at least 1", got=asked.n)
    session = open_session(options)
    stages = session.plan().stages
    policy = find_policy(session.workspace, stages, asked.stage)
    print(f"{policy.name}-{policy.key} answers", file=sys.stderr)
    settings = SamplingSettings(
        temperature=asked.temperature, top_p=asked.top_p, max_tokens=asked.max_tokens
    )
    conversations = [Conversation.of(text, system=asked.system) for text in asked.prompt]
    answers = respond(
        session.workspace,
        policy,
        conversations,
        settings=settings,
        n=asked.n,
        seed=asked.seed,
        machine=session.machine()(),
    )
    for text, group in zip(asked.prompt, answers, strict=True):
        if len(answers) > 1:
            print(f"> {text}")
        for answer in group:
            cut = "" if answer.stop is StopReason.STOP else " [cut at --max-tokens]"
            print(f"{answer.text}{cut}")
    return 0
