"""The metric file of a stage: one JSON object a line, one line a step, flushed as it is written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from accord.core.errors import WorkspaceError


class MetricLog:
    """Appends rows to a file. A killed process loses at most the row it was writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")

    def append(self, step: int, row: Mapping[str, float]) -> None:
        """Write one row; steps count from 1."""
        self._file.write(json.dumps({"step": step, **row}, allow_nan=False) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Make the rows written so far outlast a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; the log takes no further row."""
        self._file.close()

    def __enter__(self) -> MetricLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read(path: Path) -> list[dict[str, float]]:
    """All whole rows, each with its `step`; none where there is no file.

    A cut last line, as a killed process leaves it, is left out. Raises WorkspaceError on a damaged
    line before it.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [_parse(line, path, number) for number, line in enumerate(lines[:-1], 1)]


def _parse(line: str, path: Path, number: int) -> dict[str, float]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise WorkspaceError(
            "a metric file is damaged", got=str(error), where=f"{path}:{number}"
        ) from None
    if not isinstance(row, dict) or "step" not in row:
        raise WorkspaceError(
            "a metric file is damaged", got="a row without its step", where=f"{path}:{number}"
        )
    return row


def truncate_after(path: Path, step: int) -> None:
    """Drop every row after `step`, and a cut last line, in one atomic replacement."""
    rows = [row for row in read(path) if row["step"] <= step]
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
