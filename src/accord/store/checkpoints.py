"""Signed statements about the log: so many events, this Merkle root. And receipts for raters.

Whoever holds a checkpoint, and the public key, can tell for ever whether a log still begins with
the events that it was signed over: what was changed, dropped or put in before it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.core.errors import DataError, InvariantError
from accord.core.hashing import canonical_json
from accord.store import merkle, schema
from accord.store.event import from_hex, leaf_of
from accord.store.keys import PublicKey, SigningKey
from accord.store.tables import checkpoints, events, log
from accord.store.tables.columns import stamp

_PURPOSE = b"accord checkpoint 1\n"
"""Before what is signed: a signature for this can be used for nothing else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A statement about events 1 to `size`, signed."""

    log: str
    """Random name of the log."""
    size: int
    root: str
    """Merkle root over the hashes of the events."""
    head: str
    """Hash of event number `size`."""
    time: str
    """UTC."""
    key: str
    """Id of the key that signed."""
    signature: str

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return _PURPOSE + canonical_json(self.statement()).encode()

    def statement(self) -> dict[str, object]:
        """Every field but the signature."""
        names = ("log", "size", "root", "head", "time", "key")
        return {name: getattr(self, name) for name in names}

    def signed_by(self, key: PublicKey) -> bool:
        """Whether `key` signed this."""
        try:
            signature = from_hex(self.signature)
        except ValueError:
            return False
        return key.id == self.key and key.signed(self.signed_bytes(), signature)


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What a rater keeps: proof that an event stands in the log that a checkpoint covers."""

    seq: int
    hash: str
    """Of the event; its Merkle leaf is SHA-256(0x00 + hash)."""
    proof: tuple[str, ...]
    """Siblings up to the root."""
    checkpoint: Checkpoint

    def holds(self, key: PublicKey) -> bool:
        """Whether the proof leads to the root and `key` signed it. Works offline."""
        try:
            leaf, root = leaf_of(self.hash), from_hex(self.checkpoint.root)
            proof = [from_hex(sibling) for sibling in self.proof]
        except ValueError:
            return False
        size = self.checkpoint.size
        proved = merkle.includes(leaf, self.seq - 1, size, proof, root)
        return proved and self.checkpoint.signed_by(key)


def sign_checkpoint(connection: Connection, key: SigningKey) -> Checkpoint:
    """Sign the log as it is now, inside `Database.write`; the same size is signed once by one key.

    Reads every event's hash: seconds for a million. Raises DataError for a log without events.
    """
    if not schema.writes(connection):
        raise InvariantError("a checkpoint was signed outside of Database.write")
    end = connection.execute(sa.select(log.c.id, log.c.size, log.c.head)).one()
    if end.size == 0:
        raise DataError("a log without events has nothing to sign")
    known = [c for c in all_checkpoints(connection) if c.size == end.size]
    for checkpoint in known:
        if checkpoint.key == key.public.id:
            return checkpoint
    hashes = _hashes(connection, end.size)
    root = merkle.root_of(map(leaf_of, hashes)).hex()
    unsigned = Checkpoint(
        log=end.id,
        size=end.size,
        root=root,
        head=end.head,
        time=stamp(datetime.now(UTC)),
        key=key.public.id,
        signature="",
    )
    signature = key.sign(unsigned.signed_bytes()).hex()
    before = connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(checkpoints.c.size), 0))
    ).scalar_one()
    row = {
        "size": end.size,
        "key_id": key.public.id,
        "root": root,
        "head": end.head,
        "time": unsigned.time,
        "public_key": key.public.raw.hex(),
        "signature": signature,
        "leaves": hashes[before:],
    }
    connection.execute(sa.insert(checkpoints), [row])
    return _checkpoint(end.id, row)


def all_checkpoints(connection: Connection) -> list[Checkpoint]:
    """Every checkpoint, the smallest first."""
    name = connection.execute(sa.select(log.c.id)).scalar_one()
    left_out = {"leaves"}
    columns = [column for column in checkpoints.c if column.name not in left_out]
    rows = connection.execute(
        sa.select(*columns).order_by(checkpoints.c.size, checkpoints.c.key_id)
    )
    return [_checkpoint(name, dict(row._mapping)) for row in rows]


def receipt(connection: Connection, seq: int) -> Receipt:
    """Proof that event `seq` stands in the log, against the newest checkpoint.

    Raises DataError where no checkpoint was signed since the event.
    """
    signed = all_checkpoints(connection)
    if not 1 <= seq <= (signed[-1].size if signed else 0):
        raise DataError(
            "no checkpoint has been signed since this event",
            got=f"event {seq}, last checkpoint at {signed[-1].size if signed else 0}",
            do="sign a checkpoint, or ask again after the next one",
        )
    hashes = _hashes(connection, signed[-1].size)
    proof = merkle.inclusion_proof([leaf_of(found) for found in hashes], seq - 1)
    return Receipt(
        seq=seq,
        hash=hashes[seq - 1],
        proof=tuple(sibling.hex() for sibling in proof),
        checkpoint=signed[-1],
    )


def _hashes(connection: Connection, size: int) -> list[str]:
    rows = connection.execute(
        sa.select(events.c.hash).where(events.c.seq <= size).order_by(events.c.seq)
    )
    return list(rows.scalars())


def _checkpoint(name: str, row: dict[str, object]) -> Checkpoint:
    return Checkpoint(
        log=name,
        size=int(str(row["size"])),
        root=str(row["root"]),
        head=str(row["head"]),
        time=str(row["time"]),
        key=str(row["key_id"]),
        signature=str(row["signature"]),
    )
