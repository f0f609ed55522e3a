"""A frozen set looked at again: which judgement a row is, what is left without a rater, and whether
every row still follows from the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from accord.collect.campaign_log import Excluded, History, Why, read_history
from accord.collect.comparing import Comparing, Discrepancy, Remade
from accord.collect.comparing import excluded as excluded
from accord.collect.freezing import ORIGINS, Tally
from accord.collect.origins import AnyOrigin, read_origins
from accord.collect.reckoning import FreezeSettings, Origin, check_weights, rows
from accord.collect.sealing import broken
from accord.collect.text_frozen import remade_texts, text_settings_of
from accord.core.errors import DataError
from accord.core.types import Comparison
from accord.store.checkpoints import Checkpoint
from accord.store.database import Database
from accord.store.datasets import Dataset
from accord.store.event import from_hex
from accord.store.keys import PublicKey
from accord.store.manifest import DatasetKind, DatasetManifest
from accord.store.replay import DatabaseReplay, ExportReplay, Replay
from accord.store.splits import Row
from accord.store.verifying import Verdict, verify, verify_database


@dataclass(frozen=True, kw_only=True, slots=True)
class FrozenVerdict:
    """What the verification of a frozen set came to."""

    noun: str = "judgement"
    """What a row is made of: judgement or text."""
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
    return read_origins(folder / ORIGINS, Origin)


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
    of_texts = dataset.manifest.kind is DatasetKind.DEMONSTRATIONS
    (text_settings_of if of_texts else settings_of)(dataset.manifest)  # refuses what was not frozen
    if isinstance(source, Database):
        log = verify_database(source, public_keys=public_keys)
        if log.faults:
            return _of_the_log(log)
        with source.read() as connection:
            return _verify(dataset, DatabaseReplay(connection), log, public_keys)
    log = verify(source, public_keys=public_keys)
    if log.faults:
        return _of_the_log(log)
    return _verify(dataset, ExportReplay(source), log, public_keys)


def _of_the_log(log: Verdict) -> FrozenVerdict:
    faults = tuple(Discrepancy(None, fault.seq, fault.what) for fault in log.faults)
    return FrozenVerdict(rows=0, erased_since=0, log=log, faults=faults)


def _verify(
    dataset: Dataset, replay: Replay, log: Verdict, keys: Sequence[PublicKey] | None
) -> FrozenVerdict:
    notes: dict[str, Any] = dict(dataset.manifest.notes)
    faults = _check_checkpoint(notes, replay, keys)
    compared = erased = 0
    if not faults:
        sealed = broken(dataset.folder, dataset.manifest, keys)
        try:
            comparing = Comparing(dataset, _remade(dataset, replay, notes))
            comparing.run()
            faults = comparing.faults
            if sealed is not None:
                faults.append(Discrepancy(None, None, sealed))
            compared, erased = comparing.compared, comparing.erased
        except (KeyError, TypeError, AttributeError) as error:
            faults = [Discrepancy(None, None, f"the manifest is damaged: {error!r}")]
    return FrozenVerdict(
        noun="text" if dataset.manifest.kind is DatasetKind.DEMONSTRATIONS else "judgement",
        rows=compared,
        erased_since=erased,
        log=log,
        faults=tuple(faults),
    )


def _remade(dataset: Dataset, replay: Replay, notes: Mapping[str, Any]) -> Remade:
    """What the log comes to now, of the kind that the set is."""
    campaign, events = notes["campaign"]["id"], int(notes["log"]["events"])
    if dataset.manifest.kind is DatasetKind.DEMONSTRATIONS:
        return remade_texts(dataset, replay, campaign, events)
    settings = settings_of(dataset.manifest)
    check_weights(notes["weights"])
    history = read_history(replay, campaign, events=events)
    return _Judgements(dataset.folder, replay, history, settings, notes["weights"])


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


class _Judgements:
    """The rows that the judgements of a campaign come to now."""

    noun = "judgement"

    def __init__(
        self,
        folder: Path,
        replay: Replay,
        history: History,
        settings: FreezeSettings,
        weights: Mapping[str, float],
    ) -> None:
        self.hashes = history.hashes
        self._folder, self._replay, self._history = folder, replay, history
        self._settings, self._weights = settings, weights
        self._tally = Tally(history)
        self._lost: set[str] | None = None

    @property
    def erased_since(self) -> bool:
        return bool(self._history.erased_since)

    @property
    def excluded(self) -> list[Excluded]:
        return self._tally.excluded

    def origins(self) -> Iterator[Origin]:
        return origins(self._folder)

    def rows(self) -> Iterator[Comparison]:
        return _rows(self._folder)

    def made(self) -> Iterator[tuple[Comparison, Origin] | Excluded]:
        for item in rows(self._replay, self._history, self._settings, self._weights):
            self._tally.add(item)
            yield item

    def gone(self, origin: AnyOrigin) -> bool:
        assert isinstance(origin, Origin)
        task = self._history.tasks.get(origin.unit)
        texts = set() if task is None else {task.prompt, *task.responses}
        lost = self._history.texts_erased_since
        return origin.seq in self._history.erased_since or bool(texts & lost)

    def kept(self, origin: AnyOrigin) -> Comparison | None:
        return None

    def as_far_as_known(self, made: Row, row: Row, origin: AnyOrigin) -> Row:
        assert isinstance(made, Comparison)
        assert isinstance(row, Comparison)
        assert isinstance(origin, Origin)
        if self._lost is None:
            self._lost = {one.unit for one in self.origins() if self.gone(one)}
        # Others judged the same: their shares of its weight cannot be told any more.
        return replace(made, weight=row.weight) if origin.unit in self._lost else made

    def origin_as_far_as_known(self, made: AnyOrigin, origin: AnyOrigin) -> AnyOrigin:
        return made

    def undecided(self, seq: int, said: Why | None, now: Why | None) -> bool:
        since = self._history.erased_since
        return seq in since or (bool(since) and now is Why.TEXT_ERASED)

    def figures(self) -> Mapping[str, object]:
        return self._tally.notes(self._settings, self._weights)


def _rows(folder: Path) -> Iterator[Comparison]:
    for row in Dataset(folder).rows():
        if isinstance(row, Comparison):
            yield row
