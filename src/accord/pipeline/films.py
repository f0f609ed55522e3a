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
from enum import Enum
from pathlib import Path
from typing import Any

from accord.collect.films import DATA_SHA256, FilmParts, film_openings, film_parts
from accord.collect.rated import Rated, derived
from accord.collect.rated_pairs import gap_pairs, grouped_pairs, human_ceiling
from accord.core.errors import AccordError
from accord.core.hashing import digest, plain
from accord.core.types import (
    Conversation,
    Demonstration,
    Message,
    Prompt,
    RatedResponse,
    Speaker,
    Split,
)
from accord.pipeline.judged import HUMAN_CEILING, RATED
from accord.pipeline.workspace import Workspace
from accord.store.datasets import Row, write_dataset
from accord.store.manifest import DatasetManifest
from accord.store.splits import Splitter, Unit

SOURCE = "film reviews, vaderSentiment 3.3.2"
SETS = (
    ("films", "demonstrations"),
    ("films-best", "demonstrations"),
    ("films-pairs", "preferences"),
    ("films", "prompts"),
    ("films-judge", "ratings"),
    ("films-raters", "ratings"),
)
"""Name and kind of each set."""
MADE_AS = "films"
"""Note of each set: digest of the data, the sizes and the words that it was made with."""
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


class Found(Enum):
    """What a workspace has of the film sets."""

    SAME = "same"
    OTHER = "other"
    """One was made in other sizes, in other words or of other data."""
    MISSING = "missing"


def find_films(workspace: Workspace, sets: FilmSets, *, data: str) -> Found:
    """Whether the film sets are there and made as `sets` says, of the data with this digest.

    A set under one of their names that somebody imported is theirs, and is the same.
    """
    known = _made_as(sets, data)
    try:
        folders = [workspace.dataset(kind, name).folder for name, kind in SETS]
        notes = [DatasetManifest.load(folder).notes for folder in folders]
    except AccordError:
        return Found.MISSING
    same = all(one.get(MADE_AS, known) == known for one in notes)
    return Found.SAME if same else Found.OTHER


def _made_as(sets: FilmSets, data: str) -> str:
    return digest([plain(sets), data, LEAST_GAP, HELD_OUT, TRIED, TESTED])


def bring_films(
    workspace: Workspace, archive: Path, sets: FilmSets, *, sha256: str | None = DATA_SHA256
) -> dict[str, int]:
    """Write and name the sets; rows of each, train and held out. What is there is replaced.

    `sha256` is what the data must have; None takes any. Raises DataError where `archive` is not
    what was promised, WorkspaceError where the disk refuses.
    """
    parts = film_parts(archive, seed=sets.seed, sha256=sha256)
    asked = Conversation.of(sets.asked, system=sets.system)
    split = Splitter(unit=Unit.RESPONSE, dev=TESTED)
    train = [one for one in parts.reward if split.of_response(one.text) is Split.TRAIN]
    test = [one for one in parts.reward if split.of_response(one.text) is Split.DEV]
    train = _some(train, sets.reward_texts, sets.seed)
    shown = _some(parts.demonstrations, sets.demonstrations, sets.seed)
    best = sorted(train, key=lambda one: (-one.mean, one.text))[: sets.best]
    tested = gap_pairs(test, least=LEAST_GAP, count=sets.test_pairs, seed=sets.seed)
    learnt = grouped_pairs(train, size=sets.group, seed=sets.seed)
    pairs = [
        *(derived(train[first], train[second], prompt=asked) for first, second in learnt),
        *(derived(test[first], test[second], prompt=asked) for first, second in tested),
    ]
    ceiling = human_ceiling(test, tested)
    notes = {
        HUMAN_CEILING: {"value": ceiling.estimate, "low": ceiling.low, "high": ceiling.high},
        "texts": {"train": len(train), "dev": len(test)},
        "least_gap": LEAST_GAP,
    }
    made_as = _made_as(sets, parts.data)

    def write(name: str, kind: str, rows: Iterable[Row], **given: Any) -> dict[str, int]:
        return _write(workspace, name, kind, rows, made_as=made_as, **given)

    return {
        **write("films", "demonstrations", _told(shown, asked), unit="response"),
        **write("films-best", "demonstrations", _told(best, asked), unit="response"),
        **write("films-pairs", "preferences", pairs, unit="response", dev=TESTED, notes=notes),
        **write("films", "prompts", _prompts(parts, asked), dev=HELD_OUT),
        **write(
            "films-judge",
            "ratings",
            _rated(parts.judge, len(parts.judge), asked, sets),
            unit="response",
            dev=TRIED,
            notes={RATED: "how positive a text is, from -4 to 4"},
        ),
        **write("films-raters", "ratings", _rated(parts.raters, sets.raters, asked, sets)),
    }


def _write(
    workspace: Workspace,
    name: str,
    kind: str,
    rows: Iterable[Row],
    *,
    made_as: str,
    unit: str = "prompt",
    dev: float = 0.0,
    notes: Mapping[str, object] | None = None,
) -> dict[str, int]:
    workspace.artifacts.mkdir(exist_ok=True)
    written = workspace.artifacts / f".{name}-{kind}"
    shutil.rmtree(written, ignore_errors=True)  # of a run that was killed
    noted = {**(notes or {}), MADE_AS: made_as}
    made = write_dataset(written, rows, kind=kind, source=SOURCE, unit=unit, dev=dev, notes=noted)
    # The same rows may have been made in another way before: that is noted there.
    folder = workspace.artifacts / f"{name}-{kind}-{digest([made.digest, made_as])[:16]}"
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


def _some(rated: Sequence[Rated], most: int, seed: int) -> list[Rated]:
    """At most so many, drawn by seed."""
    rows = list(rated)
    return random.Random(f"accord films {seed}").sample(rows, most) if most < len(rows) else rows
