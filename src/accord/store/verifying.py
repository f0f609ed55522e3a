"""Was anything that people said lost or changed? Works offline, on an export alone.

Every event's hash, number and link are computed again, and every digest of what was not erased; the
judgements' rows are derived again; every checkpoint's signature is checked and its Merkle root
computed from the events. The first event that is not as it was written is named: exactly where
the chain or a checkpoint's list of hashes shows it, otherwise as the first of a range.

What this cannot show:

- That a log which was rewritten whole, before anybody outside had seen a checkpoint, ever was
  another one. Whoever holds the signing key and the database can do so. Keep checkpoints outside
  (a release, a second host, the raters' receipts) and pass them in as `expected`.
- That two readers were shown the same log (a split view): compare their checkpoints.
- That events after the last checkpoint are all there: those are chained, but signed by nobody.
  Whoever cuts the log back to an older checkpoint, and drops the newer ones, is found out only by
  a checkpoint or receipt that somebody kept.
- That what was said is true, or that the rater was who they said to be.

Without `public_keys` the signatures are checked with the keys in the file itself: that finds
accidents, not a forger, who would bring a key of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accord.core.errors import DataError, StoreError
from accord.core.hashing import canonical_json
from accord.store.attesting import Attestation
from accord.store.chain import Chain, Fault
from accord.store.checkpoints import Checkpoint
from accord.store.database import Database
from accord.store.keys import PublicKey
from accord.store.records import CHECKPOINT, END, EVENT, FORMAT, HEADER, records, strays

_END = {"kind", "events", "head"}
_HEADER = {"kind", "format", "log", "events"}
Part = tuple[int, str]
"""Number of an event and the name of a part of what it said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a verification came to."""

    log: str
    """Random name of the log."""
    events: int
    """Events seen."""
    signed: int
    """How many of them, from the first, a good checkpoint covers."""
    keys: tuple[str, ...]
    """Ids of the keys that signed good checkpoints."""
    trusted: bool
    """Whether the caller named the keys; otherwise those of the log itself were believed."""
    erased: tuple[Part, ...]
    """What was erased, by events of the log."""
    withheld: tuple[Part, ...]
    """Who raters are: digests alone are exported."""
    faults: tuple[Fault, ...]
    """What is not as it was written: events that are wrong in themselves, by number; events that
    others contradict, which may only follow from the former; then what is of no event."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.faults

    @property
    def first_bad(self) -> int | None:
        """Number of the first bad event; None where there is none."""
        return self.faults[0].seq if self.faults else None


def verify(
    export: Path,
    *,
    public_keys: Sequence[PublicKey] | None = None,
    expected: Sequence[Checkpoint] = (),
) -> Verdict:
    """Verify an exported log, offline.

    `public_keys` are the keys to believe, got from elsewhere; then at least one checkpoint must be
    good. `expected` are checkpoints that were kept elsewhere, signed by those keys. Raises
    DataError for a file that is no export, or of a newer form, StoreError for one that cannot be
    read, ValueError for `expected` without `public_keys`.
    """
    lines = exported_records(export)
    header = next(lines, None)
    if header is None:
        raise DataError("this file is no exported log", where=export)
    return _verify(header, lines, public_keys, expected, private=False)


def verify_database(
    database: Database,
    *,
    public_keys: Sequence[PublicKey] | None = None,
    expected: Sequence[Checkpoint] = (),
) -> Verdict:
    """Verify a live log, identities included; others may go on writing. Raises as `read` does."""
    with database.read() as connection:
        found = records(connection, private=True)
        what = "a judgement's row stands for an event that is not there"
        return _verify(
            next(found),
            found,
            public_keys,
            expected,
            private=True,
            beside=[Fault(seq, what) for seq in strays(connection)],
        )


def _verify(
    header: Mapping[str, Any],
    found: Iterable[Mapping[str, Any] | None],
    keys: Sequence[PublicKey] | None,
    expected: Sequence[Checkpoint],
    *,
    private: bool,
    beside: Sequence[Fault] = (),
) -> Verdict:
    name, total = str(header["log"]), int(header["events"])
    chain, attestation = Chain(name, private=private), Attestation(name, keys)
    faults = list(beside)
    ended = False
    for record in found:
        kind = None if record is None else record.get("kind")
        if ended:
            faults.append(Fault(None, "something was put behind the end of the log"))
            break
        if record is None or kind not in (EVENT, CHECKPOINT, END):
            if len(chain.hashes) < total:
                chain.unreadable("its record is damaged")
            else:
                attestation.unreadable()
        elif kind == EVENT:
            chain.add(record)
        elif kind == CHECKPOINT:
            attestation.add(record)
        else:
            ended = True
            chain.finish(events=total, head=str(record.get("head")))
            if record.get("events") != total or record.keys() != _END:
                faults.append(Fault(None, "the end of the log was changed"))
    if not ended:
        faults.append(Fault(len(chain.hashes) + 1, "missing: the log has no end"))
    for checkpoint in expected:
        attestation.expect(checkpoint)
    attested = attestation.result(chain)
    faults += chain.faults() + attested.faults
    of_events = sorted(fault for fault in faults if fault.seq is not None)
    others = [fault for fault in faults if fault.seq is None]
    return Verdict(
        log=name,
        events=len(chain.hashes),
        signed=attested.signed,
        keys=attested.keys,
        trusted=keys is not None,
        erased=tuple(sorted(chain.erased)),
        withheld=tuple(sorted(chain.withheld)),
        faults=(*of_events, *sorted(chain.gaps()), *others),
    )


def exported_records(path: Path) -> Iterator[dict[str, Any] | None]:
    """The header of an export, then its records; None for a line that is not as it was written.

    Raises DataError for a file that is no export, or of a newer form, StoreError for one that
    cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = _record(file.readline())
            _check_header(header, path)
            yield header
            for line in file:
                yield _record(line)
    except OSError as error:
        raise StoreError(
            "the export cannot be read",
            got=error.strerror,
            where=path,
            do="name a file that `accord export --log FILE` wrote, and that you may read",
        ) from None


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        text = line.decode("ascii")
        record = json.loads(text)
        # Another spelling of the same values is a change too.
        same = isinstance(record, dict) and canonical_json(record) + "\n" == text
    except (ValueError, RecursionError):
        return None
    return record if same else None


def _check_header(header: Mapping[str, Any] | None, path: Path) -> None:
    if header is None or header.get("kind") != HEADER:
        raise DataError(
            "this file is no exported log, or its first line was changed",
            where=path,
            do="name a file that `accord export --log FILE` wrote",
        )
    if header.get("format") != FORMAT:
        raise DataError(
            "the export has a form that this Accord does not know",
            got=header.get("format"),
            where=path,
            do="install the newer version",
        )
    whole = header.keys() == _HEADER and isinstance(header["log"], str)
    if not whole or not isinstance(header["events"], int):
        raise DataError("the first line of the export was changed", where=path)
