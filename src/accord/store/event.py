"""What stands in the log: events, the salted digests of what they say, and the links of the chain.

The hash of an event is SHA-256 over its canonical JSON, which names the hash of the event before.
What an event says (its parts: a verdict, a text, an identity) lies outside; the event holds only
SHA-256(salt + canonical JSON) of each part, with 32 random bytes of salt, so that a part can be
erased and then neither be read from the log nor be guessed and confirmed.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from accord.core.errors import DataError
from accord.core.hashing import canonical_json
from accord.store.merkle import leaf_hash

VERSION = 1
"""Form of the text that is hashed."""
PRIVATE = frozenset({"identity", "profile"})
"""Parts about a person: kept in a table of their own, and never exported."""
ERASED = "part.erased"
"""Type of the event of an erasure; its subject is `SEQ/PART`."""
_TYPE = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")
_PART = re.compile(r"[a-z][a-z_]{0,31}")
_LIMITS = {"actor": 64, "type": 64, "subject": 200, "key": 200, "guideline": 64, "ui": 64}
"""Longest text of each field, in characters."""
_GREATEST = (1 << 63) - 1


def first_link(log_id: str) -> str:
    """What the first event of a log is chained to."""
    return hashlib.sha256(f"accord log {log_id}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Something that happened, before it has a place in the log. Checked when made.

    Raises DataError for a field that the log could not keep as it is.
    """

    type: str
    """`noun.verb`, as in `judgement.given`."""
    actor: str
    """Pseudonym of the rater who did it, or "system"."""
    subject: str | None = None
    """Id of what it is about; None for something new, which the log gives a random id."""
    parts: Mapping[str, Any] = field(default_factory=dict)
    """What is said: name of a part to any JSON value. Each part can be erased alone."""
    key: str | None = None
    """Chosen by the sender: the same key twice is the same submission."""
    supersedes: int | None = None
    """Number of the event that this one corrects."""
    guideline: str | None = None
    ui: str | None = None
    """Version of the page or program that asked."""
    order_seed: int | None = None
    """Made the order in which the responses were shown."""
    policies: tuple[str, ...] = ()
    """Digests of the policies that said what this is about, in canonical order."""

    def __post_init__(self) -> None:
        if not _TYPE.fullmatch(self.type):
            raise DataError("an event's type is written noun.verb", got=self.type)
        for name, most in _LIMITS.items():
            _check_name(name, getattr(self, name), most)
        for policy in self.policies:
            _check_name("policies", policy, 64)
        for number in (self.supersedes, self.order_seed):
            if number is not None and not 0 <= number <= _GREATEST:
                raise DataError("a number of an event must fit 63 bits", got=number)
        for name, body in self.parts.items():
            if not _PART.fullmatch(name):
                raise DataError("a part of an event has a name of a to z and _", got=name)
            _check_body(name, body)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One link of the log. Times are UTC text, digests hexadecimal."""

    seq: int
    version: int
    time: str
    actor: str
    type: str
    subject: str
    key: str | None
    supersedes: int | None
    guideline: str | None
    ui: str | None
    order_seed: int | None
    policies: tuple[str, ...]
    payload: Mapping[str, str]
    """Name of a part to its salted digest."""
    prev: str
    """Hash of the event before."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Event:
        """The event with these fields, others ignored. Raises TypeError where one is missing."""
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        return cls(**known | {"policies": tuple(values["policies"])})

    def fields(self) -> dict[str, Any]:
        """Every field as a plain value, policies as a list: what is hashed."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return values | {"policies": list(self.policies), "payload": dict(self.payload)}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of all fields."""
        return hashlib.sha256(canonical_json(self.fields()).encode()).hexdigest()


def erased_part(subject: str) -> tuple[int, str]:
    """Event and part that an erasure's subject names. Raises ValueError for another text."""
    seq, _, name = subject.partition("/")
    return int(seq), name


def from_hex(text: str) -> bytes:
    """The bytes that `text` spells in the one way that counts: small letters, no spaces.

    Raises ValueError for any other spelling: a byte of it could be changed unseen.
    """
    data = bytes.fromhex(text)
    if data.hex() != text:
        raise ValueError("hexadecimal digits in another spelling")
    return data


def leaf_of(event_hash: str) -> bytes:
    """The Merkle leaf of an event with this hash."""
    return leaf_hash(from_hex(event_hash))


def new_id() -> str:
    """12 random bytes as hexadecimal digits: a name that says nothing about what it names."""
    return secrets.token_hex(12)


def repeatable_id(series: str, place: int) -> str:
    """A name of the same form that `series` and a place in the log give: whoever knows both can
    guess it."""
    return hashlib.sha256(f"accord id {place} of {series}".encode()).hexdigest()[:24]


def new_salt() -> str:
    """32 random bytes as hexadecimal digits."""
    return secrets.token_hex(32)


def salted_digest(salt: str, body: str) -> str:
    """What the log keeps of a part: SHA-256 over salt and canonical JSON.

    Raises ValueError where the salt is not hexadecimal in small letters.
    """
    return hashlib.sha256(from_hex(salt) + body.encode()).hexdigest()


def _check_name(name: str, value: str | None, most: int) -> None:
    if value is None and name not in ("actor", "type"):
        return
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise DataError(f"an event's {name} has 1 to {most} characters", got=repr(value)[:80])
    if not value.isprintable():
        raise DataError(f"an event's {name} is printable text", got=ascii(value)[:80])


def _check_body(name: str, body: object) -> None:
    try:
        # Sent through JSON once: what is read back must be what was said.
        same = json.loads(canonical_json(body)) == _lists(body)
        json.dumps(body, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise DataError("a part of an event is no JSON value", got=str(error), where=name) from None
    if not same:
        raise DataError("a part of an event would change as JSON", where=name)


def _lists(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _lists(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_lists(item) for item in value]
    return value
