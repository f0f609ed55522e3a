"""A frozen set looked at again: which judgement a row is, what is left without a rater, and whether
every row still follows from the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

from accord.collect.campaign_log import Excluded, History, Why, read_history
from accord.collect.freezing import EXCLUDED, ORIGINS, Tally
from accord.collect.origins import digest_of, read_origins
from accord.collect.reckoning import FreezeSettings, Origin, check_weights, rows
from accord.collect.sealing import broken
from accord.core.errors import AccordError, DataError
from accord.core.hashing import digest
from accord.core.types import Comparison
from accord.store.checkpoints import Checkpoint
from accord.store.database import Database
from accord.store.datasets import Dataset
from accord.store.event import from_hex
from accord.store.keys import PublicKey
from accord.store.manifest import DatasetManifest
from accord.store.replay import DatabaseReplay, ExportReplay, Replay
from accord.store.verifying import Verdict, verify, verify_database

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


@dataclass(frozen=True, kw_only=True, slots=True)
class FrozenVerdict:
    """What the verification of a frozen set came to."""

    rows: int
    """Rows that were held against the log."""
    erased_since: int
    """Rows that cannot be held against it: the judgement or a text was erased after freezing."""
    log: Verdict
    """What the verification of the log came to."""
    faults: tuple[Discrepancy, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.faults


def is_frozen(folder: Path) -> bool:
    """Whether this folder holds a frozen set."""
    return (folder / ORIGINS).is_file()


def settings_of(manifest: DatasetManifest) -> FreezeSettings:
    """What a set was frozen with: `dataclasses.replace` it and freeze again.

    Raises DataError where the manifest is not that of a frozen set.
    """
    found = manifest.notes.get("settings")
    names = {item.name for item in fields(FreezeSettings)}
    if not isinstance(found, dict) or found.keys() != names:
        raise DataError("this data set was not frozen from judgements", got=manifest.source)
    lists = {name: tuple(found[name]) for name in ("kinds", "purposes", "without")}
    return FreezeSettings(**found | lists)


def origins(folder: Path) -> Iterator[Origin]:
    """Which judgement each row is, in the order of `Dataset.rows()`."""
    return read_origins(folder / ORIGINS)


def excluded(folder: Path) -> list[Excluded]:
    """Every judgement that is no row, by number. Raises DataError where the list is damaged."""
    path = folder / EXCLUDED
    try:
        values = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
        return [Excluded(seq=int(item["seq"]), why=Why(item["why"])) for item in values]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the list of excluded judgements is damaged",
            got=str(error),
            where=path,
            do="freeze again",
        ) from None


def rows_without(folder: Path, rater: str) -> Iterator[Comparison]:
    """The rows of a frozen set as they would be without a rater, from the folder alone.

    The weight of a task is shared by those who are left: the rows that freezing with the rater in
    `without` gives, but for rounding.
    """
    both = zip(_rows(folder), origins(folder), strict=True)
    for _, unit in groupby(both, key=lambda pair: pair[1].unit):
        judged = list(unit)
        left = [row for row, origin in judged if origin.rater != rater]
        for row in left:
            yield replace(row, weight=row.weight * len(judged) / len(left))


def verify_frozen(
    folder: Path, source: Database | Path, *, public_keys: Sequence[PublicKey] | None = None
) -> FrozenVerdict:
    """Whether a frozen set follows from the log: a live database, or an exported file, offline.

    The log is verified; the checkpoint that the manifest names must be in it; then the set is made
    again from the log, as it was when it was frozen, and compared row by row. `public_keys` are the
    keys to believe; without them those of the log and the manifest themselves are believed. What
    was erased after freezing cannot be compared, and is counted.
    Raises DataError for a folder that is no frozen set and a file that is no export, StoreError
    where the log cannot be read.
    """
    dataset = Dataset(folder)
    settings = settings_of(dataset.manifest)
    if isinstance(source, Database):
        log = verify_database(source, public_keys=public_keys)
        if log.faults:
            return _of_the_log(log)
        with source.read() as connection:
            return _verify(dataset, settings, DatabaseReplay(connection), log, public_keys)
    log = verify(source, public_keys=public_keys)
    if log.faults:
        return _of_the_log(log)
    return _verify(dataset, settings, ExportReplay(source), log, public_keys)


def _of_the_log(log: Verdict) -> FrozenVerdict:
    faults = tuple(Discrepancy(None, fault.seq, fault.what) for fault in log.faults)
    return FrozenVerdict(rows=0, erased_since=0, log=log, faults=faults)


def _verify(
    dataset: Dataset,
    settings: FreezeSettings,
    replay: Replay,
    log: Verdict,
    keys: Sequence[PublicKey] | None,
) -> FrozenVerdict:
    notes: dict[str, Any] = dict(dataset.manifest.notes)
    faults = _check_checkpoint(notes, replay, keys)
    compared = erased = 0
    if not faults:
        sealed = broken(dataset.folder, dataset.manifest, keys)
        try:
            check_weights(notes["weights"])
            history = read_history(
                replay, notes["campaign"]["id"], events=int(notes["log"]["events"])
            )
            comparison = _Comparison(dataset, settings, replay, history, notes)
            comparison.run()
            faults = comparison.faults
            if sealed is not None:
                faults.append(Discrepancy(None, None, sealed))
            compared, erased = comparison.compared, comparison.erased
        except (KeyError, TypeError, AttributeError) as error:
            faults = [Discrepancy(None, None, f"the manifest is damaged: {error!r}")]
    return FrozenVerdict(rows=compared, erased_since=erased, log=log, faults=tuple(faults))


def _check_checkpoint(
    notes: dict[str, Any], replay: Replay, keys: Sequence[PublicKey] | None
) -> list[Discrepancy]:
    """Whether the manifest's checkpoint is signed, covers what was read, and is of this log."""
    try:
        signed = Checkpoint(**notes["log"]["checkpoint"])
        key = PublicKey(from_hex(notes["log"]["public_key"]))
        covered = signed.size >= notes["log"]["events"]
    except (KeyError, TypeError, ValueError) as error:
        return [Discrepancy(None, None, f"the manifest's checkpoint is damaged: {error!r}")]
    checks = (
        (signed.signed_by(key), "the signature of the manifest's checkpoint does not fit"),
        (keys is None or key in keys, "the manifest's checkpoint is signed by an untrusted key"),
        (covered, "the manifest's checkpoint does not cover what was read"),
        (signed.log == replay.log, "the set was frozen from another log"),
        (signed in replay.checkpoints(), "the log does not have the manifest's checkpoint"),
    )
    return [Discrepancy(None, None, what) for holds, what in checks if not holds][:1]


class _Comparison:
    """A frozen set beside the one that the log comes to now."""

    def __init__(
        self,
        dataset: Dataset,
        settings: FreezeSettings,
        replay: Replay,
        history: History,
        notes: dict[str, Any],
    ) -> None:
        self.faults: list[Discrepancy] = []
        self.compared = self.erased = 0
        self._dataset, self._folder, self._notes = dataset, dataset.folder, notes
        self._settings, self._history = settings, history
        self._tally = Tally(history)
        self._made = rows(replay, history, settings, notes["weights"])
        self._lost: set[str] = set()

    def run(self) -> None:
        """Compare everything; `faults`, `compared` and `erased` say what came of it."""
        number = 0
        try:
            self._lost = {o.unit for o in origins(self._folder) if self._gone(o)}
            for number, (row, origin) in enumerate(
                zip_longest(_rows(self._folder), origins(self._folder)), start=1
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

    def _row(self, number: int, row: Comparison | None, origin: Origin | None) -> bool:
        """Compare one row; whether it makes sense to go on."""
        if row is None or origin is None:
            what = "it has no origin" if origin is None else "it is missing"
            self._blame(number, None if origin is None else origin.seq, what)
            return False
        known = self._history.hashes.get(origin.seq)
        if known != origin.hash:
            what = "the log has no such judgement" if known is None else "it is of another event"
            self._blame(number, origin.seq, what)
            return False
        if self._gone(origin):
            self.erased += 1
            return True
        made = self._next()
        if made is None or made[1].seq != origin.seq:
            now = "none" if made is None else f"event {made[1].seq}"
            self._blame(number, origin.seq, f"the log has {now} in its place")
            return False
        self.compared += 1
        want, where = made[0], replace(made[1], row=number)
        if origin.unit in self._lost:
            # Others judged the same: their shares of its weight cannot be told any more.
            want = replace(want, weight=row.weight)
        differs = _differs(want, row) or _differs(where, origin)
        if differs:
            self._blame(number, origin.seq, f"its {differs} is not that of the log")
        return True

    def _next(self) -> tuple[Comparison, Origin] | None:
        for item in self._made:
            self._tally.add(item)
            if not isinstance(item, Excluded):
                return item
        return None

    def _rest(self) -> None:
        while (made := self._next()) is not None:
            self._blame(None, made[1].seq, "it counts, and the set has no row for it")

    def _left_out(self) -> None:
        """What was excluded, and the manifest's own figures."""
        listed = excluded(self._folder)
        said = {item.seq: item.why for item in listed}
        made = {item.seq: item.why for item in self._tally.excluded}
        since = self._history.erased_since
        for seq in sorted(said.keys() | made.keys()):
            lost = seq in since or (since and made.get(seq) is Why.TEXT_ERASED)
            if said.get(seq) != made.get(seq) and not lost:
                what = f"listed as {said.get(seq)}, the log says {made.get(seq)}"
                self._blame(None, seq, f"its exclusion was changed: {what}")
        digests = {"origins": digest_of(origins(self._folder)), "excluded": digest(listed)}
        figures = self._tally.notes(self._settings, self._notes["weights"])
        for name, value in figures.items():
            want = digests if name == "digests" else value
            comparable = name == "digests" or not since
            if comparable and self._notes.get(name) != json.loads(json.dumps(want)):
                self._blame(None, None, f"the manifest's {name} do not follow from the log")

    def _gone(self, origin: Origin) -> bool:
        """Whether a row cannot be made again, since something of it was erased."""
        task = self._history.tasks.get(origin.unit)
        texts = set() if task is None else {task.prompt, *task.responses}
        lost = self._history.texts_erased_since
        return origin.seq in self._history.erased_since or bool(texts & lost)

    def _blame(self, row: int | None, seq: int | None, what: str) -> None:
        self.faults.append(Discrepancy(row, seq, what))


def _rows(folder: Path) -> Iterator[Comparison]:
    for row in Dataset(folder).rows():
        if isinstance(row, Comparison):
            yield row


def _differs(one: Comparison | Origin, other: Comparison | Origin) -> str | None:
    """The first field that is another one."""
    names = (item.name for item in fields(one))
    return next((name for name in names if getattr(one, name) != getattr(other, name)), None)
