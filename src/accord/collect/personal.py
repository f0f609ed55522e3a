"""Personal data in texts that come in: found by pattern and checksum, counted and listed, never
removed and never in the way.

E-mail addresses, telephone numbers, IBANs (checksum of ISO 13616, modulo 97), payment cards
(checksum of Luhn) and IP addresses. Not here: names, addresses, dates of birth, anything that needs
understanding; a text without a finding is not thereby free of personal data.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

MOST_LISTED = 1000
"""Findings that a scan lists; it counts all."""


class PersonalKind(StrEnum):
    """What was found."""

    EMAIL = "e-mail"
    PHONE = "phone"
    IBAN = "IBAN"
    CARD = "card"
    IP = "IP"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in one text."""

    kind: PersonalKind
    start: int
    """Character where it begins."""
    end: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A finding in a row of what came in; the words themselves are not repeated."""

    row: int
    """From 1."""
    finding: Finding


@dataclass(slots=True)
class PersonalScan:
    """What was found in many texts."""

    counts: Counter[PersonalKind] = field(default_factory=Counter)
    """Findings by kind."""
    rows: int = 0
    """Texts with a finding."""
    first: list[Listed] = field(default_factory=list)
    """The first thousand, in order."""

    def add(self, row: int, text: str) -> None:
        """Take in the text of a row."""
        found = 0
        for one in find_personal(text):
            found += 1
            self.counts[one.kind] += 1
            if len(self.first) < MOST_LISTED:
                self.first.append(Listed(row, one))
        self.rows += found > 0


_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d]|[.,-]\d)")
_IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_PHONE = re.compile(
    r"(?<![\w.,+/-])(?:\+|00)[1-9]\d{0,2}[ .\-/]?(?:\(0\)|\(\d{1,4}\))?(?:[ .\-/]?\d){6,12}(?![\w])"
    r"|(?<![\w.,+/-])(?:\(0[1-9]\d{1,4}\)|0[1-9]\d{1,4})[ \-/]\d{2,4}(?:[ \-/]?\d{2,4}){1,3}(?!\w)"
    r"|(?<![\w.,+/-])(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .\-])[2-9]\d{2}[ .\-]\d{4}(?![\w])"
)
_IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK"), 20),
    **dict.fromkeys(("CH", "CR", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
}
"""Length of an IBAN by country; others are not recognised."""


def find_personal(text: str) -> list[Finding]:
    """Everything found in `text`, by place; no character belongs to two findings."""
    found: list[Finding] = []
    for one in _candidates(text):
        if all(one.end <= other.start or other.end <= one.start for other in found):
            found.append(one)
    return sorted(found, key=lambda one: one.start)


def scan_personal(texts: Iterable[str]) -> PersonalScan:
    """Counts and the first findings over texts; rows are numbered from 1."""
    scan = PersonalScan()
    for row, text in enumerate(texts, 1):
        scan.add(row, text)
    return scan


def luhn(digits: str) -> bool:
    """Whether a number's last digit is the checksum of Luhn of the others (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban_end(text: str) -> int | None:
    """Characters of the IBAN that `text` begins with, spaces included; None for no IBAN.

    The country says the length; the checksum is that of ISO 13616: the number with its first four
    characters moved to the end and letters as 10 to 35 leaves 1 when divided by 97.
    """
    wanted = _IBAN_LENGTHS.get(text[:2])
    if wanted is None:
        return None
    letters = [(place, one) for place, one in enumerate(text) if one != " "][:wanted]
    if len(letters) < wanted:
        return None
    number = "".join(one for _, one in letters)
    moved = number[4:] + number[:4]
    if int("".join(str(int(one, 36)) for one in moved)) % 97 != 1:
        return None
    return letters[-1][0] + 1


def _candidates(text: str) -> Iterator[Finding]:
    """The most certain kinds first: what they claim is nothing else."""
    for match in _EMAIL.finditer(text):
        yield Finding(PersonalKind.EMAIL, *match.span())
    for match in _IBAN.finditer(text):
        length = iban_end(match[0])
        if length is not None:
            yield Finding(PersonalKind.IBAN, match.start(), match.start() + length)
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if digits[0] in "23456" and len(set(digits)) > 1 and luhn(digits):
            yield Finding(PersonalKind.CARD, *match.span())
    for pattern in (_IP4, _IP6):
        for match in pattern.finditer(text):
            if _is_address(match[0]):
                yield Finding(PersonalKind.IP, *match.span())
    for match in _PHONE.finditer(text):
        yield Finding(PersonalKind.PHONE, *match.span())


def _is_address(text: str) -> bool:
    """Whether it is an address of a machine somewhere: not the machine itself, not "any"."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
