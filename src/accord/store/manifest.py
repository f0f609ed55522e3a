"""What a data set says about itself: `manifest.json` beside its shards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path

from accord.core.errors import ConfigError, DataError, WorkspaceError
from accord.core.hashing import plain
from accord.core.types import (
    Comparison,
    Demonstration,
    Feedback,
    Prompt,
    RatedResponse,
    Split,
)
from accord.store.splits import Row, Unit

MANIFEST = "manifest.json"
SCHEMA = 3
"""Layout of manifest and shards; a reader refuses newer ones. Layout 1 has no columns for how a
comparison was judged (`accord.store.columns.JUDGED`), and layout 2 none for its criterion: their
rows are read with the defaults."""


class DatasetKind(StrEnum):
    """What the rows of a data set are."""

    PREFERENCES = "preferences"
    DEMONSTRATIONS = "demonstrations"
    PROMPTS = "prompts"
    FEEDBACK = "feedback"
    RATINGS = "ratings"

    @property
    def row_type(self) -> type[Row]:
        """The value that a row is read as."""
        match self:
            case DatasetKind.PREFERENCES:
                return Comparison
            case DatasetKind.DEMONSTRATIONS:
                return Demonstration
            case DatasetKind.PROMPTS:
                return Prompt
            case DatasetKind.FEEDBACK:
                return Feedback
            case DatasetKind.RATINGS:
                return RatedResponse

    @classmethod
    def of(cls, row: Row) -> DatasetKind:
        """The kind of data set that `row` belongs to."""
        return next(kind for kind in cls if isinstance(row, kind.row_type))


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetManifest:
    """A data set's description. The same digest means the same rows in the same splits."""

    kind: DatasetKind
    """What the rows are."""
    rows: int
    """Rows in all shards."""
    counts: Mapping[str, int]
    """Rows of each split: train, dev, test."""
    digest: str
    """SHA-256 over the kind and every row's content and split, in order; shards do not matter."""
    unit: Unit
    """What never stands in two splits."""
    dev: float
    """Share of units that the development split was asked to hold."""
    test: float
    """The same for the test split."""
    split_across: int
    """Comparisons left out because their responses fall into different splits."""
    source: str
    """Where the rows came from."""
    shards: tuple[str, ...]
    """Parquet files in the order of their rows."""
    notes: Mapping[str, object] = field(default_factory=dict)
    """Whatever the maker had to say, in JSON values."""
    schema: int = SCHEMA
    """Layout version."""

    def to_json(self) -> str:
        """This manifest as the text of its file."""
        return json.dumps(plain(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def load(cls, folder: Path) -> DatasetManifest:
        """Read the manifest of a data set folder.

        Raises WorkspaceError where there is no such folder or file, DataError where the file is
        damaged or of a newer layout.
        """
        path = folder / MANIFEST
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise WorkspaceError(
                "this folder is not a data set",
                got=error.strerror,
                where=path,
                do="import the data again",
            ) from None
        except ValueError as error:
            raise _damaged(path, str(error)) from None
        if not isinstance(values, dict):
            raise _damaged(path, f"a {type(values).__name__} instead of an object")
        if isinstance(values.get("schema"), int) and values["schema"] > SCHEMA:
            raise DataError(
                "the data set was written by a newer version of Accord",
                got=f"layout {values['schema']}, this version reads up to {SCHEMA}",
                where=path,
                do="upgrade accord",
            )
        return cls._checked(path, values)

    @classmethod
    def _checked(cls, path: Path, values: Mapping[str, object]) -> DatasetManifest:
        types: dict[str, type | tuple[type, ...]] = {
            "kind": str,
            "rows": int,
            "counts": dict,
            "digest": str,
            "unit": str,
            "dev": (int, float),
            "test": (int, float),
            "split_across": int,
            "source": str,
            "shards": list,
            "notes": dict,
            "schema": int,
        }
        for name, kind in types.items():
            if not isinstance(values.get(name), kind):
                raise _damaged(path, f"{name} is {values.get(name)!r}")
        names = {item.name for item in fields(cls)}
        known = {key: value for key, value in values.items() if key in names}
        counts, shards = values["counts"], values["shards"]
        assert isinstance(counts, dict)
        assert isinstance(shards, list)
        if sorted(counts) != sorted(Split) or sum(counts.values()) != values["rows"]:
            raise _damaged(path, f"{values['rows']} rows, by split {counts}")
        if any(not isinstance(name, str) or Path(name).name != name for name in shards):
            raise _damaged(path, f"shards {shards}")
        try:
            known |= {"kind": DatasetKind(str(values["kind"])), "unit": Unit(str(values["unit"]))}
        except ValueError as error:
            raise _damaged(path, str(error)) from None
        return cls(**{**known, "shards": tuple(shards)})  # type: ignore[arg-type]


def kind_of(name: str) -> DatasetKind:
    """The kind called `name`. Raises ConfigError for an unknown one."""
    try:
        return DatasetKind(name)
    except ValueError:
        raise ConfigError(
            "a data set has an unknown kind", got=name, do=f"use one of {', '.join(DatasetKind)}"
        ) from None


def _damaged(path: Path, got: str) -> DataError:
    return DataError(
        "the data set's manifest is damaged", got=got, where=path, do="import the data again"
    )
