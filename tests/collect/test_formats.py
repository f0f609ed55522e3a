"""Each shape of row: what it becomes, and why a bad one is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.collect.formats import FORMATS, Explained, Unjudged, format_called, format_of
from accord.collect.formats.shape import Row
from accord.collect.gathering import Used
from accord.collect.importing import read_rows
from accord.collect.records import Rejected, Unusable
from accord.core.errors import ConfigError
from accord.core.types import (
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Message,
    Prompt,
    RatedResponse,
    Speaker,
)
from tests.collect.test_exports_of_others import EXPORTED
from tests.collect.test_published_formats import GOOD as PUBLISHED
from tests.rules.source import ROOT

ASKED = {"role": "user", "content": "Hi"}
SYSTEM = {"role": "system", "content": "Short."}
SAID = {"role": "assistant", "content": "Blue"}
PROMPT = Conversation.of("Hi")
HUMAN = "\n\nHuman: Hi\n\nAssistant:"
ANSWERS = {"response1": "a", "response2": "b"}


def votes(*given: object) -> dict[str, object]:
    return {f"annotator{number}": vote for number, vote in enumerate(given, start=1)}


JUDGED: dict[str, object] = {"prompt": "Hi", "responses": ["a", "b"], "tiers": [0, 1]}
GOOD: dict[str, tuple[dict[str, object], Row | Unjudged | Explained]] = {
    "conversation": (
        {"messages": [SYSTEM, ASKED, SAID], "source": "me"},
        Demonstration(
            conversation=Conversation.of("Hi", system="Short.").answered("Blue"), source="me"
        ),
    ),
    "prompt and response": (
        {"prompt": "Hi", "response": " Blue\n"},
        Demonstration(conversation=PROMPT.answered(" Blue\n"), source="f"),
    ),
    "prompt and response as messages": (
        {"prompt": [SYSTEM, ASKED], "response": [SAID]},
        Demonstration(
            conversation=Conversation.of("Hi", system="Short.").answered("Blue"), source="f"
        ),
    ),
    "pair": (
        {"prompt": "Hi", "chosen": "a", "rejected": "b", "weight": 2, "margin": 0.5, "label": 0.9},
        Comparison(
            prompt=PROMPT,
            responses=("a", "b"),
            tiers=(0, 1),
            weight=2.0,
            margin=0.5,
            label=0.9,
            source="f",
        ),
    ),
    "pair as whole conversations": (
        {"prompt": [ASKED], "chosen": [ASKED, SAID], "rejected": [SAID | {"content": "Red"}]},
        Comparison(prompt=PROMPT, responses=("Blue", "Red"), tiers=(0, 1), source="f"),
    ),
    "tiers with a tie": (
        {"prompt": "Hi", "responses": ["a", "b", "c"], "tiers": [1, 0, 1]},
        Comparison(prompt=PROMPT, responses=("a", "b", "c"), tiers=(1, 0, 1), source="f"),
    ),
    "pair in messages with a margin": (
        {"prompt": [ASKED], "chosen": [SAID], "rejected": [SAID | {"content": "Red"}], "margin": 2},
        Comparison(prompt=PROMPT, responses=("Blue", "Red"), tiers=(0, 1), margin=2, source="f"),
    ),
    "thumb up": (
        {"prompt": "Hi", "completion": " Blue", "label": True, "weight": 0.5},
        Feedback(prompt=PROMPT, response=" Blue", good=True, weight=0.5, source="f"),
    ),
    "thumb down in messages": (
        {"prompt": [SYSTEM, ASKED], "completion": [SAID], "label": False, "source": "me"},
        Feedback(
            prompt=Conversation.of("Hi", system="Short."), response="Blue", good=False, source="me"
        ),
    ),
    "ratings of a response that goes on from an opening": (
        {
            "prompt": [ASKED, {"role": "opening", "content": "Light "}],
            "response": "blue",
            "ratings": [3, 4.5],
        },
        RatedResponse(
            prompt=Conversation.of("Hi", opening="Light "),
            response="blue",
            ratings=(3, 4.5),
            source="f",
        ),
    ),
    "votes that agree": (
        {"instruction": "Hi", "input": "", **ANSWERS, **votes(2, 2, 2)},
        Comparison(prompt=PROMPT, responses=("a", "b"), tiers=(1, 0), label=0.0, source="f"),
    ),
    "votes with a majority": (
        {"instruction": "Hi", "input": "there", **ANSWERS, **votes(1, 1, 0), "weight": 3},
        Comparison(
            prompt=Conversation.of("Hi\n\nthere"),
            responses=("a", "b"),
            tiers=(0, 1),
            label=2.5 / 3,
            weight=3.0,
            source="f",
        ),
    ),
    "votes without a majority": (
        {"instruction": "Hi", **ANSWERS, **votes(0, 1, 2)},
        Comparison(prompt=PROMPT, responses=("a", "b"), tiers=(0, 0), label=0.5, source="f"),
    ),
    "votes for a tie": (
        {"instruction": "Hi", **ANSWERS, **votes(0, 0, 2)},
        Comparison(prompt=PROMPT, responses=("a", "b"), tiers=(0, 0), label=1 / 3, source="f"),
    ),
    "one judgement with all that is known of it": (
        {
            "prompt": "Hi",
            "responses": ["a", "b"],
            "tiers": [0, 0],
            "weight": 0.5,
            "strength": 3.0,
            "inclusion": 0.25,
            "rater": "r",
            "all_bad": True,
            "criterion": "safety",
        },
        Comparison(
            prompt=PROMPT,
            responses=("a", "b"),
            tiers=(0, 0),
            weight=0.5,
            source="f",
            strength=3,
            inclusion=0.25,
            rater="r",
            all_bad=True,
            criterion="safety",
        ),
    ),
    "a judgement of the whole answer beside others": (
        {"prompt": "Hi", "chosen": "a", "rejected": "b", "criterion": "overall"},
        Comparison(prompt=PROMPT, responses=("a", "b"), tiers=(0, 1), source="f"),
    ),
    "prompt": ({"prompt": "Hi", "label": None}, Prompt(conversation=PROMPT, source="f")),
    "dialogues": (
        {"chosen": HUMAN + " Blue", "rejected": HUMAN + " Red  "},
        Comparison(prompt=PROMPT, responses=("Blue", "Red"), tiers=(0, 1), source="f"),
    ),
    "dialogues as messages": (
        {"chosen": [ASKED, SAID], "rejected": [ASKED, SAID | {"content": "Red"}], "margin": 1},
        Comparison(prompt=PROMPT, responses=("Blue", "Red"), tiers=(0, 1), margin=1, source="f"),
    ),
    "instruction with input": (
        {"instruction": "Shorten.", "instances": [{"input": "So long", "output": "Bye"}]},
        Demonstration(
            conversation=Conversation.of("Shorten.\n\nSo long").answered("Bye"), source="f"
        ),
    ),
    "responses without an order": (
        {"prompt": "Hi", "responses": ["Blue", "Red"], "tiers": None},
        Unjudged(row=1, prompt=PROMPT, responses=("Blue", "Red"), source="f"),
    ),
    "a lesson": (
        {"prompt": "Hi", "responses": ["Blue", "Red"], "tiers": [0, 1], "explanation": "It is."},
        Explained(
            row=1,
            comparison=Comparison(
                prompt=PROMPT, responses=("Blue", "Red"), tiers=(0, 1), source="f"
            ),
            explanation="It is.",
        ),
    ),
    "instruction alone": (
        {"instruction": "Hi", "instances": [{"input": "", "output": "Blue"}]},
        Demonstration(conversation=PROMPT.answered("Blue"), source="f"),
    ),
}


def read(folder: Path, *rows: object, format: str = "auto") -> list[Used]:  # noqa: A002
    path = folder / "f.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(read_rows(path, format, source="f"))


@pytest.mark.parametrize("case", GOOD)
def test_a_good_row_becomes_what_it_says(tmp_path: Path, case: str) -> None:
    row, expected = GOOD[case]
    assert read(tmp_path, row) == [expected]


def test_every_format_is_tested() -> None:
    met = {format_of(k for k, v in row.items() if v is not None).name for row, _ in GOOD.values()}
    by_name = {name for name, made in FORMATS.items() if made.by_name}
    assert met | set(PUBLISHED) | EXPORTED | by_name == set(FORMATS)
    assert not by_name & (met | set(PUBLISHED) | EXPORTED)


def test_every_format_has_its_line_in_the_manual() -> None:
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert [name for name in FORMATS if f"`{name}`" not in page] == []


def test_an_explanation_elsewhere_is_a_column_like_any_other() -> None:
    """The name is too common to speak for a lesson."""
    for columns in ("prompt response", "prompt chosen rejected", "prompt responses", "messages"):
        names = columns.split()
        assert format_of([*names, "explanation"]) is format_of(names)


BAD: list[tuple[dict[str, object], str | None, str]] = [
    (
        {"prompt": "a", "responses": ["b", "c"], "tiers": [0, 1], "explanation": " "},
        "explanation",
        "is empty",
    ),
    ({"messages": []}, "messages", "is an empty list"),
    ({"messages": "Hi"}, "messages", "must be a list, got text"),
    ({"messages": [ASKED]}, "messages", "ends with a message that nobody answers"),
    ({"messages": [ASKED, SAID | {"content": " "}]}, "messages", "empty response"),
    ({"messages": [ASKED, "Blue"]}, "messages[1]", "must be an object, got text"),
    ({"messages": [ASKED, {"role": "assistant"}]}, "messages[1]", "has no content"),
    ({"messages": [{"role": "bot", "content": "x"}]}, "messages[0].role", "got 'bot'"),
    ({"messages": [ASKED, SAID | {"tool_calls": [1]}]}, "messages[1]", "not read: tool_calls"),
    ({"messages": [ASKED, SYSTEM, SAID]}, "messages", "system message must be the first"),
    ({"messages": [ASKED, SAID | {"content": 3}]}, "messages[1].content", "text, got a number"),
    ({"prompt": "Hi", "responses": ["a", " "]}, "responses[1]", "is empty"),
    ({"prompt": "Hi", "responses": "a"}, "responses", "must be a list, got text"),
    ({"prompt": "", "response": "a"}, "prompt", "is empty"),
    ({"prompt": 3, "response": "a"}, "prompt", "must be a list, got a number"),
    ({"prompt": [ASKED, SAID], "response": "a"}, "prompt", "ends with an assistant message"),
    ({"prompt": [ASKED | {"content": " "}], "response": "a"}, "prompt[0]", "is empty"),
    ({"prompt": "Hi", "response": " \n"}, "response", "is empty"),
    ({"prompt": "Hi", "response": ["a"]}, "response[0]", "must be an object"),
    ({"prompt": "Hi", "response": [ASKED]}, "response", "does not end with an assistant"),
    ({"prompt": "Ho", "response": [ASKED, SAID]}, "response", "does not continue the prompt"),
    ({"prompt": "Hi", "response": "\ud800"}, "response", "half a surrogate"),
    ({"prompt": "Hi", "response": "a", "source": 3}, "source", "must be text"),
    ({"prompt": "Hi", "chosen": "a", "rejected": ""}, "rejected", "is empty"),
    ({"prompt": "Hi", "chosen": "a", "rejected": "a"}, None, "better than itself"),
    ({"prompt": "Hi", "chosen": "a", "rejected": "b", "weight": -1}, "weight", "got -1"),
    ({"prompt": "Hi", "chosen": "a", "rejected": "b", "weight": True}, "weight", "true or false"),
    ({"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": "1"}, "margin", "number, got text"),
    ({"prompt": "Hi", "chosen": "a", "rejected": "b", "label": 1.5}, "label", "lies in [0, 1]"),
    ({"prompt": "Hi", "chosen": "a", "rejected": "b", "label": 0}, "label", "rejected response is"),
    (
        {"chosen": "\n\nHuman: Q\n\nAssistant: A", "rejected": "\n\nHuman: Q\n\nAssistant: B"}
        | {"label": 0.4},
        "label",
        "rejected response is",
    ),
    ({"prompt": "Hi", "chosen": "a", "rejected": "b", "weight": 10**400}, "weight", "finite"),
    ({"prompt": "Hi", "responses": ["a", "b"], "tiers": [1, 2]}, "tiers", "without gaps"),
    ({"prompt": "Hi", "responses": ["a", "b"], "tiers": [0]}, "tiers", "one tier a response"),
    ({"prompt": "Hi", "responses": ["a", "b"], "tiers": [0, 1.0]}, "tiers[1]", "whole number"),
    ({"prompt": "Hi", "responses": ["a"], "tiers": [0]}, None, "needs two responses"),
    ({"prompt": "Hi", "responses": ["a", ""], "tiers": [0, 1]}, "responses[1]", "is empty"),
    ({"prompt": "Hi", "responses": ["a", "a"], "tiers": [0, 1]}, None, "better than itself"),
    ({"prompt": "Hi", "responses": "ab", "tiers": [0, 1]}, "responses", "must be a list"),
    ({"chosen": HUMAN + " a", "rejected": HUMAN + " "}, "rejected, turn 2", "is empty"),
    ({"chosen": "Hi", "rejected": HUMAN + " b"}, "chosen", "must begin with"),
    ({"chosen": "\n\nHuman: Hi", "rejected": HUMAN + " b"}, "chosen", "does not end with"),
    (
        {"chosen": HUMAN + " a\n\nHuman: x\n\nAssistant: y", "rejected": HUMAN + " b"},
        None,
        "differ before the last answer: at turn 2",
    ),
    ({"chosen": HUMAN + " a", "rejected": HUMAN + " a"}, None, "better than itself"),
    (
        {"chosen": [ASKED, SAID, SAID], "rejected": [ASKED, SAID, SAID | {"content": "x"}]},
        "chosen",
        "two assistant turns in a row",
    ),
    ({"chosen": "Hi a", "rejected": "Hi b"}, "chosen", "is not guessed"),
    ({"prompt": "Hi", "completion": "a", "label": 1}, "label", "true or false, got a number"),
    ({"prompt": "Hi", "completion": "a", "label": "true"}, "label", "true or false, got text"),
    ({"prompt": "Hi", "completion": "", "label": True}, "completion", "is empty"),
    ({"prompt": "Hi", "completion": [ASKED], "label": True}, "completion", "does not end with"),
    (
        {"prompt": "Hi", "completion": "a", "label": True, "weight": -1},
        "weight",
        "finite and at least 0, got -1",
    ),
    ({"instruction": "", **ANSWERS, **votes(1, 1, 1)}, "instruction", "is empty"),
    ({"instruction": "Hi", "input": 3, **ANSWERS, **votes(1, 1, 1)}, "input", "must be text"),
    (
        {"instruction": "Hi", **ANSWERS, "response2": " ", **votes(1, 1, 1)},
        "response2",
        "is empty",
    ),
    ({"instruction": "Hi", **ANSWERS, **votes(1, 3, 1)}, "annotator2", "0 (a tie), 1 or 2"),
    ({"instruction": "Hi", **ANSWERS, **votes(1, 1, True)}, "annotator3", "got True"),
    ({"instruction": "Hi", **ANSWERS, **votes(1, 1, "1")}, "annotator3", "got '1'"),
    (
        {"instruction": "Hi", "response1": "a", "response2": "a", **votes(0, 1, 0)},
        None,
        "better than itself",
    ),
    ({"instruction": "", "instances": [{"output": "a"}]}, "instruction", "is empty"),
    ({"instruction": "Hi", "instances": []}, "instances", "is an empty list"),
    ({"instruction": "Hi", "instances": [3]}, "instances[0]", "must be an object"),
    (JUDGED | {"strength": 5}, "strength", "1, 2, 3 or 4"),
    (JUDGED | {"strength": 1.5}, "strength", "whole number"),
    (JUDGED | {"inclusion": 0}, "inclusion", "lies in (0, 1]"),
    (JUDGED | {"inclusion": 1e-300, "weight": 1e300}, "inclusion", "must be finite"),
    (JUDGED | {"rater": 7}, "rater", "must be text"),
    (JUDGED | {"all_bad": "yes"}, "all_bad", "true or false"),
    (JUDGED | {"criterion": 7}, "criterion", "must be text"),
    ({"instruction": "Hi", "instances": [{"input": "x"}]}, "instances[0]", "has no output"),
    ({"instruction": "Hi", "instances": [{"output": ""}]}, "instances[0].output", "is empty"),
]


@pytest.mark.parametrize(("row", "column", "why"), BAD)
def test_a_bad_row_is_rejected_with_row_column_and_reason(
    tmp_path: Path, row: dict[str, object], column: str | None, why: str
) -> None:
    (good, bad) = read(tmp_path, {"prompt": "Hi"}, row)
    assert isinstance(good, Prompt)
    assert isinstance(bad, Rejected)
    assert (bad.row, bad.column) == (2, column)
    assert why.replace("not read", "does not read") in bad.why


def test_a_bad_instance_is_rejected_alone(tmp_path: Path) -> None:
    row = {"instruction": "Hi", "instances": [{"output": "a"}, {"output": ""}, {"output": "c"}]}
    first, bad, third = read(tmp_path, row)
    assert isinstance(first, Demonstration)
    assert isinstance(third, Demonstration)
    assert str(bad) == "row 1, instances[1].output: is empty"


def test_an_answer_may_follow_several_turns(tmp_path: Path) -> None:
    start = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"
    (row,) = read(tmp_path, {"chosen": start + " Human: d", "rejected": start + " e"})
    roles = (Speaker.USER, Speaker.ASSISTANT, Speaker.USER)
    turns = (Message(role=r, content=t) for r, t in zip(roles, "abc", strict=True))
    assert isinstance(row, Comparison)
    assert row.prompt == Conversation(tuple(turns))
    assert row.responses == ("Human: d", "e")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prompt", "chosen"}, "nearest is prompt-chosen-rejected, which lacks rejected"),
        ({"prompt", "rejected", "id"}, "nearest is prompt-chosen-rejected, which lacks chosen"),
        ({"prompt", "tiers"}, "nearest is prompt-responses-tiers, which lacks responses"),
        ({"response"}, "nearest is prompt-response, which lacks prompt"),
        ({"promt", "response"}, "nearest is prompt-response, which lacks prompt"),
        ({"prompt", "completion"}, "nearest is prompt-completion-label, which lacks label"),
        ({"prompt", "label"}, "nearest is prompt-completion-label, which lacks completion"),
        ({"instruction", "response1", "response2"}, "nearest is pandalm, which lacks annotator1"),
        ({"prompt", "response", "label"}, "but label would decide for prompt-completion-label"),
        ({"messages", "label"}, "fit conversations, but label would decide"),
        ({"chosen"}, "nearest is hh-rlhf, which lacks rejected"),
        ({"mesages"}, "nearest is conversations, which lacks messages"),
        ({"instruction", "output"}, "nearest is self-instruct, which lacks instances"),
        ({"messages", "prompt", "chosen", "rejected"}, "fit several formats: conversations"),
        (set(), "columns (none) fit no format"),
    ],
)
def test_columns_that_fit_no_format_name_the_nearest(columns: set[str], message: str) -> None:
    with pytest.raises(Unusable) as caught:
        format_of(columns)
    assert message in str(caught.value)
    for name in columns:
        assert name in str(caught.value)


def test_strange_names_of_columns_are_shown_short_and_printable() -> None:
    names = {"\ud800", "a\x1b[2J", "b" * 500, *(f"column {i}" for i in range(100))}
    with pytest.raises(Unusable) as caught:
        format_of(names)
    told = str(caught.value)
    assert told.isprintable() or told.replace("\n", "").isprintable()
    assert "73 more" in told
    assert len(told) < 1000


def test_a_named_format_decides_between_several(tmp_path: Path) -> None:
    row = {"prompt": "Hi", "chosen": "a", "rejected": "b", "messages": [ASKED, SAID]}
    assert isinstance(read(tmp_path, row, format="prompt-chosen-rejected")[0], Comparison)
    assert isinstance(read(tmp_path, row, format="conversations")[0], Demonstration)
    assert isinstance(read(tmp_path, row, format="prompt")[0], Prompt)


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean hh-rlhf"):
        format_called("hh_rlhf")
    with pytest.raises(ConfigError, match="use auto or conversations"):
        format_called("?")
