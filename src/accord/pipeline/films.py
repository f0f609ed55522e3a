"""The film reviews of the quickstart, put into a workspace as imported sets.

Snippets with human ratings (Hutto and Gilbert 2014, in the source distribution of vaderSentiment)
are split into parts that share no text. What each part becomes:

films         demonstrations  what SFT imitates
films-best    demonstrations  the best-rated texts of the reward model's part: a baseline
films-pairs   preferences     comparisons derived from ratings; held out are pairs of other texts
films         prompts         three-word openings; held out are those of other texts
films-judge   ratings         what the judge is made of
films-raters  ratings         what simulated raters go by
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accord.collect.films import DATA_SHA256, FilmParts, film_openings, film_parts
from accord.collect.rated import DERIVED, Rated, soft_label
from accord.collect.rated_pairs import gap_pairs, grouped_pairs, human_ceiling
from accord.core.types import (
    Comparison,
    Conversation,
    Demonstration,
    Message,
    Prompt,
    RatedResponse,
    Speaker,
    Split,
)
from accord.pipeline.workspace import Workspace
from accord.store.datasets import Row, write_dataset
from accord.store.splits import Splitter, Unit

SOURCE = "film reviews, vaderSentiment 3.3.2"
LEAST_GAP = 1.0
"""Difference of mean ratings from which a held-out pair counts."""
HELD_OUT = 0.5
"""Share of all possible openings that is held out. Which ones is decided by their words, and the
text behind a held-out one is no demonstration: half of both parts stays unused for it."""
TRIED = 0.15
"""Share of the judge's texts that it is tried on."""
TESTED = 0.18
"""Share of the reward model's texts that it is tried on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmSets:
    """How much of the snippets is used, and how they are asked for."""

    asked: str
    """The user's message before every review."""
    system: str
    demonstrations: int
    best: int
    """Best-rated texts of the reward model's part, for the stage `top`."""
    reward_texts: int
    """Texts in training comparisons."""
    group: int = 6
    """Texts of which each two are compared: a step reads each text once for all its pairs."""
    test_pairs: int = 2500
    raters: int = 600
    seed: int = 0


def bring_films(
    workspace: Workspace, archive: Path, sets: FilmSets, *, sha256: str | None = DATA_SHA256
) -> dict[str, int]:
    """Write and name the sets; rows of each, train and held out. What is there is replaced.

    `sha256` is what the data must have; None takes any. Raises DataError where `archive` is not
    what was promised, WorkspaceError where the disk refuses.
    """
    parts = film_parts(archive, seed=sets.seed, sha256=sha256)
    asked = Conversation.of(sets.asked, system=sets.system)
    rewarded = [*parts.reward, *parts.reward_test]
    split = Splitter(unit=Unit.RESPONSE, dev=TESTED)
    train = [one for one in rewarded if split.of_response(one.text) is Split.TRAIN]
    test = [one for one in rewarded if split.of_response(one.text) is Split.DEV]
    train = _some(train, sets.reward_texts, sets.seed)
    shown = _some(parts.demonstrations, sets.demonstrations, sets.seed)
    best = sorted(train, key=lambda one: (-_mean(one), one.text))[: sets.best]
    tested = gap_pairs(test, least=LEAST_GAP, count=sets.test_pairs, seed=sets.seed)
    learnt = grouped_pairs(train, size=sets.group, seed=sets.seed)
    pairs = [
        *(_derived(train[first], train[second], asked) for first, second in learnt),
        *(_derived(test[first], test[second], asked) for first, second in tested),
    ]
    ceiling = human_ceiling(test, tested)
    notes = {
        "human_ceiling": {"value": ceiling.estimate, "low": ceiling.low, "high": ceiling.high},
        "texts": {"train": len(train), "dev": len(test)},
        "least_gap": LEAST_GAP,
    }
    return {
        **_write(workspace, "films", "demonstrations", _told(shown, asked), unit="response"),
        **_write(workspace, "films-best", "demonstrations", _told(best, asked), unit="response"),
        **_write(
            workspace, "films-pairs", "preferences", pairs, unit="response", dev=TESTED, notes=notes
        ),
        **_write(workspace, "films", "prompts", _prompts(parts, asked), dev=HELD_OUT),
        **_write(
            workspace,
            "films-judge",
            "ratings",
            _rated(parts.judge, len(parts.judge), asked, sets),
            unit="response",
            dev=TRIED,
        ),
        **_write(
            workspace, "films-raters", "ratings", _rated(parts.raters, sets.raters, asked, sets)
        ),
    }


def _write(
    workspace: Workspace,
    name: str,
    kind: str,
    rows: Iterable[Row],
    *,
    unit: str = "prompt",
    dev: float = 0.0,
    notes: Mapping[str, object] | None = None,
) -> dict[str, int]:
    workspace.artifacts.mkdir(exist_ok=True)
    written = workspace.artifacts / f".{name}-{kind}"
    shutil.rmtree(written, ignore_errors=True)  # of a run that was killed
    made = write_dataset(written, rows, kind=kind, source=SOURCE, unit=unit, dev=dev, notes=notes)
    folder = workspace.artifacts / f"{name}-{kind}-{made.digest[:16]}"
    if folder.exists():
        shutil.rmtree(written)
    else:
        written.rename(folder)
    workspace.point(name, {kind: (folder, made.digest)})
    return {f"{kind}/{name}": made.rows}


def _told(rated: Iterable[Rated], asked: Conversation) -> Iterator[Row]:
    for one in rated:
        yield Demonstration(conversation=asked.answered(one.text), source=SOURCE)


def _rated(rated: Sequence[Rated], most: int, asked: Conversation, sets: FilmSets) -> Iterator[Row]:
    for one in _some(rated, most, sets.seed):
        yield RatedResponse(
            prompt=asked, response=one.text, ratings=tuple(map(float, one.ratings)), source=SOURCE
        )


def _prompts(parts: FilmParts, asked: Conversation) -> Iterator[Row]:
    """Openings of demonstrations to train on, and of other texts to be held out."""
    split = Splitter(dev=HELD_OUT)
    found = film_openings(parts)
    for wanted, begun in ((Split.TRAIN, found.training), (Split.DEV, found.evaluation)):
        for opening in begun:
            last = Message(role=Speaker.OPENING, content=opening)
            conversation = Conversation((*asked.messages, last))
            prompt = Prompt(conversation=conversation, source=SOURCE)
            if split.split(prompt) is wanted:
                yield prompt


def _derived(first: Rated, second: Rated, asked: Conversation) -> Comparison:
    label = soft_label(first.ratings, second.ratings)
    return Comparison(
        prompt=asked,
        responses=(first.text, second.text),
        tiers=(0, 0) if label == 0.5 else (0, 1) if label > 0.5 else (1, 0),
        label=label,
        source=DERIVED,
    )


def _mean(rated: Rated) -> float:
    return sum(rated.ratings) / len(rated.ratings)


def _some(rated: Sequence[Rated], most: int, seed: int) -> list[Rated]:
    """At most so many, drawn by seed."""
    rows = list(rated)
    return random.Random(f"accord films {seed}").sample(rows, most) if most < len(rows) else rows
