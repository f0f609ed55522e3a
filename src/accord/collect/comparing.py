"""A frozen set beside the one that the log comes to now: what differs is named, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

from accord.collect.campaign_log import Excluded, Why
from accord.collect.origins import AnyOrigin, digest_of
from accord.core.errors import AccordError, DataError
from accord.core.hashing import digest
from accord.store.datasets import Dataset
from accord.store.splits import Row

EXCLUDED = "excluded.jsonl"
"""File of the artifact that lists what is no row, and why."""
MOST_LISTED = 20
"""Faults of rows after which the rest is not compared."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Something that does not follow from the log."""

    row: int | None
    """Number of the row, from 1; None where it is no row's."""
    seq: int | None
    """Number of the event, where one is concerned."""
    what: str

    def __str__(self) -> str:
        row = "" if self.row is None else f"row {self.row}"
        event = "" if self.seq is None else f"event {self.seq}"
        place = f"{row} ({event})" if row and event else row or event
        return f"{place}: {self.what}" if place else self.what


class Remade(Protocol):
    """The set that the log comes to now, as it was when it was frozen."""

    @property
    def noun(self) -> str:
        """What a row is made of: judgement or text."""
        ...

    @property
    def hashes(self) -> Mapping[int, str]:
        """Number of each event that a row can be of, to its hash."""
        ...

    @property
    def erased_since(self) -> bool:
        """Whether anything was erased that figures are made of."""
        ...

    @property
    def excluded(self) -> list[Excluded]:
        """What is no row, of all that was made so far; by number."""
        ...

    def origins(self) -> Iterator[AnyOrigin]:
        """What the set says that its rows are, in their order."""
        ...

    def rows(self) -> Iterator[Row]:
        """The rows of the set."""
        ...

    def made(self) -> Iterator[tuple[Row, AnyOrigin] | Excluded]:
        """What the log comes to, in the order of a set."""
        ...

    def gone(self, origin: AnyOrigin) -> bool:
        """Whether a row cannot be held against the log, since something of it was erased."""
        ...

    def kept(self, origin: AnyOrigin) -> Row | None:
        """A row that is gone, where the log still has its words and not what decided on it."""
        ...

    def as_far_as_known(self, made: Row, row: Row, origin: AnyOrigin) -> Row:
        """The row that the log comes to, where what it cannot tell any more is as in `row`."""
        ...

    def origin_as_far_as_known(self, made: AnyOrigin, origin: AnyOrigin) -> AnyOrigin:
        """The origin that the log comes to, where what it cannot tell any more is as in
        `origin`."""
        ...

    def undecided(self, seq: int, said: Why | None, now: Why | None) -> bool:
        """Whether the set and the log may differ on what is no row, for what was erased since."""
        ...

    def figures(self) -> Mapping[str, object]:
        """What the manifest should say, once everything was made."""
        ...


def excluded(folder: Path) -> list[Excluded]:
    """All that is no row of a frozen set, by number. Raises DataError for a damaged list."""
    path = folder / EXCLUDED
    try:
        values = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
        return [Excluded(seq=int(item["seq"]), why=Why(item["why"])) for item in values]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the list of what was excluded is damaged",
            got=str(error),
            where=path,
            do="freeze again",
        ) from None


class Comparing:
    """A frozen set beside the one that the log comes to now."""

    def __init__(self, dataset: Dataset, remade: Remade) -> None:
        self.faults: list[Discrepancy] = []
        self.compared = self.erased = 0
        self._dataset, self._remade = dataset, remade
        self._made = remade.made()
        self._ahead: tuple[Row, AnyOrigin] | None = None
        self._listed: Mapping[int, Why] = {}

    def run(self) -> None:
        """Compare everything; `faults`, `compared` and `erased` say what came of it."""
        number = 0
        try:
            self._listed = {item.seq: item.why for item in excluded(self._dataset.folder)}
            for number, (row, origin) in enumerate(
                zip_longest(self._remade.rows(), self._remade.origins()), start=1
            ):
                if not self._row(number, row, origin) or len(self.faults) >= MOST_LISTED:
                    return
            self._rest()
            self._left_out()
            if not self.faults:
                self._dataset.verify()
        except AccordError as error:
            at = number + 1 if number else None
            self.faults.append(Discrepancy(at, None, f"{error.what}: {error.got}"))

    def _row(self, number: int, row: Row | None, origin: AnyOrigin | None) -> bool:
        """Compare one row; whether it makes sense to go on."""
        if row is None or origin is None:
            what = "it has no origin" if origin is None else "it is missing"
            self._blame(number, None if origin is None else origin.seq, what)
            return False
        known = self._remade.hashes.get(origin.seq)
        if known != origin.hash:
            noun = self._remade.noun
            what = f"the log has no such {noun}" if known is None else "it is of another event"
            self._blame(number, origin.seq, what)
            return False
        gone, made = self._remade.gone(origin), self._next()
        if made is None or made[1].seq != origin.seq:
            if gone:
                self.erased += 1
                self._ahead = made
                kept = self._remade.kept(origin)
                if kept is not None and (differs := _differs(kept, row)):
                    self._blame(number, origin.seq, f"its {differs} is not that of the log")
                return True
            now = "none" if made is None else f"event {made[1].seq}"
            self._blame(number, origin.seq, f"the log has {now} in its place")
            return False
        # What the log still makes is compared, whatever the set says that it came from.
        self.erased += gone
        self.compared += not gone
        want = self._remade.as_far_as_known(made[0], row, origin)
        came = self._remade.origin_as_far_as_known(made[1], origin)
        differs = _differs(want, row) or _differs(replace(came, row=number), origin)
        if differs:
            self._blame(number, origin.seq, f"its {differs} is not that of the log")
        return True

    def _next(self) -> tuple[Row, AnyOrigin] | None:
        """The next row that the log comes to, those that the set could not know left out."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        for item in self._made:
            if isinstance(item, Excluded):
                continue
            said = self._listed.get(item[1].seq)
            if said is None or not self._remade.undecided(item[1].seq, said, None):
                return item
        return None

    def _rest(self) -> None:
        while (made := self._next()) is not None:
            self._blame(None, made[1].seq, "it counts, and the set has no row for it")

    def _left_out(self) -> None:
        """What was excluded, and the manifest's own figures."""
        remade, listed = self._remade, excluded(self._dataset.folder)
        made = {item.seq: item.why for item in remade.excluded}
        for seq in sorted(self._listed.keys() | made.keys()):
            said, now = self._listed.get(seq), made.get(seq)
            if said != now and not remade.undecided(seq, said, now):
                what = f"listed as {said}, the log says {now}"
                self._blame(None, seq, f"its exclusion was changed: {what}")
        digests = {"origins": digest_of(remade.origins()), "excluded": digest(listed)}
        notes: Mapping[str, Any] = self._dataset.manifest.notes
        for name, value in remade.figures().items():
            want = digests if name == "digests" else value
            comparable = name == "digests" or not remade.erased_since
            if comparable and notes.get(name) != json.loads(json.dumps(want)):
                self._blame(None, None, f"the manifest's {name} do not follow from the log")

    def _blame(self, row: int | None, seq: int | None, what: str) -> None:
        self.faults.append(Discrepancy(row, seq, what))


def _differs(one: Row | AnyOrigin, other: Row | AnyOrigin) -> str | None:
    """The first field that is another one."""
    names = (item.name for item in fields(one))
    return next((name for name in names if getattr(one, name) != getattr(other, name)), None)
