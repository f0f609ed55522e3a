"""Which rows a stage is given: nothing held out was trained on, and a part is a fair draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from accord.core.errors import DataError
from accord.core.types import Comparison, Conversation, Demonstration, Prompt, Split
from accord.models.machine import resolve
from accord.pipeline.config import WorldConfig
from accord.pipeline.stage import Artifact, Stage, StageContext
from accord.pipeline.stages import data
from accord.store.datasets import Dataset, write_dataset

ASKED = [f"question {i}" for i in range(300)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Worldless:
    """A stage's settings, as far as its data go."""

    world: WorldConfig | None = None


def comparison(text: str, first: str = "yes", second: str = "no") -> Comparison:
    return Comparison(prompt=Conversation.of(text), responses=(first, second), tiers=(0, 1))


def demonstration(text: str) -> Demonstration:
    return Demonstration(conversation=Conversation.of(text).answered("yes"))


def prompt(text: str) -> Prompt:
    return Prompt(conversation=Conversation.of(text))


def context(folder: Path, **sets: tuple[Iterable[object], dict[str, object]]) -> StageContext:
    """A stage that reads these sets; `a_preferences` becomes the set `preferences/a`."""
    inputs = {}
    for key, (rows, how) in sets.items():
        name, _, kind = key.partition("_")
        place = folder / key
        write_dataset(place, rows, kind=kind, source="test", **how)  # type: ignore[arg-type]
        inputs[f"{kind}/{name}"] = Artifact(
            name=f"{kind}/{name}", kind=kind, key=key, folder=place, digest=""
        )
    stage = Stage(name="any", kind="any", config=Worldless(), body=lambda _: iter(()))
    return StageContext(stage=stage, inputs=inputs, output=folder, machine=resolve("float32"))


def openings(rows: Iterable[Comparison | Demonstration | Prompt]) -> set[str]:
    """The first message of every row."""
    return {
        (row.prompt if isinstance(row, Comparison) else row.conversation).messages[0].content
        for row in rows
    }


def test_sets_split_alike_share_nothing_and_lose_nothing(tmp_path: Path) -> None:
    one, two = ASKED[:200], ASKED[100:]
    given = context(
        tmp_path,
        a_preferences=(map(comparison, one), {"dev": 0.2}),
        b_preferences=(map(comparison, two), {"dev": 0.2}),
    )
    train, dev = (list(data.comparisons(given, split)) for split in (Split.TRAIN, Split.DEV))
    assert len(train) + len(dev) == 400
    assert not openings(train) & openings(dev)


def test_what_reads_comparisons_gets_those_about_the_whole_answer(
    tmp_path: Path,
) -> None:
    """Others are left out, noted and told, once."""
    rows = [
        replace(comparison(text), criterion=("", "safety", "wit", "safety")[n % 4])
        for n, text in enumerate(ASKED[:40])
    ]
    given = context(tmp_path, a_preferences=(rows, {"dev": 0.0}))
    assert [row.criterion for row in data.comparisons(given, Split.TRAIN)] == [""] * 10
    assert given.notes["other_criteria"] == {"safety": 20, "wit": 10}
    assert len(list(data.comparisons(given, Split.TRAIN, criteria=("safety",)))) == 20
    assert len(list(data.comparisons(given, Split.TRAIN, criteria=None))) == 40
    assert given.notes["other_criteria"] == {"safety": 20, "wit": 10}


def test_a_comparison_whose_prompt_another_set_trains_on_is_not_held_out(tmp_path: Path) -> None:
    """With another share held out, the same prompt is train in one set and dev in the other."""
    given = context(
        tmp_path,
        a_preferences=(map(comparison, ASKED), {"dev": 0.1}),
        b_preferences=(map(comparison, ASKED), {"dev": 0.1, "test": 0.1}),
    )
    train, dev = (list(data.comparisons(given, split)) for split in (Split.TRAIN, Split.DEV))
    assert dev
    assert not openings(train) & openings(dev)


def test_a_response_that_another_set_trains_on_is_not_held_out(tmp_path: Path) -> None:
    """As above, with one prompt for everything and sets that are split by response."""
    rows = [comparison("one", f"text {i}", f"text {(7 * i + 1) % 400}") for i in range(400)]
    given = context(
        tmp_path,
        a_preferences=(rows, {"dev": 0.3, "unit": "response"}),
        b_preferences=(rows, {"dev": 0.1, "unit": "response"}),
    )
    train, dev = (list(data.comparisons(given, split)) for split in (Split.TRAIN, Split.DEV))
    trained = {text for row in train for text in row.responses}
    assert dev
    assert not any(trained & {*row.responses} for row in dev)


def test_a_prompt_that_any_set_trains_on_is_not_held_out(tmp_path: Path) -> None:
    given = context(
        tmp_path,
        a_prompts=(map(prompt, ASKED), {"dev": 0.4}),
        b_preferences=(map(comparison, ASKED), {"dev": 0.2}),
        c_demonstrations=(map(demonstration, ASKED), {"dev": 0.3}),
    )
    held = openings(data.prompts(given, held_out=True))
    trained = openings(data.comparisons(given, Split.TRAIN))
    trained |= openings(data.demonstrations(given, Split.TRAIN))
    assert 20 < len(held) < 90
    assert not held & trained
    assert "prompts_seen_in_training" not in given.notes


def test_what_is_trained_on_is_told_once_and_whose_opinion_it_is(tmp_path: Path) -> None:
    counts = {"counts": {"kinds": {"human": 4, "synthetic": 296}}}
    given = context(
        tmp_path,
        a_preferences=(map(comparison, ASKED), {"dev": 0.0}),
        b_preferences=(map(comparison, ASKED), {"dev": 0.0, "notes": counts}),
    )
    told: list[str] = []
    given._on_notice = told.append
    for _ in range(2):
        list(data.comparisons(given, Split.TRAIN))
    assert told == ["preferences: a (300 rows); b (300 rows, by human and synthetic raters)"]
    list(data.comparisons(given, Split.DEV))
    assert len(told) == 1


def test_held_out_rows_that_another_set_trains_on_are_counted_and_told(tmp_path: Path) -> None:
    given = context(
        tmp_path,
        a_preferences=(map(comparison, ASKED), {"dev": 0.4}),
        b_preferences=(map(comparison, ASKED), {"dev": 0.2}),
    )
    told: list[str] = []
    given._on_notice = told.append
    sets = [Dataset(artifact.folder) for artifact in given.inputs.values()]
    there = sum(dataset.count(Split.DEV) for dataset in sets)
    for _ in range(2):
        left = list(data.comparisons(given, Split.DEV))
    assert 0 < given.notes["comparisons_trained_on"] == there - len(left)
    assert len(told) == 1
    assert told[0].startswith(f"{there - len(left)} comparisons of the dev split are not used")
    assert sum("are not used" in line for line in told) == 1


def test_one_prompt_for_everything_is_taken_and_noted(tmp_path: Path) -> None:
    rows = (comparison("one for all", f"yes {i}", f"no {i}") for i in range(100))
    given = context(tmp_path, a_preferences=(rows, {"dev": 0.4, "unit": "response"}))
    assert openings(data.prompts(given, held_out=True)) == {"one for all"}
    assert given.notes["prompts_seen_in_training"] is True
    assert openings(data.comparisons(given, Split.DEV)) == {"one for all"}


def test_nothing_held_out_is_an_error(tmp_path: Path) -> None:
    given = context(tmp_path, a_preferences=(map(comparison, ASKED), {"dev": 0.0}))
    with pytest.raises(DataError, match="no dev prompt"):
        list(data.prompts(given, held_out=True))


def test_every_row_is_as_likely_to_be_drawn() -> None:
    """Over 4,000 draws of 3 of 12 each row is drawn 1,000 times, give or take 5 deviations."""
    counts = Counter(row for seed in range(4000) for row in data.drawn(range(12), 3, seed=seed))
    spread = (4000 * 0.25 * 0.75) ** 0.5
    assert set(counts) == set(range(12))
    assert all(abs(count - 1000) < 5 * spread for count in counts.values())


def test_a_draw_is_of_its_seed_and_never_doubles() -> None:
    first, again, other = (data.drawn(range(100), 20, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 20
    assert sorted(data.drawn(range(5), 9, seed=0)) == list(range(5))


def test_the_head_of_what_was_drawn_is_a_draw_too() -> None:
    """The first of 15 of 20 is each row as often: over 4,000 draws 200 times, 5 deviations."""
    counts = Counter(data.drawn(range(20), 15, seed=seed)[0] for seed in range(4000))
    spread = (4000 * 0.05 * 0.95) ** 0.5
    assert set(counts) == set(range(20))
    assert all(abs(count - 200) < 5 * spread for count in counts.values())
