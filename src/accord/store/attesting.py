"""What signed checkpoints say of a chain: which events are as they were when they were signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accord.store.chain import Chain, Fault
from accord.store.checkpoints import Checkpoint
from accord.store.event import from_hex, leaf_of
from accord.store.keys import PublicKey
from accord.store.merkle import Frontier, Hash

_RECORD = {"kind", "checkpoint", "signature", "public_key", "leaves"}
_STATEMENT = {"log": str, "size": int, "root": str, "head": str, "time": str, "key": str}


@dataclass(frozen=True, slots=True)
class Attested:
    """What the checkpoints came to."""

    faults: list[Fault]
    signed: int
    """Events that the largest good checkpoint covers."""
    keys: tuple[str, ...]
    """Ids of the keys that signed good checkpoints."""


@dataclass(slots=True)
class _Claim:
    """A checkpoint with what came along."""

    checkpoint: Checkpoint
    leaves: Sequence[str] = ()
    faults: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For messages."""
        return f"checkpoint over {self.checkpoint.size} events"


class Attestation:
    """Collects checkpoints, then compares them with a chain."""

    def __init__(self, log: str, keys: Sequence[PublicKey] | None) -> None:
        self._log = log
        self._trusted = None if keys is None else {key.id: key for key in keys}
        self._claims: list[_Claim] = []
        self._faults: list[Fault] = []

    def unreadable(self) -> None:
        """A checkpoint whose record is damaged."""
        self._faults.append(Fault(None, "the record of a checkpoint is damaged"))

    def add(self, record: Mapping[str, Any]) -> None:
        """A checkpoint that came with the log."""
        values, leaves = record.get("checkpoint"), record.get("leaves")
        signature, raw = record.get("signature"), record.get("public_key")
        texts = isinstance(signature, str) and isinstance(raw, str) and isinstance(leaves, list)
        texts = texts and record.keys() == _RECORD
        if not texts or not isinstance(values, dict) or values.keys() != _STATEMENT.keys():
            self.unreadable()
            return
        if any(type(values[name]) is not kind for name, kind in _STATEMENT.items()):
            self.unreadable()
            return
        try:
            key = PublicKey(from_hex(str(raw)))
        except ValueError:
            self.unreadable()
            return
        self._check(Checkpoint(**values, signature=str(signature)), key, leaves or ())

    def expect(self, checkpoint: Checkpoint) -> None:
        """A checkpoint that was kept elsewhere. Raises ValueError without trusted keys."""
        if self._trusted is None:
            raise ValueError("checkpoints from elsewhere prove nothing without public_keys")
        self._check(checkpoint, self._trusted.get(checkpoint.key), ())

    def result(self, chain: Chain) -> Attested:
        """Compare every good checkpoint with the events; decide which event broke the chain."""
        good = sorted(
            (claim for claim in self._claims if not claim.faults),
            key=lambda claim: (claim.checkpoint.size, not claim.leaves),
        )
        faults = list(self._faults)
        faults += [Fault(None, f"{c.name}: {what}") for c in self._claims for what in c.faults]
        found, listed = _Roots(chain.hashes), _Listed()
        signed, differs = 0, False
        keys: set[str] = set()
        for claim in good:
            checkpoint = claim.checkpoint
            listed.add(claim)
            if found.at(checkpoint.size) == checkpoint.root:
                signed = checkpoint.size
                keys.add(checkpoint.key)
                if not listed.agrees(chain.hashes, checkpoint.size):
                    faults.append(Fault(None, f"{claim.name}: its list of hashes was changed"))
            elif not differs:
                differs = True
                faults.append(_where(chain.hashes, listed, signed, claim))
        if chain.broken is not None:
            faults.append(_which(chain, chain.broken, listed))
        if self._trusted is not None and not signed:
            faults.append(Fault(None, "no checkpoint of a trusted key vouches for these events"))
        return Attested(faults, signed, tuple(sorted(keys)))

    def _check(self, checkpoint: Checkpoint, key: PublicKey | None, leaves: Sequence[str]) -> None:
        claim = _Claim(checkpoint, leaves)
        self._claims.append(claim)
        if self._trusted is not None and checkpoint.key not in self._trusted:
            claim.faults.append("signed by a key that is not trusted")
        elif key is None or not checkpoint.signed_by(key):
            claim.faults.append("its signature does not fit")
        elif checkpoint.log != self._log:
            claim.faults.append("it is of another log")
        elif checkpoint.size < 1:
            claim.faults.append("it covers no event")


class _Roots:
    """Merkle roots of growing beginnings of a list of hashes; ask for sizes that do not fall."""

    def __init__(self, hashes: Sequence[str]) -> None:
        self._hashes = hashes
        self._tree = Frontier()

    def at(self, size: int) -> str | None:
        """Root of the first `size` hashes; None where there are fewer."""
        if size > len(self._hashes):
            return None
        for text in self._hashes[self._tree.size : size]:
            self._tree.add(_leaf(text))
        return self._tree.root().hex()


class _Listed:
    """Hashes of events as good checkpoints list them: they let a change be named exactly.

    A list is not signed itself; it counts as far as it leads to a root that is.
    """

    def __init__(self) -> None:
        self._all: list[str] = []
        self._roots = _Roots(self._all)
        self._true = 0

    def add(self, claim: _Claim) -> None:
        """The list of the next larger checkpoint; without what lies before it is of no use."""
        if claim.checkpoint.size == len(self._all) + len(claim.leaves):
            self._all += map(str, claim.leaves)
            if self._roots.at(claim.checkpoint.size) == claim.checkpoint.root:
                self._true = claim.checkpoint.size

    def covers(self, size: int) -> bool:
        """Whether the first `size` hashes are known for certain."""
        return size <= self._true

    def agrees(self, hashes: Sequence[str], size: int) -> bool:
        """Whether the list says no other than `hashes`, as far as both go to `size`."""
        end = min(size, len(self._all))
        return self._all[:end] == list(hashes[:end])

    def knows(self, position: int, text: str) -> bool:
        """Whether the event at `position` is known to have this hash."""
        return 1 <= position <= self._true and self._all[position - 1] == text

    def first_other(self, hashes: Sequence[str], size: int) -> int:
        """Position of the first of `size` events that is missing or another one."""
        same = (position for position in range(1, size + 1) if position <= len(hashes))
        return next((p for p in same if hashes[p - 1] != self._all[p - 1]), len(hashes) + 1)


def _leaf(text: str) -> Hash:
    try:
        return leaf_of(text)
    except ValueError:
        return leaf_of("")


def _where(hashes: Sequence[str], listed: _Listed, signed: int, claim: _Claim) -> Fault:
    """The first event that is not as it was when `claim` was signed, as exactly as can be said."""
    size = claim.checkpoint.size
    if listed.covers(size):
        position = listed.first_other(hashes, size)
        what = "missing" if position > len(hashes) else "not the event"
        return Fault(position, f"{what} that was signed in the {claim.name}")
    if size > len(hashes):
        return Fault(len(hashes) + 1, f"missing: there is a {claim.name}")
    return Fault(signed + 1, f"this one, or one up to {size}, is not as signed in the {claim.name}")


def _which(chain: Chain, position: int, listed: _Listed) -> Fault:
    """Which of two events that are not chained was changed, hash and all."""
    before = chain.hashes[position - 2] if position > 1 else ""
    if listed.knows(position - 1, before):
        return Fault(position, "it is not chained to the event before")
    if not listed.knows(position, chain.hashes[position - 1]) and not chain.vouched:
        return Fault(position, "it is not chained to the event before")
    if position == 1:
        return Fault(None, "the log's name is not the one that its first event is chained to")
    return Fault(position - 1, "the event after is chained to another one")
