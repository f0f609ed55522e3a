"""A good row of each format, and a small archive of rated texts, for tests to read and to harm."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from accord.collect.formats import format_of
from accord.collect.rated import Part
from accord.collect.records import Rejected, Unusable

HUMAN = "\n\nHuman: question {}\n\nAssistant:"
SAMPLES: dict[str, Callable[[int], dict[str, object]]] = {
    "conversations": lambda i: {
        "messages": [
            {"role": "user", "content": f"question {i}"},
            {"role": "assistant", "content": f"answer {i}"},
        ]
    },
    "prompt-response": lambda i: {"prompt": f"question {i}", "response": f"answer {i}"},
    "prompt": lambda i: {"prompt": f"question {i}"},
    "prompt-chosen-rejected": lambda i: {
        "prompt": f"question {i}",
        "chosen": f"good {i}",
        "rejected": f"bad {i}",
        "margin": 0.5,
    },
    "prompt-responses-tiers": lambda i: {
        "prompt": f"question {i}",
        "responses": ["a", "b", f"{i}"],
        "tiers": [0, 1, 1],
    },
    "hh-rlhf": lambda i: {
        "chosen": HUMAN.format(i) + " good",
        "rejected": HUMAN.format(i) + " bad",
    },
    "prompt-completion-label": lambda i: {
        "prompt": [{"role": "user", "content": f"question {i}"}],
        "completion": [{"role": "assistant", "content": f"answer {i}"}],
        "label": i % 3 == 0,
    },
    "prompt-response-ratings": lambda i: {
        "prompt": f"question {i}",
        "response": f"answer {i}",
        "ratings": [i % 5, 3, -1.5],
    },
    "pandalm": lambda i: {
        "instruction": f"do {i}",
        "input": "",
        "response1": f"done {i}",
        "response2": f"not done {i}",
        "annotator1": i % 3,
        "annotator2": 1,
        "annotator3": 1,
    },
    "self-instruct": lambda i: {
        "instruction": f"do {i}",
        "instances": [{"input": "", "output": f"done {i}"}],
    },
    "ultrafeedback": lambda i: {
        "source": "evol_instruct",
        "instruction": f"do {i}",
        "models": ["a", "b"],
        "completions": [completion(f"done {i}", "5"), completion(f"half done {i}", "3")],
    },
    "ultrafeedback-binarized": lambda i: {
        "prompt": f"question {i}",
        "chosen": spoken(f"question {i}", f"good {i}"),
        "rejected": spoken(f"question {i}", f"bad {i}"),
        "messages": spoken(f"question {i}", f"good {i}"),
        "score_chosen": 8.0,
        "score_rejected": 8.0 - i % 3,
    },
    "helpsteer": lambda i: {
        "prompt": f"question {i // 2}",
        "response": f"answer {i}",
        "helpfulness": i % 5,
        "correctness": 4,
        "coherence": 4,
        "complexity": 1,
        "verbosity": 2,
    },
    "helpsteer2-preference": lambda i: {
        "prompt": f"question {i}",
        "response_1": f"good {i}",
        "response_2": f"bad {i}",
        "preference_strength": -(i % 4),
    },
    "helpsteer3-preference": lambda i: {
        "context": [{"role": "user", "content": f"question {i}"}],
        "response1": f"bad {i}",
        "response2": f"good {i}",
        "overall_preference": i % 4,
    },
    "oasst-messages": lambda i: {
        "message_id": f"m{i}",
        "message_tree_id": f"m{i - i % 3}",
        "parent_id": f"m{i - i % 3}" if i % 3 else None,
        "role": "assistant" if i % 3 else "prompter",
        "text": f"text {i}",
        "rank": i % 3 - 1 if i % 3 else None,
        "lang": "en",
    },
    "oasst-trees": lambda i: {
        "message_tree_id": f"t{i}",
        "tree_state": "ready_for_export",
        "prompt": said_by("prompter", f"q{i}", [said_by("assistant", f"a{i}", [], 0)]),
    },
    "argilla": lambda i: {
        "id": f"{i}",
        "fields": {"prompt": f"question {i}", "response1": f"a {i}", "response2": f"b {i}"},
        "responses": {
            "preference": [ranking("u1", i % 2 + 1, 1), ranking("u2", 1, 1)],
            "why": [{"value": "so", "user_id": "u1"}],
        },
        "status": "completed",
    },
    "label-studio": lambda i: {
        "id": i,
        "data": {"prompt": f"question {i}", "left": f"a {i}", "right": f"b {i}"},
        "annotations": [annotation(1, "left"), annotation(2, "right")],
        "predictions": [],
    },
}
TOGETHER = {"helpsteer": 2, "oasst-messages": 3}
"""Formats whose rows stand together, and how many make one thing in the samples."""
VOTED = {"argilla", "label-studio"}
"""Formats in which a row holds what several people said of the same responses."""


def spoken(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def said_by(
    role: str, text: str, replies: Sequence[object], rank: int | None = None
) -> dict[str, object]:
    return {"role": role, "text": text, "rank": rank, "replies": replies}


def ranking(user: str, *ranks: int) -> dict[str, object]:
    value = [{"value": f"Response {i}", "rank": rank} for i, rank in enumerate(ranks, start=1)]
    return {"value": value, "user_id": user}


def annotation(by: object, selected: object, to_name: str = "left,right") -> dict[str, object]:
    result = {"type": "pairwise", "to_name": to_name, "value": {"selected": selected}}
    return {"completed_by": by, "was_cancelled": False, "result": [{"type": "choices"}, result]}


def completion(response: str, rating: str) -> dict[str, object]:
    aspects = ("instruction_following", "honesty", "truthfulness", "helpfulness")
    notes = {aspect: {"Rating": rating, "Rationale": "so"} for aspect in aspects}
    return {"model": "m", "response": response, "annotations": notes, "overall_score": 7.0}


def lines(format_name: str, count: int) -> bytes:
    return "".join(json.dumps(SAMPLES[format_name](i)) + "\n" for i in range(count)).encode()


def array(format_name: str, count: int) -> bytes:
    return json.dumps([SAMPLES[format_name](i) for i in range(count)], indent=1).encode()


def instances(line: bytes) -> int:
    """Items that a line stands for."""
    try:
        return items_of(
            json.loads(line.decode(), object_pairs_hook=unique, parse_constant=no_number)
        )
    except (ValueError, RecursionError):
        return 1


def no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name is given twice")
    return values


def is_part(item: object) -> bool:
    """Whether this is a completion left out of a row, which is counted beside the row."""
    return isinstance(item, Rejected) and (item.column or "").startswith("completions[")


def items_of(row: object) -> int:
    """Items that a row stands for: one, but what a row holds several of (instances of a
    self-instruct row, messages of a tree, answers of raters) one each."""
    if not isinstance(row, dict):
        return 1
    try:
        made = format_of({name for name, value in row.items() if value is not None}, row)
    except Unusable:
        return 1
    match made.name:
        case "self-instruct":
            usable = isinstance(row["instruction"], str) and row["instruction"].strip()
            return many(row["instances"]) if usable else 1
        case "oasst-trees" if isinstance(row["prompt"], dict):
            named = isinstance(row["message_tree_id"], str) and row["message_tree_id"].strip()
            whole = named and isinstance(row.get("source", ""), str | None)
            return messages(row["prompt"]) if whole else 1
        case "label-studio" if isinstance(row["data"], dict):
            return many(row["annotations"])
        case "argilla" if isinstance(row.get("fields"), dict):
            asked = row["responses"]
            ranks = asked.get("preference") if isinstance(asked, dict) else None
            rows = ranks if isinstance(ranks, list) else []
            return len(rows) if any("value" in one for one in rows if isinstance(one, dict)) else 1
    return 1


def many(value: object) -> int:
    """Items of a list that gives one each; of anything else one that says so."""
    return len(value) if isinstance(value, list) and value else 1


def messages(node: object) -> int:
    """Messages of a tree."""
    replies = node.get("replies") if isinstance(node, dict) else None
    return 1 + sum(map(messages, replies if isinstance(replies, list) else []))


def packed(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def texts(count: int) -> bytes:
    return "".join(f"{i}\t0.5\tA film of {i} acts. \r\n" for i in range(count)).encode()


def said(count: int) -> bytes:
    lines = (f"{i}\t0.5\t1.1\t[{i % 9 - 4}, 0, 4]\r\n" for i in range(count))
    return b"\xef\xbb\xbf" + "".join(lines).encode()


def archive(place: Path, words: bytes, numbers: bytes, part: Part = Part.MOVIES) -> Path:
    """A source distribution with one part in it."""
    inner = packed(
        {
            f"data/{part}_GroundTruth.txt": words,
            f"data/{part}_anonDataRatings.txt": numbers,
        }
    )
    path = place / "vaderSentiment-3.3.2.tar.gz"
    folder = "vaderSentiment-3.3.2/additional_resources"
    path.write_bytes(packed({f"{folder}/hutto_ICWSM_2014.tar.gz": inner, "x/setup.py": b""}))
    return path
