"""`accord chat`: a conversation of several turns with a policy, or with two side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from accord.cli.chatting import Chat as Loop
from accord.cli.commands import Options
from accord.cli.dialogue import Dialogue
from accord.cli.flags import parse
from accord.cli.keys import pressed_keys
from accord.cli.sample import tell_who
from accord.cli.session import open_session
from accord.cli.talk import Talk
from accord.collect.rowfiles import check_new
from accord.core.types import SamplingSettings
from accord.pipeline.answering import find_policies, load_voices, names_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Chat:
    """Flags of `accord chat`."""

    stage: str | None = None
    """Whose policy answers: a stage (ppo, dpo, sft, pretrain, base), or one artifact by its folder
    (ppo-0123456789abcdef). By default the most trained policy of the settings,
    or one that was made by hand after it."""
    against: str | None = None
    """A second policy, named as in --stage. Both answer every message, each going on
    with its own history; /keep 1 or /keep 2 makes one of them that of both."""
    system: str | None = None
    """A system message before the conversation."""
    temperature: float = 1.0
    """0 takes the most probable token each time."""
    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this."""
    max_tokens: int = 128
    """Longest answer, in tokens."""
    seed: int = 0
    """The same seed and messages, the same answers. /again moves on."""
    save: Path | None = None
    """Keep the conversation in this new file when it ends, for `accord import`:
    .jsonl, .jsonl.gz or .parquet."""


def main(words: Sequence[str], options: Options) -> int:
    """Load once, then answer message after message."""
    about = (
        "Talk with a trained policy, or with two side by side. Lines that are pasted together are "
        "one message; of a pipe each line is one.\n"
        "/help lists what else can be typed."
    )
    asked = parse(Chat, words, command="chat", about=about)
    settings = SamplingSettings(
        temperature=asked.temperature, top_p=asked.top_p, max_tokens=asked.max_tokens
    )
    if asked.save is not None:
        check_new(asked.save)
    session = open_session(options)
    wanted = [asked.stage] if asked.against is None else [asked.stage, asked.against]
    policies = find_policies(session.workspace, session.plan().stages, wanted)
    tell_who(policies)
    try:
        voices = load_voices(session.workspace, policies, session.machine()())
    except KeyboardInterrupt:
        print("ended; nothing was said", file=sys.stderr)
        return 0
    talk = Talk(
        voices, names_of(policies), settings=settings, seed=asked.seed, system=asked.system or None
    )
    with pressed_keys() as keys:
        dialogue = Dialogue(Console(file=sys.stdout, highlight=False), keys)
        if keys.live:
            dialogue.say("/help lists what can be typed, Ctrl-D ends", style="dim")
        sources = [f"{policy.name}-{policy.key}" for policy in policies]
        Loop(
            talk,
            dialogue,
            sources=sources,
            save=asked.save,
            workspace=options.workspace,
            quiet=options.quiet,
        ).run()
    return 0
