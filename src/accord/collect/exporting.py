"""Data sets on their way out: own rows that lose nothing, or the rows that TRL trains on.

Every text leaves as messages, so that its role is never guessed. CSV is not offered: it has no
lists, no null and no types, so that nothing would come back as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa

from accord.collect.formats import FORMATS
from accord.collect.records import Record, Unusable
from accord.collect.rowfiles import new_rows
from accord.core.errors import ConfigError, DataError
from accord.core.types import (
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Prompt,
    RatedResponse,
    Split,
)
from accord.store.columns import MESSAGES
from accord.store.datasets import Dataset, DatasetKind, Row

TIED, WEIGHTLESS, MARGIN = "tied", "weightless", "margin"
OTHER_CRITERION = "of a criterion"
"""Why pairs are left out of TRL's rows, or lose a part."""


class ExportFormat(StrEnum):
    """What the rows of an exported file look like."""

    OWN = "own"
    """Everything, for any kind of data set; importing it again gives the same digest."""
    TRL_PAIRED = "trl-paired"
    """`prompt`, `chosen`, `rejected`: one row a pair, for DPO and reward models."""
    TRL_MARGIN = "trl-margin"
    """The same with `margin`, which TRL's reward trainer subtracts from the lead."""
    TRL_UNPAIRED = "trl-unpaired"
    """`prompt`, `completion`, `label`: feedback, for KTO."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What became of a data set's rows."""

    path: Path
    format: ExportFormat
    kind: DatasetKind
    split: Split | None
    """The split that was written, None for all."""
    read: int
    """Rows of the data set."""
    rows: int
    """Rows of the file: of TRL's formats, pairs."""
    left_out: Mapping[str, int]
    """Pairs that the format has no room for, by reason: `tied`, `weightless`. `margin` counts rows
    that were written without the margin they have."""


def export_dataset(
    folder: Path,
    path: Path,
    *,
    format: str = ExportFormat.OWN,  # noqa: A002 - the word that users know
    split: Split | None = None,
) -> Exported:
    """Write the data set in `folder` to `path`, which must not exist: whole, or not at all.

    The ending of `path` says the kind of file: .jsonl, .jsonl.gz or .parquet. `split` is the part
    that is written, None all. TRL has neither ties nor weights: tied pairs are left out and
    counted, never coerced. What TRL does not read stands in columns of its own: `label`, the
    probability that the chosen one is better; `weight`, the pair's share of its comparison's
    training weight, which holds the inclusion probability already; `comparison`, the number of the
    row that a pair is of; rater, strength, source. Pairs that weigh nothing are left out, because
    TRL would train on them.
    Raises ConfigError for a format that does not fit the kind of data set or file, DataError for a
    damaged data set or a row that could not be read back, WorkspaceError where there is a file
    already or the disk refuses.
    """
    dataset = Dataset(folder)
    kind = dataset.manifest.kind
    shape = _format(format, kind)
    tally: Counter[str] = Counter()
    read = rows = 0
    with new_rows(path, _schema(shape, kind)) as put:
        for row in dataset.rows(split):
            read += 1
            for record in _records(row, shape, read, tally):
                put(record)
                rows += 1
        if rows == 0:
            raise _nothing(dataset, read, tally)
    return Exported(
        path=path, format=shape, kind=kind, split=split, read=read, rows=rows, left_out=dict(tally)
    )


def export_demonstrations(rows: Sequence[Demonstration], path: Path) -> None:
    """Write demonstrations to a file that is not there yet, as `export_dataset` would.

    Raises DataError for one that could not be read back, and as `new_rows` does.
    """
    with new_rows(path, _schema(ExportFormat.OWN, DatasetKind.DEMONSTRATIONS)) as put:
        for number, row in enumerate(rows, start=1):
            put(_read_back(_own(row), row, number))


def _records(
    row: Row, shape: ExportFormat, number: int, tally: Counter[str]
) -> Iterator[dict[str, object]]:
    if shape is ExportFormat.OWN:
        yield _read_back(_own(row), row, number)
    elif isinstance(row, Comparison):
        yield from _pairs(row, number, tally, margin=shape is ExportFormat.TRL_MARGIN)
    elif isinstance(row, Feedback):
        if row.weight == 0:
            tally[WEIGHTLESS] += 1
        else:
            asked = _messages(row.prompt, opened=False)
            yield _thumb(row, _answer(row.prompt, row.response)) | {"prompt": asked}


def _own(row: Row) -> dict[str, object]:
    match row:
        case Comparison():
            return {
                "prompt": _messages(row.prompt),
                "responses": list(row.responses),
                "tiers": list(row.tiers),
                "weight": float(row.weight),
                "margin": float(row.margin),
                "label": None if row.label is None else float(row.label),
                "inclusion": float(row.inclusion),
                "criterion": row.criterion,
                **_judged(row),
            }
        case Feedback():
            return _thumb(row, row.response)
        case RatedResponse():
            return {
                "prompt": _messages(row.prompt),
                "response": row.response,
                "ratings": list(row.ratings),
                "source": row.source,
            }
        case Demonstration():
            return {"messages": _messages(row.conversation), "source": row.source}
        case Prompt():
            return {"prompt": _messages(row.conversation), "source": row.source}


def _judged(row: Comparison) -> dict[str, object]:
    """Where a comparison comes from and how it was judged."""
    return {
        "strength": row.strength,
        "rater": row.rater,
        "all_bad": row.all_bad,
        "source": row.source,
    }


def _thumb(row: Feedback, completion: object) -> dict[str, object]:
    return {
        "prompt": _messages(row.prompt),
        "completion": completion,
        "label": row.good,
        "weight": float(row.weight),
        "source": row.source,
    }


def _pairs(
    row: Comparison, number: int, tally: Counter[str], *, margin: bool
) -> Iterator[dict[str, object]]:
    pairs = list(row.pairs())
    for pair in pairs:
        if row.weight == 0:
            tally[WEIGHTLESS] += 1
            continue
        if row.criterion:
            tally[OTHER_CRITERION] += 1
            continue
        if pair.label == 0.5:
            tally[TIED] += 1
            continue
        first = pair.label > 0.5
        better, worse = (pair.first, pair.second) if first else (pair.second, pair.first)
        if row.margin and not margin:
            tally[MARGIN] += 1
        yield {
            "prompt": _messages(row.prompt, opened=False),
            "chosen": _answer(row.prompt, row.responses[better]),
            "rejected": _answer(row.prompt, row.responses[worse]),
            **({"margin": float(row.margin)} if margin else {}),
            "label": pair.label if first else 1 - pair.label,
            "weight": row.training_weight / len(pairs),
            **_judged(row),
            "comparison": number,
        }


def _messages(conversation: Conversation, *, opened: bool = True) -> list[dict[str, str]]:
    """TRL knows no opening: without it, `_answer` has it."""
    said = conversation.messages if opened else conversation.asked
    return [{"role": m.role.value, "content": m.content} for m in said]


def _answer(prompt: Conversation, response: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": prompt.opening + response}]


_NEEDS = {
    ExportFormat.TRL_PAIRED: DatasetKind.PREFERENCES,
    ExportFormat.TRL_MARGIN: DatasetKind.PREFERENCES,
    ExportFormat.TRL_UNPAIRED: DatasetKind.FEEDBACK,
}
"""Kind of data set that a format is for; own takes any."""
READS = {
    DatasetKind.PREFERENCES: "prompt-responses-tiers",
    DatasetKind.DEMONSTRATIONS: "conversations",
    DatasetKind.PROMPTS: "prompt",
    DatasetKind.FEEDBACK: "prompt-completion-label",
    DatasetKind.RATINGS: "prompt-response-ratings",
}
"""Format that the own rows of a kind are read with."""


def _read_back(record: dict[str, object], row: Row, number: int) -> dict[str, object]:
    """`record`, which the importer was seen to turn into `row` again."""
    parse = FORMATS[READS[DatasetKind.of(row)]].parse
    try:
        (again,) = parse(Record(number, record, ""))
        why = "" if again == row else "it would come back as something else"
    except Unusable as error:
        why = str(error)
    if why:
        raise DataError(
            "a row of the data set cannot be exported without loss",
            got=why,
            where=f"row {number}",
            do="make the data set without it",
        )
    return record


_TEXT, _NUMBER = pa.string(), pa.float64()
_PAIR = {"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES}
_KNOWN = {
    "strength": pa.int32(),
    "rater": _TEXT,
    "all_bad": pa.bool_(),
    "source": _TEXT,
}
_EXTRA = {"label": _NUMBER, "weight": _NUMBER, **_KNOWN, "comparison": pa.int64()}
_JUDGED = {"label": pa.bool_(), "weight": _NUMBER, "source": _TEXT}
_OWN: dict[DatasetKind, dict[str, pa.DataType]] = {
    DatasetKind.PREFERENCES: {
        "prompt": MESSAGES,
        "responses": pa.list_(_TEXT),
        "tiers": pa.list_(pa.int32()),
        "weight": _NUMBER,
        "margin": _NUMBER,
        "label": _NUMBER,
        "inclusion": _NUMBER,
        "criterion": _TEXT,
        **_KNOWN,
    },
    DatasetKind.DEMONSTRATIONS: {"messages": MESSAGES, "source": _TEXT},
    DatasetKind.PROMPTS: {"prompt": MESSAGES, "source": _TEXT},
    DatasetKind.FEEDBACK: {"prompt": MESSAGES, "completion": _TEXT, **_JUDGED},
    DatasetKind.RATINGS: {
        "prompt": MESSAGES,
        "response": _TEXT,
        "ratings": pa.list_(_NUMBER),
        "source": _TEXT,
    },
}


def _schema(shape: ExportFormat, kind: DatasetKind) -> pa.Schema:
    match shape:
        case ExportFormat.OWN:
            columns = _OWN[kind]
        case ExportFormat.TRL_UNPAIRED:
            columns = {"prompt": MESSAGES, "completion": MESSAGES, **_JUDGED}
        case ExportFormat.TRL_PAIRED:
            columns = {**_PAIR, **_EXTRA}
        case ExportFormat.TRL_MARGIN:
            columns = {**_PAIR, "margin": _NUMBER, **_EXTRA}
    return pa.schema(list(columns.items()))


def _format(name: str, kind: DatasetKind) -> ExportFormat:
    try:
        made = ExportFormat(name)
    except ValueError:
        raise ConfigError(
            "rows are not exported in this format",
            got=name,
            do=f"use one of {', '.join(ExportFormat)}",
        ) from None
    needed = _NEEDS.get(made)
    if needed in (None, kind):
        return made
    do = "use own, which takes any kind"
    if kind is DatasetKind.PREFERENCES:
        do = "a comparison says no thumb: use trl-paired; TRL's own KTO trainer takes it apart"
    raise ConfigError(f"{made} is for {needed}", got=f"a data set of {kind}", do=do)


def _nothing(dataset: Dataset, read: int, tally: Mapping[str, int]) -> DataError:
    left = ", ".join(f"{count} {why}" for why, count in tally.items())
    return DataError(
        "there is nothing to export",
        got=f"{read} rows" + (f", pairs left out: {left}" if left else ""),
        where=dataset.folder,
        do="choose another split or format",
    )
