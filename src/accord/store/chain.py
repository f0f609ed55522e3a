"""Walks along the events of a log and finds the first that is not what was written.

What the chain alone can say is decided here; `attesting` decides what signatures can.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accord.store.event import (
    ERASED,
    PRIVATE,
    VERSION,
    Event,
    erased_part,
    first_link,
    salted_digest,
)
from accord.store.judgements import EVENTS, derive


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something that is not as it was written."""

    seq: int | None
    """Number of the event; None where it is no event's."""
    what: str

    def __str__(self) -> str:
        return self.what if self.seq is None else f"event {self.seq}: {self.what}"


_TYPES: dict[str, tuple[type, ...]] = {
    "seq": (int,),
    "version": (int,),
    "time": (str,),
    "actor": (str,),
    "type": (str,),
    "subject": (str,),
    "key": (str, type(None)),
    "supersedes": (int, type(None)),
    "guideline": (str, type(None)),
    "ui": (str, type(None)),
    "order_seed": (int, type(None)),
    "policies": (list,),
    "payload": (dict,),
    "prev": (str,),
}


_RECORD = {"kind", "event", "hash", "parts", "row"}
_PART = {"salt", "body"}


class Chain:
    """What has been seen of a log so far. Feed it events in order, then ask for `faults`."""

    def __init__(self, log: str, *, private: bool) -> None:
        self.hashes: list[str] = []
        """Stated hash of each event, by position; empty where the event cannot be read."""
        self.erased: set[tuple[int, str]] = set()
        """Event and part of every erasure."""
        self.broken: int | None = None
        """Position of the first event that is not chained to the one before."""
        self.vouched = False
        """Whether what follows `broken` is chained to it."""
        self._private = private
        self._faults: list[Fault] = []
        self._gaps: list[Fault] = []
        self._missing: set[tuple[int, str]] = set()
        self._superseded: dict[int, int] = {}
        self._claimed: dict[int, int] = {}
        self._link = first_link(log)

    @property
    def withheld(self) -> set[tuple[int, str]]:
        """Private parts that were not shown, and not erased."""
        return {(seq, part) for seq, part in self._missing - self.erased if part in PRIVATE}

    def unreadable(self, why: str) -> None:
        """An event whose record is damaged."""
        self._blame(len(self.hashes) + 1, why)
        self.hashes.append("")
        self._link = ""

    def add(self, record: Mapping[str, Any]) -> None:
        """The next event."""
        position = len(self.hashes) + 1
        event = _event_of(record)
        if event is None:
            self.unreadable("its record is damaged")
            return
        stated = str(record.get("hash"))
        self.hashes.append(stated)
        if event.version != VERSION:
            self._blame(position, f"it has a form that this Accord does not know: {event.version}")
        if event.hash != stated:
            self._blame(position, "its hash is not that of its content")
        elif event.seq != position:
            # Twice the same number: one of the two was put in, and both are called that.
            twice = event.seq == position - 1 and position > 1
            what = f"missing or out of place: got event {event.seq}"
            self._blame(position - 1 if twice else position, what)
        self._follow(position, event, stated)
        parts = self._check_parts(position, event, record.get("parts"))
        if event.type == ERASED:
            self._note_erasure(position, event.subject)
        self._check_row(position, event, parts, record.get("row"))

    def finish(self, *, events: int, head: str) -> None:
        """The end of the log, which says how many events there were and the last one's hash."""
        if self.broken == len(self.hashes):
            self.vouched = bool(self.hashes) and self.hashes[-1] == head
        elif self.hashes and self.hashes[-1] != head and events == len(self.hashes):
            self._blame(events, "it is not the event that the log ended with")
        if events > len(self.hashes):
            self._blame(len(self.hashes) + 1, f"missing: the log had {events} events")
        elif events < len(self.hashes):
            self._blame(events + 1, f"put in: the log had {events} events")

    def faults(self) -> list[Fault]:
        """Events that are not as they were written.

        Broken links are left out: which of two events broke one is decided later.
        """
        return self._faults

    def gaps(self) -> list[Fault]:
        """Events that others contradict, and so perhaps only because those others are wrong."""
        gone = self._missing - self.erased
        if not self._private:
            gone = {(seq, part) for seq, part in gone if part not in PRIVATE}
        lost = [Fault(seq, f"what it said ({part}) is gone, and not erased") for seq, part in gone]
        wrong = [
            self._not_superseded(seq, self._claimed.get(seq))
            for seq in self._claimed.keys() | self._superseded.keys()
            if self._claimed.get(seq) != self._superseded.get(seq)
        ]
        return self._gaps + lost + wrong

    def _not_superseded(self, seq: int, claimed: int | None) -> Fault:
        if claimed is not None and claimed > len(self.hashes) and seq not in self._superseded:
            return Fault(len(self.hashes) + 1, f"missing: event {claimed} superseded event {seq}")
        return Fault(seq, "its judgement's row is superseded by another event than in the log")

    def _blame(self, seq: int, what: str) -> None:
        self._faults.append(Fault(seq, what))

    def _follow(self, position: int, event: Event, stated: str) -> None:
        if self.broken is not None and self.broken == position - 1:
            self.vouched = event.prev == self.hashes[position - 2]
        # Once something is wrong, later links say nothing about what was wrong first.
        if event.prev != self._link and self.broken is None and not self._faults:
            self.broken = position
        self._link = stated

    def _check_parts(self, position: int, event: Event, shown: object) -> dict[str, Any]:
        """Compare every part with its digest; returns what could be read of them."""
        shown = shown if isinstance(shown, dict) else {}
        read: dict[str, Any] = {}
        for name in shown.keys() - event.payload.keys():
            self._blame(position, f"it never said {name!r}")
        for name, promised in event.payload.items():
            part = shown.get(name)
            if part is None:
                self._missing.add((event.seq, name))
                continue
            try:
                fits = (
                    part.keys() == _PART and salted_digest(part["salt"], part["body"]) == promised
                )
                read[name] = json.loads(part["body"])
            except (KeyError, TypeError, ValueError, AttributeError):
                fits = False
            if not fits:
                self._blame(position, f"what it said ({name}) was changed")
        return read

    def _note_erasure(self, position: int, subject: str) -> None:
        try:
            seq, part = erased_part(subject)
        except ValueError:
            self._blame(position, "it erases nothing that could be named")
            return
        self.erased.add((seq, part))
        if (seq, part) not in self._missing:
            self._gaps.append(Fault(seq, f"what it said ({part}) was erased and is still there"))

    def _check_row(
        self, position: int, event: Event, parts: Mapping[str, Any], row: object
    ) -> None:
        if event.type not in EVENTS:
            if row is not None:
                self._blame(position, "a judgement's row stands for an event that is none")
            return
        if event.supersedes is not None:
            self._superseded[event.supersedes] = event.seq
        found = dict(row) if isinstance(row, dict) else {}
        later = found.pop("superseded_by", None)
        if isinstance(later, int):
            self._claimed[event.seq] = later
        elif later is not None:
            self._blame(position, "its judgement's row is damaged")
        try:
            same = found == derive(event, parts)
        except AttributeError:
            same = False
        if not same:
            self._blame(position, "its judgement's row does not follow from the log")


def _event_of(record: Mapping[str, Any]) -> Event | None:
    """The event of a record; None where it is none, or has something else beside it."""
    values = record.get("event")
    if record.keys() != _RECORD or not isinstance(values, dict) or values.keys() != _TYPES.keys():
        return None
    if any(type(values[name]) not in kinds for name, kinds in _TYPES.items()):
        return None
    texts = [*values["policies"], *values["payload"].values()]
    if not all(isinstance(text, str) for text in texts):
        return None
    return Event.of(values)
