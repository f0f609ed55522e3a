"""Questions about raters and campaigns of people who answered them, for the tests of groups."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from accord.collect.questions import Question, Questions
from accord.collect.votes import Vote, Votes
from tests.collect.ballots import vote

TOML = """\
consent = "I tell this freely, for figures of five people and more. I can take it back."
[question.field]
text = "What do you work in?"
values = ["law", "art", "trade"]
[question.region]
text = "Where did you grow up?"
values = ["north", "south"]
"""


def questions(*asked: tuple[str, Sequence[str]], k: int = 5) -> Questions:
    """Questions of these names and answers; by default the two of `TOML`."""
    named = asked or (("field", ("law", "art", "trade")), ("region", ("north", "south")))
    return Questions(
        consent="I tell this freely.",
        k=k,
        asked=tuple(Question(name=n, text=f"{n}?", values=tuple(values)) for n, values in named),
    )


def answers(question: str, **sizes: int) -> dict[str, dict[str, str]]:
    """Raters named by their answer and a number: law0, law1 ..."""
    return {
        f"{value}{number}": {question: value}
        for value, size in sizes.items()
        for number in range(size)
    }


def votes_by(tastes: Mapping[str, str], tasks: int, *, seed: int = 0, overlap: int = 9) -> Votes:
    """Work of raters, each with a word of A and B that is repeated over the tasks."""
    rng, rows = random.Random(seed), list[Vote]()
    for task in range(tasks):
        for rater in rng.sample(sorted(tastes), min(overlap, len(tastes))):
            word = tastes[rater]
            tiers = (0, 1) if word[task % len(word)] == "A" else (1, 0)
            rows.append(vote(rater, f"t{task}", tiers, seq=len(rows) + 1))
    return Votes(rows=tuple(rows), states=dict.fromkeys(tastes, "active"))
