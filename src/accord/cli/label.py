"""`accord label CAMPAIGN`: raters other than people answer a campaign's tasks."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import find_workspace
from accord.collect.campaign import campaign_called, check_asks
from accord.collect.labelling import Labelled, enrol, label_in_turn
from accord.collect.rules import load_rule
from accord.collect.sheet import Rater
from accord.core.errors import ConfigError
from accord.pipeline.raters import read_people
from accord.pipeline.whereabouts import open_workspace_database
from accord.telemetry.terminal import terminal

ABOUT = """\
Let simulated people or a rule judge the tasks of a campaign, as a person's page would.

A file of simulated people names each of them, and what they want:
  [[rater]]
  name = "Ada"
  truth = "vader"        # or "grammar", or a feature: length, brevity, longer, first, ...
  temperature = 0.4      # 0: no noise
  bias = { first = 0.3 } # falls for the place on the screen
  lapse = 0.05           # share judged without looking

Also: weights, rules, fatigue, grain, consistency, criteria, seed.

A rule is a Python function of a conversation and its responses that gives each a score.

What they say is stored with their kind and is nobody's opinion."""
STEP = 25
"""Answers of all raters between two signs of progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """Flags of `accord label`."""

    campaign: Annotated[str, tyro.conf.Positional]
    """Name of the campaign."""
    synthetic: Path | None = None
    """A TOML file of simulated people."""
    rule: str | None = None
    """A function, as FILE.py:FUNCTION or MODULE:FUNCTION. The file is run."""
    most: int | None = None
    """Answers of each rater, at most; by default all tasks that there are for it."""


def main(words: Sequence[str], options: Options) -> int:
    """Enrol the raters, let them answer in turn, and say what they did."""
    asked = parse(Label, words, command="label", about=ABOUT)
    if asked.most is not None and asked.most < 1:
        raise ConfigError("--most must be at least 1", got=asked.most)
    raters = _raters(asked)
    with open_workspace_database(find_workspace(options)) as database:
        with database.read() as connection:
            campaign = campaign_called(connection, asked.campaign)
            check_asks(campaign, texts=False, do="people alone write and review: `accord rate`")
        ids = {enrol(database, campaign, rater, name): name for name, rater in raters.items()}
        enrolled = {rater_id: raters[name] for rater_id, name in ids.items()}
        with terminal(sys.stderr, quiet=options.quiet) as sink:
            begun, done = time.monotonic(), 0
            sink.started("label", steps=None, done=0)

            def progress(_rater: str, _given: int) -> None:
                nonlocal done
                done += 1
                if done % STEP == 0:
                    sink.row(done, {"seconds": time.monotonic() - begun})

            found = label_in_turn(database, campaign, enrolled, most=asked.most, progress=progress)
            sink.ended("label", seconds=time.monotonic() - begun)
    print(told(asked.campaign, {ids[rater_id]: did for rater_id, did in found.items()}, raters))
    return 0


def told(campaign: str, found: Mapping[str, Labelled], raters: Mapping[str, Rater]) -> str:
    """What each rater did, one a line."""
    total = sum(did.judgements for did in found.values())
    lines = [f"{campaign}: {total} judgements by {len(found)} raters that are no people"]
    for name, did in found.items():
        counts = f"{did.judgements} judgements, {did.ties} ties, {did.skips} skips"
        if did.ties and did.ties == did.judgements - did.skips:
            counts += "; nothing that it goes by told any two responses apart"
        lines.append(f"  {name} ({raters[name].kind}, {did.stand}): {counts}")
    return "\n".join(lines)


def _raters(asked: Label) -> Mapping[str, Rater]:
    if (asked.synthetic is None) == (asked.rule is None):
        raise ConfigError(
            "who judges: simulated people or a rule?",
            got="both" if asked.rule is not None else "neither",
            do="name one of --synthetic FILE.toml and --rule FILE.py:FUNCTION",
        )
    if asked.rule is not None:
        return {asked.rule: load_rule(asked.rule)}
    assert asked.synthetic is not None
    return read_people(asked.synthetic)
