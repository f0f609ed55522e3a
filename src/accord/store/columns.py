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
    Speaker,
    Split,
)
from accord.store.manifest import DatasetKind
from accord.store.splits import Row, conversation_of

MESSAGES = pa.list_(
    pa.struct([pa.field("role", pa.string(), False), pa.field("content", pa.string(), False)])
)
"""A conversation as a column."""
_FRAME = [pa.field("source", pa.string(), False), pa.field("split", pa.string(), False)]

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
}


def schema_of(kind: DatasetKind) -> pa.Schema:
    """Columns of a data set of `kind`."""
    return pa.schema([pa.field("messages", MESSAGES, False), *_OWN.get(kind, ()), *_FRAME])


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
        }
    elif isinstance(row, Feedback):
        record |= {"response": row.response, "good": row.good, "weight": float(row.weight)}
    return record


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
        case DatasetKind.PREFERENCES:
            return Comparison(
                prompt=conversation,
                responses=tuple(record["responses"]),
                tiers=tuple(record["tiers"]),
                weight=record["weight"],
                margin=record["margin"],
                label=record["label"],
                source=record["source"],
            )
