"""Published data sets and exports of other tools: what rows become, and why some are left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accord.collect.formats import Unjudged, format_of
from accord.collect.formats.shape import Row
from accord.collect.gathering import MOST_TOGETHER
from accord.collect.importing import RowReader, import_file
from accord.collect.records import Rejected
from accord.core.types import Comparison, Conversation, Message, Speaker
from tests.collect.samples import completion, spoken

Data = dict[str, Any]
PROMPT = Conversation.of("Hi")
RATINGS = {"helpfulness": 3, "correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 2}


def rated(prompt: str, response: str, helpfulness: object) -> Data:
    """A row of HelpSteer."""
    return {"prompt": prompt, "response": response, **RATINGS, "helpfulness": helpfulness}


def compared(
    *responses: str, tiers: tuple[int, ...], source: str = "f", strength: int | None = None
) -> Comparison:
    return Comparison(
        prompt=PROMPT, responses=responses, tiers=tiers, source=source, strength=strength
    )


def aspects(response: str, **ratings: object) -> Data:
    """A completion with these ratings alone."""
    notes = {aspect: {"Rating": rating} for aspect, rating in ratings.items()}
    return {"response": response, "annotations": notes}


GOOD: dict[str, list[tuple[list[Data], list[Row]]]] = {
    "ultrafeedback": [
        (
            [
                {
                    "instruction": "Hi",
                    "source": "flan",
                    "completions": [
                        completion("a", "3"),
                        completion("b", "5"),
                        completion("c", "3"),
                        completion("d", "1"),
                    ],
                }
            ],
            [
                compared(
                    *"abcd",
                    tiers=(1, 0, 1, 2),
                    source="derived from UltraFeedback ratings: flan",
                )
            ],
        ),
        (
            # Honesty is not rated for b: it counts for nobody, and a leads no longer.
            [
                {
                    "instruction": "Hi",
                    "completions": [
                        aspects("a", honesty="5", truthfulness="2", helpfulness=3),
                        aspects("b", honesty="N/A", truthfulness="3", helpfulness="3"),
                    ],
                }
            ],
            [compared("a", "b", tiers=(1, 0), source="derived from UltraFeedback ratings: f")],
        ),
    ],
    "ultrafeedback-binarized": [
        (
            [
                {
                    "prompt": "Hi",
                    "prompt_id": "x",
                    "chosen": spoken("Hi", "a"),
                    "rejected": spoken("Hi", "b"),
                    "messages": spoken("Hi", "a"),
                    "score_chosen": 8.5,
                    "score_rejected": score,
                }
            ],
            [compared("a", "b", tiers=tiers, source="derived from scores: f")],
        )
        for score, tiers in ((7.0, (0, 1)), (8.5, (0, 0)))
    ],
    "helpsteer": [
        (
            [rated("Hi", "a", 3), rated("Hi", "b", 4.0), rated("Hi", "c", 3), rated("Hi", "d", 0)],
            [compared(*"abcd", tiers=(1, 0, 1, 2), source="derived from HelpSteer ratings: f")],
        )
    ],
    "helpsteer2-preference": [
        (
            [
                {"prompt": "Hi", "response_1": "a", "response_2": "b", "split": "train"}
                | {"preference_strength": said}
            ],
            [compared("a", "b", tiers=tiers, strength=strength)],
        )
        for said, tiers, strength in (
            (-3, (0, 1), 4),
            (-2, (0, 1), 3),
            (-1, (0, 1), 2),
            (0, (0, 0), None),
            (1, (1, 0), 2),
            (3, (1, 0), 4),
        )
    ],
    "helpsteer3-preference": [
        (
            [
                {
                    "domain": "general",
                    "context": [{"role": "user", "content": "Hi"}],
                    "response1": "a",
                    "response2": "b",
                    "overall_preference": 2,
                    "individual_preference": [{"score": 2, "reasoning": "so"}],
                }
            ],
            [compared("a", "b", tiers=(1, 0), strength=3)],
        )
    ],
}
CASES = [(name, rows, made) for name, cases in GOOD.items() for rows, made in cases]


def reader(folder: Path, *rows: object, format: str = "auto") -> RowReader:  # noqa: A002
    path = folder / "f.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RowReader(path, format=format, source="f")


def read(
    folder: Path,
    *rows: object,
    format: str = "auto",  # noqa: A002
) -> list[Row | Unjudged | Rejected]:
    return list(reader(folder, *rows, format=format))


def told(items: list[Any]) -> list[str]:
    """Reasons why something was left out."""
    return [str(item) for item in items if isinstance(item, Rejected)]


@pytest.mark.parametrize(("name", "rows", "made"), CASES)
def test_good_rows_become_what_they_say(
    tmp_path: Path, name: str, rows: list[Data], made: list[Row]
) -> None:
    assert {format_of({k for k, v in row.items() if v is not None}, row).name for row in rows} == {
        name
    }
    assert read(tmp_path, *rows) == made


UF: Data = {"instruction": "Hi", "completions": [completion("a", "3"), completion("b", "5")]}
BINARIZED: Data = GOOD["ultrafeedback-binarized"][0][0][0]
STRENGTH: Data = GOOD["helpsteer2-preference"][0][0][0]
CONTEXT: Data = GOOD["helpsteer3-preference"][0][0][0]
TURN = "a\n<extra_id_1>Assistant\nb\n<extra_id_1>User\nc"

BAD: list[tuple[Data, str | None, str]] = [
    (UF | {"instruction": " "}, "instruction", "is empty"),
    (UF | {"completions": []}, "completions", "is an empty list"),
    (UF | {"completions": [completion("a", "3")]}, "completions", "fewer than two"),
    (
        UF | {"completions": [aspects("a", honesty="1"), aspects("b", helpfulness="1")]},
        "completions",
        "no aspect in which every completion is rated",
    ),
    (UF | {"completions": [completion("a", "3"), completion("a", "5")]}, None, "than itself"),
    (BINARIZED | {"score_chosen": 1}, "score_rejected", "higher than the score of the chosen"),
    (BINARIZED | {"score_rejected": "7"}, "score_rejected", "must be a number"),
    (BINARIZED | {"messages": spoken("Hi", "c")}, "messages", "neither the chosen conversation"),
    (BINARIZED | {"prompt": "Ho"}, "chosen", "does not continue the prompt"),
    (rated("Hi", "a", 3), None, "no other response to its prompt stands beside it"),
    (rated("", "a", 3), "prompt", "is empty"),
    (rated("Hi", "a", 3) | {"verbosity": 5}, "verbosity", "from 0 to 4, got 5"),
    (STRENGTH | {"preference_strength": 4}, "preference_strength", "from -3 to 3, got 4"),
    (STRENGTH | {"preference_strength": 0.5}, "preference_strength", "whole number"),
    (STRENGTH | {"preference_strength": True}, "preference_strength", "true or false"),
    (STRENGTH | {"response_2": ""}, "response_2", "is empty"),
    (STRENGTH | {"response_2": "a"}, None, "better than itself"),
    (
        STRENGTH | {"prompt": "a\n<extra_id_1>Assistant\nb"},
        "prompt",
        "ends with a turn of the assistant",
    ),
    (STRENGTH | {"prompt": "a\n<extra_id_1>User\nb"}, "prompt", "two turns of the user"),
    (STRENGTH | {"prompt": TURN + "<extra_id_1>"}, "prompt, turn 3", "where no turn begins"),
    (STRENGTH | {"prompt": TURN[:-1]}, "prompt, turn 3", "is empty"),
    (CONTEXT | {"context": spoken("Hi", "a")}, "context", "ends with an assistant message"),
    (CONTEXT | {"overall_preference": -4}, "overall_preference", "from -3 to 3"),
    (CONTEXT | {"response1": None}, None, "which lacks response1"),
]


@pytest.mark.parametrize(("row", "column", "why"), BAD)
def test_a_bad_row_is_listed_with_row_column_and_reason(
    tmp_path: Path, row: Data, column: str | None, why: str
) -> None:
    _, bad = read(tmp_path, {"prompt": "Hi"}, row)
    assert isinstance(bad, Rejected)
    assert (bad.row, bad.column) == (2, column)
    assert why in bad.why


def test_a_bad_completion_is_left_out_alone(tmp_path: Path) -> None:
    bad = [
        aspects("", honesty="5"),
        aspects("d", honesty="6"),
        aspects("e", honesty="N/A"),
        aspects("f", honesty={}),
        {"response": "g"},
    ]
    row = UF | {"completions": [*UF["completions"], *bad]}
    items = read(tmp_path, row)
    source = "derived from UltraFeedback ratings: f"
    assert items[-1] == compared("a", "b", tiers=(1, 0), source=source)
    assert told(items) == [
        "row 1, completions[2].response: is empty",
        "row 1, completions[3].annotations.honesty.Rating: must be 1 to 5 or N/A, got '6'",
        "row 1, completions[4].annotations: is rated in no aspect",
        "row 1, completions[5].annotations.honesty.Rating: must be a number, got an object",
        "row 1, completions[6].annotations: must be an object, got null",
    ]


def test_aspects_are_criteria_where_they_are_asked_for(tmp_path: Path) -> None:
    """Each orders the completions that are rated in it; ratings that are equal are a tie."""
    row = {
        "instruction": "Hi",
        "completions": [
            aspects("a", honesty="5", helpfulness="2"),
            aspects("b", helpfulness="4"),
            aspects("c", honesty="5", helpfulness="1"),
        ],
    }
    source = "derived from UltraFeedback ratings: f"
    whole = compared(*"abc", tiers=(1, 0, 2), source=source)
    assert read(tmp_path, row) == [whole]
    assert read(tmp_path, row, format="ultrafeedback-aspects") == [
        whole,
        replace(compared("a", "c", tiers=(0, 0), source=source), criterion="honesty"),
        replace(whole, criterion="helpfulness"),
    ]


def test_attributes_are_criteria_where_they_are_asked_for(tmp_path: Path) -> None:
    rows = [
        rated("Hi", "a", 1) | {"verbosity": 3, "correctness": 0},
        rated("Hi", "b", 2) | {"verbosity": 1, "correctness": 0},
        rated("Ho", "c", 1),
    ]
    whole = compared("a", "b", tiers=(1, 0), source="derived from HelpSteer ratings: f")
    assert read(tmp_path, *rows[:2]) == [whole]
    found = read(tmp_path, *rows, format="helpsteer-attributes")
    made = {one.criterion: one for one in found if isinstance(one, Comparison)}
    assert made.keys() == {"", "coherence", "complexity", "correctness", "verbosity"}
    assert made[""] == whole
    assert made["verbosity"] == replace(whole, tiers=(0, 1), criterion="verbosity")
    assert made["correctness"].tiers == (0, 0)
    (why,) = told(found)
    assert why.startswith("row 3: no other response to its prompt stands beside it")
    path = tmp_path / "two.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = import_file(path, tmp_path / "out", format="helpsteer-attributes", dev=0.0)
    (one,) = report.datasets
    assert (report.rejected, one.manifest.rows) == (1, 5)


def test_turns_of_a_prompt_are_told_apart(tmp_path: Path) -> None:
    (row,) = read(tmp_path, STRENGTH | {"prompt": TURN})
    roles = (Speaker.USER, Speaker.ASSISTANT, Speaker.USER)
    turns = (Message(role=r, content=t) for r, t in zip(roles, "abc", strict=True))
    assert isinstance(row, Comparison)
    assert row.prompt == Conversation(tuple(turns))


def test_ratings_of_a_prompt_are_gathered_where_they_stand_together(tmp_path: Path) -> None:
    rows = [
        rated("Hi", "a", 1),
        rated("Hi", "b", [3, 3, 4]),  # HelpSteer2's disagreements
        rated(" ", "b", 1),
        rated("Hi", "c", 2),
        rated("Ho", "d", 1),
        {"prompt": "Ha"},
        rated("Ho", "e", 1),
        rated("Hi", "a", 1),
        rated("Hi", "a", 2),
    ]
    source = reader(tmp_path, *rows)
    items = list(source)
    made = [item for item in items if isinstance(item, Comparison)]
    assert made == [compared("a", "c", tiers=(1, 0), source="derived from HelpSteer ratings: f")]
    alone = "no other response to its prompt stands beside it, and nothing is said of one alone"
    assert told(items) == [
        "row 3, prompt: is empty",
        "row 2, helpfulness: must be a number, got a list",
        f"row 5: {alone}; sort the rows by prompt",
        f"row 7: {alone}; sort the rows by prompt",
        "row 8: the same response is said to be better than itself",
        "row 9: the same response is said to be better than itself",
    ]
    assert source.joined == 1
    assert len(items) + source.joined == len(rows)


def test_rows_of_one_prompt_are_held_up_to_a_limit(tmp_path: Path) -> None:
    def lines(count: int) -> Iterator[str]:
        return (json.dumps(rated("Hi", f"{i}", i % 5)) + "\n" for i in range(count))

    (tmp_path / "f.jsonl").write_text("".join(lines(MOST_TOGETHER + 3)))
    made = list(RowReader(tmp_path / "f.jsonl"))
    assert [len(item.responses) for item in made if isinstance(item, Comparison)] == [
        MOST_TOGETHER,
        3,
    ]


def test_an_import_says_how_many_rows_were_joined(tmp_path: Path) -> None:
    rows = [rated(f"prompt {i // 4}", f"answer {i}", i % 5) for i in range(40)]
    report = import_file(reader(tmp_path, *rows).path, tmp_path / "out")
    (made,) = report.datasets
    assert (report.rows, report.joined, report.rejected, made.manifest.rows) == (40, 30, 0, 10)
    assert made.manifest.notes["joined"] == 30
