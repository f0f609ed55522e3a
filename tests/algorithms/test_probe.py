"""A linear probe of a frozen model: what it finds, what it does not look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.probe import probe_leads
from accord.core.types import Comparison, Conversation
from tests.algorithms.loops import template
from tests.models.workshop import load, perturb

WORDS = ("blue", "red", "green", "grey", "round", "soft", "old", "new")


def answers(count: int, *, seed: int) -> list[Comparison]:
    """Of two answers the one that says "yes" is better."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        first = bool(rng.integers(2))
        said = [
            " ".join([*rng.choice(WORDS, size=4), word])
            for word in ("yes", "no")[:: 1 if first else -1]
        ]
        rows.append(
            Comparison(
                prompt=Conversation.of(f"question {seed} {number}"),
                responses=(said[0], said[1]),
                tiers=(0, 1) if first else (1, 0),
            )
        )
    return rows


def told(folder: Path, count: int, *, seed: int) -> TokenComparisons:
    """The same as tokens."""
    rows = answers(count, seed=seed)
    return TokenComparisons.build(rows, template(folder).tokenize_answer, max_tokens=500)


def test_it_finds_what_the_states_tell(tiny_folder: Path) -> None:
    backbone = load(tiny_folder)
    train, held = told(tiny_folder, 120, seed=0), told(tiny_folder, 60, seed=1)
    found = probe_leads(train, held, backbone)
    assert found is not None
    assert found.shape == (60,)
    right = (found > 0) == (held.label_P > 0.5)
    assert right.mean() > 0.9
    again = probe_leads(train, held, backbone)
    assert again is not None
    assert np.array_equal(found, again)


def test_each_criterion_has_a_probe_of_its_own(tiny_folder: Path) -> None:
    """Two that want the contrary of one answer are both found."""
    rows = answers(80, seed=0)
    both = [
        row
        for one in rows
        for row in (
            replace(one, criterion="kind"),
            replace(one, criterion="rude", tiers=(one.tiers[1], one.tiers[0])),
        )
    ]
    data = TokenComparisons.build(
        both,
        template(tiny_folder).tokenize_answer,
        max_tokens=500,
        criteria=("kind", "rude"),
    )
    found = probe_leads(data, data, load(tiny_folder))
    assert found is not None
    for criterion in (0, 1):
        own = data.criterion_P == criterion
        assert ((found > 0) == (data.label_P > 0.5))[own].mean() > 0.9


def test_an_adapter_that_was_trained_takes_no_part(tiny_folder: Path) -> None:
    backbone = load(tiny_folder)
    train, held = told(tiny_folder, 40, seed=0), told(tiny_folder, 10, seed=1)
    bare = probe_leads(train, held, backbone)
    backbone.add_adapter("reward", rank=4, alpha=8, seed=0)
    perturb(backbone, "reward", seed=0)
    backbone.activate(("reward",))
    found = probe_leads(train, held, backbone)
    assert bare is not None
    assert found is not None
    assert np.array_equal(found, bare)


def test_too_few_pairs_have_no_probe(tiny_folder: Path) -> None:
    few, held = told(tiny_folder, 3, seed=0), told(tiny_folder, 10, seed=1)
    assert probe_leads(few, held, load(tiny_folder)) is None
