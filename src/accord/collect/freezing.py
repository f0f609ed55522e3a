"""Freezing: the judgements of a campaign become a preference set that can be traced and verified.

One judgement is one row: ties, strength and disagreement survive. Beside the rows lie
`origins.parquet` (which judgement each row is) and `excluded.jsonl` (every judgement that is no
row, and why); the manifest names the state of the log that all of it follows from, and
`seal.json` signs it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from accord.collect.campaign import Campaign, check_asks
from accord.collect.campaign_log import Excluded, History, Why, read_history
from accord.collect.comparing import EXCLUDED as EXCLUDED
from accord.collect.origins import OriginWriter
from accord.collect.reckoning import FreezeSettings as FreezeSettings
from accord.collect.reckoning import Origin, check_weights, rows
from accord.collect.sealing import LOG, account, seal
from accord.collect.tasks import RANDOM
from accord.core.disk import Guarded
from accord.core.errors import ConfigError, DataError
from accord.core.hashing import canonical_json, digest, plain
from accord.core.types import Comparison
from accord.store.checkpoints import Checkpoint, sign_checkpoint
from accord.store.database import Database
from accord.store.keys import PublicKey, SigningKey
from accord.store.manifest import DatasetKind, DatasetManifest
from accord.store.replay import DatabaseReplay
from accord.store.splits import Splitter
from accord.store.writing import DatasetWriter

ORIGINS = "origins.parquet"
"""File of the artifact that says what each row came from."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """A frozen set."""

    folder: Path
    manifest: DatasetManifest
    counts: Mapping[str, object]
    """What the manifest's `counts` says: `given` is `rows` and all of `excluded`."""
    excluded: Mapping[str, int]
    """Judgements, or texts, left out, by reason."""
    is_new: bool
    """False where the same had been frozen before."""


def freeze(
    database: Database,
    campaign: Campaign,
    destination_root: Path,
    *,
    settings: FreezeSettings,
    key: SigningKey,
    weights: Callable[[Connection], Mapping[str, float]] | None = None,
    notes: Mapping[str, object] | None = None,
) -> Frozen:
    """Write the judgements of a campaign into `destination_root`, as the database has them now.

    The folder `NAME-preferences-DIGEST` appears in one step; the same state and settings give the
    same folder, which is then left as it is. `weights` gives the raters' weights in [0, 1], 1 for
    those that it does not name, from the state that is frozen. `key` signs a checkpoint of the log
    that covers all that was read. `notes` are added to the manifest's, and sealed with them.
    Raises ConfigError for settings that cannot be used, DataError where no judgement counts,
    WorkspaceError and StoreError where disk or database refuse; nothing half-written stays.
    """
    check_asks(campaign, texts=False, do="freeze its texts: `accord freeze` does")

    def reckon(connection: Connection, writer: DatasetWriter) -> Reckoned:
        weighs = dict(weights(connection)) if weights is not None else {}
        check_weights(weighs)
        replay = DatabaseReplay(connection)
        history = read_history(replay, campaign.id)
        check_without(settings.without, history)
        tally = Tally(history)
        with OriginWriter(writer.temporary / ORIGINS, Origin) as origins:
            for item in rows(replay, history, settings, weighs):
                tally.add(item)
                if isinstance(item, Excluded):
                    writer.split_across += item.why is Why.ACROSS
                    continue
                writer.add(item[0])
                origins.add(item[1])
        if not tally.rows:
            raise _nothing(campaign, tally)
        told = {**(notes or {}), **tally.notes(settings, weighs)}
        return Reckoned(events=history.events, log=replay.log, excluded=tally.excluded, notes=told)

    return write_set(
        database,
        destination_root,
        kind=DatasetKind.PREFERENCES,
        name=settings.name,
        splitter=settings.splitter,
        key=key,
        reckon=reckon,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reckoned:
    """What was put into a set that is being written, and where it came from."""

    events: int
    """Events that were read."""
    log: str
    """Random name of the log."""
    excluded: Sequence[Excluded]
    notes: dict[str, object]
    """What the manifest says, the log apart."""


def write_set(
    database: Database,
    destination_root: Path,
    *,
    kind: DatasetKind,
    name: str,
    splitter: Splitter,
    key: SigningKey,
    reckon: Callable[[Connection, DatasetWriter], Reckoned],
) -> Frozen:
    """Write a set that `reckon` fills from one state of the database, sealed and signed.

    Raises as `freeze`, and whatever `reckon` raises; nothing half-written stays.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "a data set's name must be letters, digits, '.', '_' or '-', at most 64",
            got=name,
            do="give another name",
        )
    with DatasetWriter(destination_root, kind=kind, source=name, splitter=splitter) as writer:
        with database.read() as connection:
            done = reckon(connection, writer)
        # After the reading: it covers what was read, and raters were not kept waiting for it.
        with database.write() as connection:
            checkpoint = sign_checkpoint(connection, key)
        with Guarded(writer.temporary):
            text = "".join(canonical_json(item) + "\n" for item in done.excluded)
            (writer.temporary / EXCLUDED).write_text(text, encoding="ascii")
        done.notes[LOG] = _log(done, checkpoint, key.public)
        manifest = writer.seal(notes=done.notes)
        seal(writer.temporary, manifest, key)
        return _publish(writer, manifest)


class Tally:
    """What became of every judgement of a campaign, and what the rows weigh."""

    def __init__(self, history: History) -> None:
        self.rows = 0
        self._history = history
        self._left_out: list[Excluded] = []
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("kinds", "verdicts", "purposes", "guidelines")
        }
        self._late = 0
        self._raters_seen = {given.rater for given in history.given}
        self._units: dict[str, str] = {}
        self._weights: dict[str, list[float]] = {}
        self._origins = hashlib.sha256()

    def add(self, item: tuple[Comparison, Origin] | Excluded) -> None:
        """The next judgement."""
        if isinstance(item, Excluded):
            self._left_out.append(item)
            return
        row, origin = item
        self.rows += 1
        named = (origin.kind, origin.verdict, origin.purpose, origin.guideline)
        for counter, word in zip(self._counts.values(), named, strict=True):
            counter[word] += 1
        self._late += origin.late
        self._units[origin.unit] = self._history.tasks[origin.unit].selected_by
        self._weights.setdefault(origin.rater, []).append(row.training_weight)
        self._origins.update(bytes.fromhex(digest(origin)))

    @property
    def excluded(self) -> list[Excluded]:
        """Judgements left out, by number."""
        return sorted(self._left_out, key=lambda item: item.seq)

    @property
    def reasons(self) -> dict[str, int]:
        """How many judgements were left out for each reason."""
        found = Counter(item.why for item in self._left_out)
        return {why.value: found[why] for why in Why if why in found}

    def notes(self, settings: FreezeSettings, weights: Mapping[str, float]) -> dict[str, object]:
        """What the manifest says, the log apart: it follows from history, settings and weights."""
        picked = Counter(self._units.values())
        return {
            "campaign": {"id": self._history.campaign, "name": self._history.name},
            "settings": plain(settings),
            # Of those left out for weighing nothing, too: a verifier must come to the same.
            "weights": {
                rater: weights[rater] for rater in sorted(self._raters_seen & weights.keys())
            },
            "counts": {
                "given": self.rows + len(self._left_out),
                "rows": self.rows,
                "tasks": len(self._units),
                "late": self._late,
                **{name: dict(sorted(found.items())) for name, found in self._counts.items()},
            },
            "excluded": self.reasons,
            "raters": self._raters(),
            "selection": {
                "random": picked[RANDOM] / max(1, len(self._units)),
                "tasks": dict(sorted(picked.items())),
            },
            "digests": {
                "origins": self._origins.hexdigest(),
                "excluded": digest(self.excluded),
            },
        }

    def _raters(self) -> dict[str, object]:
        """How much one rater counts for, and by how much unequal weights shrink the set."""
        shares = {rater: math.fsum(found) for rater, found in sorted(self._weights.items())}
        total = math.fsum(shares.values())
        squares = math.fsum(w * w for _, found in sorted(self._weights.items()) for w in found)
        largest = max(shares, key=lambda rater: shares[rater], default="")
        return {
            "count": len(shares),
            "largest": largest,
            "largest_share": shares[largest] / total if total else 0.0,
            # Kish 1965: rows of equal weight that would give means of the same variance.
            "effective_rows": total * total / squares if squares else 0.0,
        }


def check_without(without: Sequence[str], history: History) -> None:
    """Raise ConfigError for a name that is nobody's: whoever was meant would stay in the set."""
    unknown = sorted(set(without) - history.kinds.keys())
    if unknown:
        raise ConfigError(
            "a rater who is to be left out is not known",
            got=", ".join(unknown),
            do="use the pseudonyms that `accord raters` shows",
        )


def _publish(writer: DatasetWriter, manifest: DatasetManifest) -> Frozen:
    name = f"{manifest.source}-{manifest.kind}-{account(manifest)[:16]}"
    folder = writer.temporary.parent / name
    known = folder.exists() and account(DatasetManifest.load(folder)) == account(manifest)
    if not known:
        writer.publish(folder)
    there = DatasetManifest.load(folder)
    return Frozen(
        folder=folder,
        manifest=there,
        counts=json.loads(canonical_json(there.notes["counts"])),
        excluded=json.loads(canonical_json(there.notes["excluded"])),
        is_new=not known,
    )


def _log(done: Reckoned, checkpoint: Checkpoint, key: PublicKey) -> dict[str, object]:
    signed = checkpoint.statement() | {"signature": checkpoint.signature}
    return {
        "id": done.log,
        "events": done.events,
        "checkpoint": signed,
        "public_key": key.raw.hex(),
    }


def _nothing(campaign: Campaign, tally: Tally) -> DataError:
    return DataError(
        "no judgement of this campaign can be frozen",
        got=told(tally.reasons) or "nobody has judged yet",
        where=campaign.settings.name,
        do="`accord raters` says who is believed and why; or ask for other kinds, or wait",
    )


def told(reasons: Mapping[str, int]) -> str:
    """Reasons with their counts, in words."""
    return ", ".join(f"{count} {why}" for why, count in reasons.items())
