"""Rows of a data set as Arrow columns and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from accord.core.types import (
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Message,
    Prompt,
    RatedResponse,
    Speaker,
    Split,
)
from accord.store.manifest import SCHEMA, DatasetKind
from accord.store.splits import Row, conversation_of

MESSAGES = pa.list_(
    pa.struct([pa.field("role", pa.string(), False), pa.field("content", pa.string(), False)])
)
"""A conversation as a column."""
_FRAME = [pa.field("source", pa.string(), False), pa.field("split", pa.string(), False)]
_JUDGED_FIELDS = [
    pa.field("strength", pa.int32(), True),
    pa.field("inclusion", pa.float64(), False),
    pa.field("rater", pa.string(), False),
    pa.field("all_bad", pa.bool_(), False),
]
_CRITERION_FIELDS = [pa.field("criterion", pa.string(), False)]
JUDGED: Mapping[str, object] = {
    "strength": None,
    "inclusion": 1.0,
    "rater": "",
    "all_bad": False,
    "criterion": "",
}
"""Columns of how a comparison was judged, since layout 2 (`criterion` since 3), with what they are
where nothing is known."""

_OWN = {
    DatasetKind.PREFERENCES: (
        pa.field("responses", pa.list_(pa.string()), False),
        pa.field("tiers", pa.list_(pa.int32()), False),
        pa.field("weight", pa.float64(), False),
        pa.field("margin", pa.float64(), False),
        pa.field("label", pa.float64(), True),
    ),
    DatasetKind.FEEDBACK: (
        pa.field("response", pa.string(), False),
        pa.field("good", pa.bool_(), False),
        pa.field("weight", pa.float64(), False),
    ),
    DatasetKind.RATINGS: (
        pa.field("response", pa.string(), False),
        pa.field("ratings", pa.list_(pa.float64()), False),
    ),
}


def schema_of(kind: DatasetKind, layout: int = SCHEMA) -> pa.Schema:
    """Columns of a data set of `kind` in a layout of `accord.store.manifest.SCHEMA` or before."""
    judged = []
    if kind is DatasetKind.PREFERENCES:
        judged += _JUDGED_FIELDS if layout >= 2 else []
        judged += _CRITERION_FIELDS if layout >= 3 else []
    own = _OWN.get(kind, ())
    return pa.schema([pa.field("messages", MESSAGES, False), *own, *judged, *_FRAME])


def to_record(row: Row, split: Split) -> dict[str, object]:
    """`row` as plain values, one a column."""
    said = conversation_of(row).messages
    record: dict[str, object] = {
        "messages": [{"role": m.role.value, "content": m.content} for m in said],
        "source": row.source,
        "split": split.value,
    }
    if isinstance(row, Comparison):
        record |= {
            "responses": list(row.responses),
            "tiers": list(row.tiers),
            "weight": float(row.weight),
            "margin": float(row.margin),
            "label": None if row.label is None else float(row.label),
            "strength": row.strength,
            "inclusion": float(row.inclusion),
            "rater": row.rater,
            "all_bad": row.all_bad,
            "criterion": row.criterion,
        }
    elif isinstance(row, Feedback):
        record |= {"response": row.response, "good": row.good, "weight": float(row.weight)}
    elif isinstance(row, RatedResponse):
        record |= {"response": row.response, "ratings": [float(one) for one in row.ratings]}
    return record


def hashed(record: Mapping[str, object]) -> dict[str, object]:
    """What a data set's digest is over: `record` without what is not known of how it was judged.

    So the same rows have the same digest in every layout.
    """
    return {
        name: value for name, value in record.items() if name not in JUDGED or value != JUDGED[name]
    }


def to_batch(records: Sequence[Mapping[str, object]], kind: DatasetKind) -> pa.RecordBatch:
    """`records` as one Arrow batch. Raises UnicodeEncodeError on half a surrogate pair."""
    return pa.RecordBatch.from_pylist(list(records), schema=schema_of(kind))


def from_record(record: Mapping[str, Any], kind: DatasetKind) -> Row:
    """The row that `to_record` was given. Raises DataError where its values break the rules."""
    conversation = Conversation(
        tuple(
            Message(role=Speaker(item["role"]), content=item["content"])
            for item in record["messages"]
        )
    )
    match kind:
        case DatasetKind.DEMONSTRATIONS:
            return Demonstration(conversation=conversation, source=record["source"])
        case DatasetKind.PROMPTS:
            return Prompt(conversation=conversation, source=record["source"])
        case DatasetKind.FEEDBACK:
            return Feedback(
                prompt=conversation,
                response=record["response"],
                good=record["good"],
                weight=record["weight"],
                source=record["source"],
            )
        case DatasetKind.RATINGS:
            return RatedResponse(
                prompt=conversation,
                response=record["response"],
                ratings=tuple(record["ratings"]),
                source=record["source"],
            )
        case DatasetKind.PREFERENCES:
            return Comparison(
                prompt=conversation,
                responses=tuple(record["responses"]),
                tiers=tuple(record["tiers"]),
                weight=record["weight"],
                margin=record["margin"],
                label=record["label"],
                source=record["source"],
                **{name: record.get(name, unknown) for name, unknown in JUDGED.items()},
            )
