"""A small world of opinions with ratings, and the tiny model that reads them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TypeVar

from accord.core.protocols import Row
from accord.models.backbone import Backbone
from accord.rewards.judge import RatingJudge
from accord.rewards.judge_fit import lesson_of
from accord.text.tokenizer import TextTokenizer
from tests.models.workshop import machine

THINGS = ("film", "story", "music", "cast", "ending", "plot", "dialogue", "camera")
GOOD = ("brilliant", "wonderful", "superb", "beautiful", "great", "best", "charming", "perfect")
BAD = ("dull", "boring", "awful", "clumsy", "tired", "worst", "bland", "hollow")
FRAMES = (
    "The {0} is {1}, though the {2} could be {3}.",
    "I found the {0} {1} and the {2} rather {3}.",
    "With a {1} {0} and a {3} {2} it goes on for two hours.",
    "Nobody expects a {1} {0} here; the {2} is {3}.",
)
Made = TypeVar("Made")


def opinions(count: int, *, seed: int) -> tuple[list[str], list[float]]:
    """Texts that say two things of a film, and how far they like it: -2, 0 or 2, and noise."""
    rng = Random(seed)
    texts, ratings = [], []
    for _ in range(count):
        one, other = rng.sample(THINGS, 2)
        first = rng.random() < 0.5
        liked = (first, first == (rng.random() < 0.75))
        said = [rng.choice(GOOD if like else BAD) for like in liked]
        texts.append(rng.choice(FRAMES).format(one, said[0], other, said[1]))
        ratings.append(2.0 * (sum(liked) - 1) + rng.gauss(0, 0.2))
    return texts, ratings


def finished(making: Generator[Row, None, Made]) -> tuple[Made, list[float]]:
    """What a generator returns, and the progress it told before."""
    told: list[float] = []
    while True:
        try:
            told.append(next(making)["progress"])
        except StopIteration as end:
            return end.value, told


def reader(folder: Path) -> tuple[Backbone, TextTokenizer]:
    """The model of a folder, reading some ten texts at a time, and its tokenizer."""
    here = replace(machine(), micro_batch_tokens=1024)
    return Backbone.load(folder, machine=here), TextTokenizer.load(folder)


def taught(folder: Path, *, count: int = 240) -> RatingJudge:
    """A judge of opinions."""
    backbone, tokenizer = reader(folder)
    making = lesson_of(*opinions(count, seed=0), backbone=backbone, tokenizer=tokenizer, made=12)
    return finished(making)[0].fit()
