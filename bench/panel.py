"""Simulated raters judging real pairs of responses, for `raters.py`: who they are, what they see.

The texts, and which response people preferred, are real (PandaLM, HH-RLHF); the raters are not. An
honest rater sees a pair's quality gap with a taste of their own and with noise, and slips now and
then. Gaps: PandaLM's three annotators, averaged; for HH-RLHF, which has one label a pair, the size
of the gap is drawn and its sign is the label.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import numpy as np

from accord.collect.campaign import CampaignSettings
from accord.collect.pacing import due
from accord.collect.sheet import RaterKind
from accord.collect.tasks import Purpose
from accord.collect.votes import Vote, Votes
from accord.core.hashing import digest
from accord.store.judgements import Verdict

NEAREST = 16
"""Open tasks that a draw is made among, as when tasks are assigned."""
REPEAT_AFTER = 10
SLIP = 0.05
"""Share of judgements in which an honest rater answers at random."""
NICHE = 0.35
"""Share of prompts on which the minority wants the opposite."""


class Archetype(StrEnum):
    """A way to judge."""

    HONEST = "honest"
    RANDOM = "random"
    """Does not look."""
    FIRST = "always-first"
    """Takes what stands first."""
    LONGEST = "longest"
    """Takes the longer one."""
    INVERTED = "10% inverted"
    """Honest, with one answer in ten turned around."""
    MINORITY = "honest minority"
    """Wants the opposite on a third of the prompts, and knows it each time."""
    PEEKER = "copycat (of anybody)"
    """Repeats the latest answer that is there; guesses where there is none."""
    NEIGHBOUR = "copycat (of one)"
    """Repeats what one colleague said where that one was asked before; guesses elsewhere."""
    TWIN = "copycat (second account)"
    """Says what another rater says or would say, on everything."""
    COLLUDER_FIFTH = "colluder (a fifth agreed)"
    """Honest, but for a fifth of the tasks: there all who know a secret say what it says."""
    COLLUDER_HALF = "colluder (half agreed)"
    COLLUDER_ALL = "colluder (all agreed)"


AGREED = {
    Archetype.COLLUDER_FIFTH: 0.2,
    Archetype.COLLUDER_HALF: 0.5,
    Archetype.COLLUDER_ALL: 1.0,
}
"""Share of tasks that a secret decides."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class World:
    """Real pairs; index 0 and 1 are the canonical first and second response."""

    name: str
    gap: np.ndarray
    """How much better the first is, in units of a standard deviation of what raters disagree on."""
    lengths: np.ndarray
    """[pairs, 2] characters."""
    texts: tuple[tuple[str, str], ...]
    """The two responses."""
    prompts: tuple[str, ...]
    niche: np.ndarray
    """Whether the minority wants the opposite."""
    clear: np.ndarray
    """Pairs that nobody doubts, but for a minority where it is their niche."""
    taste: float
    noise: float
    tie: float
    """A gap below it is called a tie."""


def pandalm(folder: Path) -> World:
    """644 pairs with three annotators; ties are common."""
    lines = (folder / "pandalm" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    pairs, gaps = [], []
    for row in rows:
        votes = [{0: 0.0, 1: 1.0, 2: -1.0}[int(row[f"annotator{n}"])] for n in (1, 2, 3)]
        pairs.append((f"{row['instruction']}\n{row['input']}", row["response1"], row["response2"]))
        gaps.append(1.5 * float(np.mean(votes)))
    return _world("PandaLM", pairs, gaps, taste=0.35, noise=0.35, tie=0.25)


def hh_harmless(folder: Path) -> World:
    """1,533 dialogues of which people preferred one."""
    with gzip.open(folder / "hh_harmless" / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    marker = "\n\nAssistant:"
    pairs, gaps = [], []
    for row in rows:
        prompt, _, chosen = row["chosen"].rpartition(marker)
        rejected = row["rejected"].rpartition(marker)[2]
        pairs.append((prompt, chosen, rejected))
        gaps.append(_size(digest([row["chosen"], row["rejected"]])))
    return _world("HH-RLHF harmless", pairs, gaps, taste=0.6, noise=0.45, tie=0.0)


def _size(name: str) -> float:
    """The size of a gap: half-normal, the same for the same pair."""
    return 1.2 * abs(float(np.random.default_rng(int(name[:12], 16)).normal()))


def _world(
    name: str, pairs: Sequence[tuple[str, str, str]], gaps: Sequence[float], **more: float
) -> World:
    gap, texts, prompts = [], [], []
    for (prompt, one, other), size in zip(pairs, gaps, strict=True):
        if one == other:
            continue
        turned = digest(one) > digest(other)
        first, second = (other, one) if turned else (one, other)
        gap.append(-size if turned else size)
        texts.append((first, second))
        prompts.append(digest(prompt)[:12])
    niche = np.array([int(prompt, 16) % 1000 < 1000 * NICHE for prompt in prompts])
    size = np.abs(np.array(gap))
    clear = size >= np.quantile(size, 0.85)
    return World(
        name=name,
        gap=np.array(gap),
        lengths=np.array([(len(first), len(second)) for first, second in texts]),
        texts=tuple(texts),
        prompts=tuple(prompts),
        niche=niche,
        clear=np.flatnonzero(clear),
        **more,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """How a campaign asks."""

    overlap: int
    gold: float
    """Share of tasks with a known answer; where they are paced, twice as many in the first 60."""
    repeats: float
    judgements: int = 60
    of_taste: bool = False
    """Known answers are drawn from prompts on which a minority wants the opposite too."""
    paced: bool = True
    """Known answers and repeats come as campaigns plan them (`accord.collect.pacing`), or else each
    task is drawn."""


@dataclass(kw_only=True, slots=True, eq=False)
class _Desk:
    """What is open, and what was said so far."""

    world: World
    design: Design
    kinds: Sequence[Archetype]
    rng: np.random.Generator
    settings: CampaignSettings
    rows: list[Vote] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    """Judgements of each rater."""
    seats: dict[int, list[int]] = field(default_factory=dict)
    """Open work: pair to the raters who had it."""
    fresh: list[int] = field(default_factory=list)
    said: dict[tuple[str, int], int] = field(default_factory=dict)
    """(task, rater) to the answer: 1 the first is better, -1 the second, 0 a tie."""
    tastes: np.ndarray = field(default_factory=lambda: np.zeros(0))
    skill: np.ndarray = field(default_factory=lambda: np.zeros(0))


def simulate(world: World, kinds: Sequence[Archetype], design: Design, seed: int) -> Votes:
    """One campaign: every rater gives `design.judgements`, tasks drawn as when assigning."""
    rng = np.random.default_rng(seed)
    settings = CampaignSettings(
        name="bench",
        guideline="bench",
        gold_share=design.gold,
        repeat_share=design.repeats,
        repeat_after=REPEAT_AFTER,
        seed=seed,
    )
    desk = _Desk(
        world=world,
        design=design,
        kinds=kinds,
        rng=rng,
        settings=settings,
        done=[0] * len(kinds),
    )
    desk.tastes = rng.normal(size=(len(kinds), len(world.gap))) * world.taste
    for rater, kind in enumerate(kinds):
        if kind is Archetype.TWIN:
            desk.tastes[rater] = desk.tastes[source_of(rater)]
    desk.skill = np.exp(rng.normal(size=len(kinds)) * 0.25)
    sure = world.clear if design.of_taste else world.clear[~world.niche[world.clear]]
    gold = rng.choice(sure, size=min(40, len(sure)), replace=False)
    desk.fresh = rng.permutation(np.setdiff1d(np.arange(len(world.gap)), gold)).tolist()
    for _ in range(design.judgements):
        for rater in rng.permutation(len(kinds)):
            _judge(desk, int(rater), gold)
    return Votes(rows=tuple(desk.rows), states={name_of(r): "new" for r in range(len(kinds))})


def name_of(rater: int) -> str:
    """Name of the rater with this number."""
    return f"r{rater:02d}"


def source_of(rater: int) -> int:
    """Whom a copycat copies."""
    return rater - 1 if rater else 1


def _judge(desk: _Desk, rater: int, gold: np.ndarray) -> None:
    wanted = _purpose(desk, rater)
    desk.done[rater] += 1
    purpose, repeats, pair = Purpose.WORK, None, None
    if wanted is Purpose.GOLD:
        pair = _unseen(desk, rater, gold)
        purpose = Purpose.GOLD if pair is not None else purpose
    elif wanted is Purpose.REPEAT:
        pair = _old(desk, rater)
        if pair is not None:
            purpose, repeats = Purpose.REPEAT, f"w{pair}"
    if pair is None:
        pair = _open(desk, rater)
    letter = {Purpose.WORK: "w", Purpose.GOLD: "g", Purpose.REPEAT: f"x{rater}-"}[purpose]
    task = f"{letter}{pair}"
    shown = (0, 1) if desk.rng.random() < 0.5 else (1, 0)
    if repeats is not None:
        before = next(r for r in desk.rows if r.rater == name_of(rater) and r.task == repeats)
        shown = tuple(reversed(before.shown))
    answer = _answer(desk, rater, pair, repeats or task, shown)
    desk.said[task, rater] = answer
    tiers = {1: (0, 1), -1: (1, 0), 0: (0, 0)}[answer]
    known = ((0, 1) if desk.world.gap[pair] > 0 else (1, 0)) if purpose is Purpose.GOLD else None
    desk.rows.append(
        Vote(
            seq=len(desk.rows) + 1,
            task=task,
            prompt=desk.world.prompts[pair],
            rater=name_of(rater),
            kind=RaterKind.SYNTHETIC,
            purpose=purpose,
            verdict=Verdict.TIE if answer == 0 else Verdict.RANKING,
            tiers=tiers,
            responses=(f"{pair}a", f"{pair}b"),
            shown=shown,
            time=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=len(desk.rows)),
            gold=known,
            repeats=repeats,
            lengths=(int(desk.world.lengths[pair, 0]), int(desk.world.lengths[pair, 1])),
        )
    )


def _purpose(desk: _Desk, rater: int) -> Purpose:
    design, number = desk.design, desk.done[rater]
    if design.paced:
        return due(desk.settings, name_of(rater), number)
    chance = desk.rng.random()
    if chance < design.gold:
        return Purpose.GOLD
    return Purpose.REPEAT if chance < design.gold + design.repeats else Purpose.WORK


def _unseen(desk: _Desk, rater: int, gold: np.ndarray) -> int | None:
    left = [int(pair) for pair in gold if (f"g{pair}", rater) not in desk.said]
    return int(desk.rng.choice(left)) if left else None


def _old(desk: _Desk, rater: int) -> int | None:
    mine = [row for row in desk.rows if row.rater == name_of(rater)]
    again = {row.repeats for row in mine}
    old = [
        int(row.task[1:])
        for row in mine[:-REPEAT_AFTER]
        if row.purpose is Purpose.WORK and row.task not in again
    ]
    return int(desk.rng.choice(old)) if old else None


def _open(desk: _Desk, rater: int) -> int:
    near = [pair for pair, had in desk.seats.items() if rater not in had][:NEAREST]
    while len(near) < NEAREST and desk.fresh:
        near.append(desk.fresh.pop())
        desk.seats[near[-1]] = []
    pair = int(desk.rng.choice(near))
    desk.seats[pair].append(rater)
    if len(desk.seats[pair]) >= desk.design.overlap:
        del desk.seats[pair]
    return pair


def _answer(desk: _Desk, rater: int, pair: int, task: str, shown: tuple[int, ...]) -> int:
    kind, world = desk.kinds[rater], desk.world
    guess = 1 if desk.rng.random() < 0.5 else -1
    by_kind: dict[Archetype, Callable[[], int]] = {
        Archetype.RANDOM: lambda: guess,
        Archetype.FIRST: lambda: 1 if shown[0] == 0 else -1,
        Archetype.LONGEST: lambda: 1 if world.lengths[pair, 0] >= world.lengths[pair, 1] else -1,
        Archetype.PEEKER: lambda: _latest(desk, rater, task, guess),
        Archetype.NEIGHBOUR: lambda: desk.said.get((task, source_of(rater)), guess),
        Archetype.TWIN: lambda: desk.said.get((task, source_of(rater)), _look(desk, rater, pair)),
    }
    if kind in by_kind:
        return by_kind[kind]()
    secret = np.random.default_rng([pair, 20_251]).random(2)
    if secret[0] < AGREED.get(kind, 0.0):
        return 1 if secret[1] < 0.5 else -1
    seen = _look(desk, rater, pair, turned=kind is Archetype.MINORITY and bool(world.niche[pair]))
    turn = kind is Archetype.INVERTED and desk.rng.random() < 0.1
    return -seen if turn else seen


def _latest(desk: _Desk, rater: int, task: str, guess: int) -> int:
    there = [row for row in desk.rows if row.task == task and row.rater != name_of(rater)]
    return desk.said[task, int(there[-1].rater[1:])] if there else guess


def _look(desk: _Desk, rater: int, pair: int, *, turned: bool = False) -> int:
    world, rng = desk.world, desk.rng
    gap = -world.gap[pair] if turned else world.gap[pair]
    seen = gap + desk.tastes[rater, pair] + rng.normal() * world.noise * desk.skill[rater]
    if rng.random() < SLIP:
        seen = rng.normal()
    return 0 if abs(seen) < world.tie else (1 if seen > 0 else -1)
