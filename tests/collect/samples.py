"""A good row of each format, and a small archive of rated texts, for tests to read and to harm."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from accord.collect.formats import format_of
from accord.collect.rated import Part
from accord.collect.records import Unusable

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
}
TOGETHER = {"helpsteer": 2}
"""Formats whose rows stand together, and how many make one thing in the samples."""


def spoken(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


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
        return items_of(json.loads(line))
    except (ValueError, RecursionError):
        return 1


def items_of(row: object) -> int:
    """Items that a row stands for: one, but the instances of a self-instruct row one each."""
    if not isinstance(row, dict):
        return 1
    try:
        made = format_of({name for name, value in row.items() if value is not None}, row)
    except Unusable:
        return 1
    many = row.get("instances") if made.name == "self-instruct" else None
    whole = isinstance(many, list) and many and isinstance(row["instruction"], str)
    return len(many) if whole and row["instruction"].strip() else 1  # type: ignore[arg-type]


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
