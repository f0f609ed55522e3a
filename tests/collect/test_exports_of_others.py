"""Trees of messages, and what other tools write of votes: item by item, with the reasons."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.formats import FORMATS, Joined, format_of
from accord.collect.importing import RowReader
from accord.collect.records import Record, Rejected, Unusable
from accord.core.types import Comparison, Conversation, Demonstration, Message, Speaker
from tests.collect.samples import annotation, ranking, said_by
from tests.collect.test_published_formats import Data, read, reader, told

EXPORTED = {"oasst-messages", "oasst-trees", "argilla", "label-studio"}
PROMPT = Conversation.of("Hi")


def talk(*texts: str) -> Conversation:
    """A conversation that the user begins."""
    roles = (Speaker.USER, Speaker.ASSISTANT)
    return Conversation(
        tuple(Message(role=roles[i % 2], content=text) for i, text in enumerate(texts))
    )


# Hi -> a (rank 1) -> why -> long
#    -> b (rank 0) -> who -> x (rank 0), y (rank 0), z (unranked)
#                  -> how (nobody answered)
#    -> c (rank 1)
TREE = said_by(
    "prompter",
    "Hi",
    [
        said_by(
            "assistant", "a", [said_by("prompter", "why", [said_by("assistant", "long", [])])], 1
        ),
        said_by(
            "assistant",
            "b",
            [
                said_by(
                    "prompter",
                    "who",
                    [
                        said_by("assistant", "x", [], 0),
                        said_by("assistant", "y", [], 0),
                        said_by("assistant", "z", []),
                    ],
                    0,
                ),
                said_by("prompter", "how", [], 1),
            ],
            0,
        ),
        said_by("assistant", "c", [], 1),
    ],
)


def flat(node: Any, tree: str = "Hi", parent: str | None = None) -> list[Data]:
    """The messages of a tree, a row each; a message's text is its name."""
    row = {key: value for key, value in node.items() if key != "replies"}
    row |= {"message_id": node["text"], "message_tree_id": tree, "parent_id": parent}
    return [row] + [one for reply in node["replies"] for one in flat(reply, tree, node["text"])]


COMPARED = [
    Comparison(prompt=PROMPT, responses=("a", "b", "c"), tiers=(1, 0, 1), source="f"),
    Comparison(prompt=talk("Hi", "b", "who"), responses=("x", "y"), tiers=(0, 0), source="f"),
]
SHOWN = Demonstration(conversation=talk("Hi", "b", "who", "x"), source="f")
UNUSED = "stands in no comparison of ranked replies and not in the longest conversation"


def test_a_tree_becomes_comparisons_one_demonstration_and_a_list(tmp_path: Path) -> None:
    source = reader(tmp_path, {"message_tree_id": "t", "tree_state": "ready", "prompt": TREE})
    items = list(source)
    assert [item for item in items if not isinstance(item, Rejected)] == [*COMPARED, SHOWN]
    reasons = told(items)
    assert all(UNUSED in why for why in reasons)
    assert [why.split(":")[0] for why in reasons] == [
        "row 1, prompt.replies[0].replies[0]",
        "row 1, prompt.replies[1].replies[1]",
        "row 1, prompt.replies[0].replies[0].replies[0]",
        "row 1, prompt.replies[1].replies[0].replies[2]",
    ]
    assert source.joined == 4  # a, b, c, y
    assert len(items) + source.joined == len(flat(TREE))


@given(st.randoms(use_true_random=False))
def test_messages_of_a_tree_say_the_same_in_any_order(shuffle: random.Random) -> None:
    rows = flat(TREE)
    places = {row["text"]: number for number, row in enumerate(rows)}
    shuffle.shuffle(rows)
    made = FORMATS["oasst-messages"].together
    assert made is not None
    items = list(made.parse([Record(places[row["text"]], row, "f") for row in rows]))
    assert len(items) == len(rows)
    # Among equally ranked replies the first of the file leads, and stands first.
    first = min("xy", key=[row["text"] for row in rows].index)
    shown = [item for item in items if isinstance(item, Demonstration)]
    assert [one.conversation for one in shown] == [talk("Hi", "b", "who", first)]
    ranks = [
        dict(zip(item.responses, item.tiers, strict=True))
        for item in items
        if isinstance(item, Comparison)
    ]
    assert ranks == [dict(zip(one.responses, one.tiers, strict=True)) for one in COMPARED]
    assert sorted(i.row for i in items if isinstance(i, Rejected)) == sorted(
        places[text] for text in ("why", "long", "how", "z")
    )
    assert sum(isinstance(item, Joined) for item in items) == 4


def test_trees_that_stand_together_are_kept_apart(tmp_path: Path) -> None:
    other = said_by("prompter", "Ho", [said_by("assistant", "d", [])])
    rows = flat(TREE) + flat(other, "Ho")
    del rows[0]["parent_id"]  # files may leave out what is null
    items = read(tmp_path, *rows)
    assert [item for item in items if isinstance(item, Comparison)] == COMPARED
    shown = [item for item in items if isinstance(item, Demonstration)]
    assert shown == [SHOWN, Demonstration(conversation=talk("Ho", "d"), source="f")]


SPOILT: list[tuple[str, Data, list[str]]] = [
    ("b", {"text": " "}, ["text: is empty", *["follows a message"] * 5]),
    ("b", {"deleted": True}, ["deleted: is true", *["follows a message"] * 5]),
    ("x", {"review_result": False}, ["review_result: is false", UNUSED, UNUSED]),
    ("x", {"role": "prompter"}, ["role: must be assistant here, got 'prompter'"]),
    ("x", {"role": "system"}, ["role: must be assistant here, got 'system'"]),
    ("x", {"rank": -1}, ["rank: must be a whole number from 0 to 65536, got -1"]),
    ("x", {"rank": True}, ["rank: must be a number, got true or false"]),
    ("c", {"message_id": "a"}, ["message_id: is that of an earlier row"]),
    ("c", {"message_id": 3}, ["message_id: must be text"]),
    ("c", {"parent_id": "gone"}, ["parent_id: is no row of the tree beside it"]),
    ("c", {"source": 3}, ["source: must be text"]),
    ("b", {"parent_id": "x"}, ["parent_id: leads round in a circle"]),
    ("b", {"parent_id": "gone"}, ["parent_id: is no row", *["parent_id: follows a message"] * 5]),
]


@pytest.mark.parametrize(("name", "change", "reasons"), SPOILT)
def test_a_bad_message_is_listed_and_so_is_what_follows_it(
    tmp_path: Path, name: str, change: Data, reasons: list[str]
) -> None:
    rows = [row | change if row["text"] == name else row for row in flat(TREE)]
    source = reader(tmp_path, *rows)
    items = list(source)
    assert len(items) + source.joined == len(rows)
    found = told(items)
    for why in reasons:
        hit = next(one for one in found if why in one)
        found.remove(hit)
    bad = [row["text"] for row in flat(TREE)].index(name) + 1
    assert any(one.startswith(f"row {bad}, {next(iter(change))}: ") for one in told(items))


def test_equal_replies_of_another_rank_are_no_comparison(tmp_path: Path) -> None:
    replies = [said_by("assistant", "a", [], rank) for rank in (0, 1)]
    items = read(tmp_path, {"message_tree_id": "t", "prompt": said_by("prompter", "Hi", replies)})
    shown = Demonstration(conversation=talk("Hi", "a"), source="f")
    assert [item for item in items if not isinstance(item, Rejected)] == [shown]
    assert "better than itself" in told(items)[0]


def test_a_tree_may_be_deeper_than_the_stack_of_calls(tmp_path: Path) -> None:
    turns = [str(number) for number in range(3000)]
    rows = [
        {
            "message_id": turn,
            "parent_id": turns[number - 1] if number else None,
            "message_tree_id": "0",
            "role": ("prompter", "assistant")[number % 2],
            "text": turn,
        }
        for number, turn in enumerate(turns)
    ]
    (shown,) = read(tmp_path, *rows)
    assert shown == Demonstration(conversation=talk(*turns), source="f")


def test_oasst_parquet_rows_are_recognised(tmp_path: Path) -> None:
    rows = [row | {"synthetic": False, "lang": "en"} for row in flat(TREE)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "f.parquet")
    items = list(RowReader(tmp_path / "f.parquet", source="f"))
    assert [item for item in items if not isinstance(item, Rejected)] == [*COMPARED, SHOWN]


def vote(rater: str, *tiers: int, weight: float = 0.5) -> Comparison:
    texts = ("a", "b", "c")[: len(tiers)]
    return Comparison(
        prompt=PROMPT, responses=texts, tiers=tiers, source="f", rater=rater, weight=weight
    )


TASK: Data = {
    "id": 7,
    "data": {"prompt": "Hi", "left": "a", "right": "b", "more": 1},
    "annotations": [annotation(1, "left"), annotation({"id": 2, "email": "x@y.z"}, "right")],
}
FIELDS = {"prompt": "Hi", "Response 1": "a", "response-2": "b", "response_3": "c"}
NESTED: Data = {
    "id": "x",
    "fields": FIELDS,
    "responses": {
        "order": [ranking("u", 2, 1, 2), ranking("v", 1, 2, 3)],
        "why": [{"value": "so", "user_id": "u"}],
        "score": [{"value": 4, "user_id": "u"}],
    },
    "suggestions": {},
    "metadata": {},
}
OLD: Data = {
    "prompt": "Hi",
    "response1": "a",
    "response2": "b",
    "order": [
        {"user_id": "u", "value": {"rank": [2, 1], "value": ["response1", "response2"]}}
        | {"status": "submitted"},
        {"user_id": "v", "value": {"rank": [1, 1], "value": ["response1", "response2"]}}
        | {"status": "submitted"},
    ],
    "order-suggestion": None,
    "order-suggestion-metadata": {"agent": None},
    "external_id": None,
    "metadata": "{}",
}
PICKED: Data = {
    "id": "x",
    "status": "completed",
    "_server_id": "y",
    "instruction": "Hi",
    "response1": "a",
    "response2": "b",
    "better.responses": ["Response 2", "Response 1"],
    "better.responses.users": ["u", "v"],
    "better.responses.status": ["submitted", "submitted"],
}
ENDS = ("", ".users", ".status")


@pytest.mark.parametrize(
    ("name", "row", "made"),
    [
        ("label-studio", TASK, [vote("1", 0, 1), vote("2", 1, 0)]),
        ("argilla", NESTED, [vote("u", 1, 0, 1), vote("v", 0, 1, 2)]),
        ("argilla", OLD, [vote("u", 1, 0), vote("v", 0, 0)]),
        ("argilla", PICKED, [vote("u", 1, 0), vote("v", 0, 1)]),
    ],
)
def test_each_vote_is_a_comparison_of_its_rater(
    tmp_path: Path, name: str, row: Data, made: list[Comparison]
) -> None:
    assert format_of({k for k, v in row.items() if v is not None}, row).name == name
    assert read(tmp_path, row) == made


def one_vote(item: Data, data: Data | None = None) -> Data:
    """A task with a good annotation before this one."""
    return TASK | {"annotations": [annotation(1, "left"), item], "data": data or TASK["data"]}


@pytest.mark.parametrize(
    ("item", "column", "why"),
    [
        (annotation(1, "left") | {"was_cancelled": True}, "annotations[1]", "was skipped"),
        (annotation(1, "left") | {"result": []}, "annotations[1].result", "no result of type"),
        (
            annotation(1, "left") | {"result": [{"type": "pairwise"}] * 2},
            "annotations[1].result",
            "several results",
        ),
        (annotation(1, "none"), "annotations[1].result[1].value.selected", "got 'none'"),
        (annotation(1, ["left"]), "annotations[1].result[1].value.selected", "left or right"),
        (annotation(1, "left", "x,right"), "annotations[1].result[1].to_name", "name two texts"),
        (annotation(1, "left", "left,left"), "annotations[1].result[1].to_name", "name two texts"),
        (annotation(1, "left", "left,more"), "data.more", "must be text"),
        (annotation("me", "left"), "annotations[1].completed_by", "the number of a user"),
        (annotation({"email": "x@y.z"}, "left"), "annotations[1].completed_by", "number of a user"),
    ],
)
def test_a_bad_annotation_is_left_out_alone(
    tmp_path: Path, item: Data, column: str, why: str
) -> None:
    bad, good = read(tmp_path, one_vote(item))
    assert good == vote("1", 0, 1, weight=1.0)
    assert isinstance(bad, Rejected)
    assert bad.column == column
    assert why in bad.why
    assert "x@y.z" not in bad.why


def test_a_task_without_a_prompt_costs_each_annotation(tmp_path: Path) -> None:
    bad = read(tmp_path, {"prompt": "Hi"}, TASK | {"data": {"left": "a", "right": "b"}})[1:]
    assert told(bad) == ["row 2, data.prompt: is null"] * 2
    nobody = read(tmp_path, {"prompt": "Hi"}, TASK | {"annotations": []})[1:]
    assert told(nobody) == ["row 2, annotations: is an empty list"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (["Response 1", "response-2"], "is a ranking without ranks, as version 2 of Argilla"),
        (ranking("u", 1)["value"] * 2, "ranks a response twice"),  # type: ignore[operator]
        ([{"value": "response 4", "rank": 1}], "names no field: 'response 4'"),
        ([{"value": "prompt", "rank": 1}], "names no field: 'prompt'"),
        ([{"value": "response 1", "rank": None}], "must be a number, got null"),
        ([{"value": "response 1", "rank": 0.5}], "must be a whole number"),
        ({"value": ["response 1"], "rank": [1, 2]}, "another number of ranks than of options"),
        ({"value": "response 1", "rank": 1}, "must hold options and their ranks"),
        ([{"value": "response 1", "rank": 1}], "response-2, response_3"),
        ("Response 1", "is not one of two fields"),
        (None, "must be a ranking or the name of a response"),
        (3, "must be a ranking or the name of a response"),
    ],
)
def test_a_bad_answer_is_left_out_alone(tmp_path: Path, value: object, why: str) -> None:
    said = [ranking("v", 1, 2, 3), {"value": value, "user_id": "u"}]
    bad, good = read(tmp_path, NESTED | {"responses": {"order": said}})
    assert good == vote("v", 0, 1, 2, weight=1.0)
    assert why in str(bad)


def test_a_ranking_without_ranks_is_never_an_order(tmp_path: Path) -> None:
    said = [{"value": ["Response 1", "response-2", "response_3"], "user_id": "u"}]
    with_names = NESTED | {"responses": {"order": said}}
    assert "need not be that of preference" in told(read(tmp_path, with_names))[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"better.responses.status": ["submitted", "draft"]}, "better.responses[1]: was not sub"),
        ({"better.responses.users": ["u", 3]}, "better.responses[1].user: must be text"),
        ({"better.responses": ["Response 2", "so"]}, "better.responses[1]: names no field: 'so'"),
    ],
)
def test_a_bad_answer_in_columns_is_left_out_alone(tmp_path: Path, change: Data, why: str) -> None:
    bad, good = read(tmp_path, PICKED | change)
    assert good == vote("u", 1, 0, weight=1.0)
    assert why in str(bad)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (PICKED | {"better.responses.users": ["u"]}, "another number of users"),
        (PICKED | {"prompt": "Ho"}, "must have one field prompt or instruction"),
        (PICKED | {"context": "x"}, "put what raters were shown into the prompt"),
        (PICKED | {f"better.responses{end}": None for end in ENDS}, "no answer ranks"),
        (NESTED | {"responses": None}, "is null"),
        (NESTED | {"responses": {}}, "no answer ranks its responses"),
        (NESTED | {"fields": FIELDS | {"context": "x"}}, "beside prompt and responses (context)"),
        (NESTED | {"fields": FIELDS | {"prompt": [3]}}, "fields.prompt[0]: must be an object"),
        (
            NESTED | {"responses": NESTED["responses"] | {"tone": [ranking("u", 1, 2, 3)]}},
            "several questions order its responses: order, tone",
        ),
        ({"prompt": "Hi", "response1": "a", "_server_id": "x"}, "no answer ranks its responses"),
    ],
)
def test_a_record_that_cannot_be_used_says_why(tmp_path: Path, row: Data, why: str) -> None:
    items = read(tmp_path, {"prompt": "Hi"}, row)[1:]
    assert items
    assert all(why in reason for reason in told(items))
    assert len(told(items)) == len(items)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"data", "prompt", "response"}, ""),
        ({"fields", "prompt", "response", "annotations"}, ""),
        ({"prompt", "response", "helpfulness"}, "nearest is helpsteer"),
        ({"prompt", "chosen", "rejected", "score_chosen"}, "lacks score_rejected"),
        ({"instruction", "completions", "instances"}, "fit several formats"),
        ({"data", "annotations", "prompt", "response"}, "fit several formats"),
        (
            {"context", "response1", "response2", "overall_preference", "prompt"},
            "fit several formats",
        ),
    ],
)
def test_names_that_are_common_decide_nothing_alone(columns: set[str], message: str) -> None:
    if not message:
        assert format_of(columns).name == "prompt-response"
        return
    with pytest.raises(Unusable) as caught:
        format_of(columns)
    assert message in str(caught.value)


def test_an_export_is_one_json_array(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(json.dumps([TASK, TASK]))
    assert len(list(RowReader(tmp_path / "f.json"))) == 4
