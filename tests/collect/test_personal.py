"""Personal data is found where a pattern or checksum says so, and not in ordinary numbers."""

from __future__ import annotations

import gzip
import json
import os
import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.personal import (
    MOST_LISTED,
    PersonalKind,
    find_personal,
    iban_end,
    luhn,
    scan_personal,
)

SEEDED = {
    PersonalKind.EMAIL: (
        "ada.lovelace+notes@mail.example.org",
        "x@y.example",
        "first-last@sub-domain.example.com",
    ),
    PersonalKind.PHONE: (
        "+49 30 1234567",
        "+1 (415) 555-0132",
        "0049-89-123456",
        "(415) 555-0132",
        "415-555-0132",
        "030 123 45 67",
        "+442079460958",
    ),
    PersonalKind.IBAN: (
        "DE89370400440532013000",
        "GB82 WEST 1234 5698 7654 32",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO93 8601 1117 947",
    ),
    PersonalKind.CARD: ("4111 1111 1111 1111", "5555555555554444", "3782-822463-10005"),
    PersonalKind.IP: ("203.0.113.7", "2001:db8::ff00:42:8329", "10.1.2.3"),
}
CLEAN = (
    "In 1234567890 steps, 3.14159265358979 and 1,234,567,890 are numbers.",
    "Version 1.2.3.4.5 of 2024-05-01 12:30:00, pages 100-200, ISBN 978-3-16-148410-0.",
    "Call me at noon @home; write a@b or @name; 999.999.999.999 is no machine.",
    "0.0.0.0 and 127.0.0.1 are this machine, as is ::1; std::vector and 12:30 are no address.",
    "4111 1111 1111 1112 fails its checksum, DE89370400440532013001 too.",
    "0000 0000 0000 0000 is no card and 1 2 3 4 5 6 7 8 9 10 11 12 13 a count.",
    "x = 5 - 555 - 1234 * 20; 2 + 2 = 4; 100 000 000; 2019 2020 2021 2022",
)


@pytest.mark.parametrize("kind", SEEDED)
def test_what_is_there_is_found(kind: PersonalKind) -> None:
    for said in SEEDED[kind]:
        for text in (said, f"Write to {said}, please.", f"({said})", f"it is {said}."):
            found = find_personal(text)
            assert [(one.kind, text[one.start : one.end]) for one in found] == [(kind, said)], text


@pytest.mark.parametrize("text", CLEAN)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert [text[one.start : one.end] for one in find_personal(text)] == []


def test_every_single_wrong_digit_fails_the_checksums() -> None:
    card, iban = "5555555555554444", "DE89370400440532013000"
    assert luhn(card)
    assert iban_end(iban) == len(iban)
    for place in range(len(card)):
        for digit in set(string.digits) - {card[place]}:
            assert not luhn(card[:place] + digit + card[place + 1 :])
    for place in range(2, len(iban)):
        for digit in set(string.digits) - {iban[place]}:
            assert iban_end(iban[:place] + digit + iban[place + 1 :]) is None


def test_an_iban_ends_where_its_country_says() -> None:
    text = "NO93 8601 1117 947 AND MORE"
    assert iban_end(text) == len("NO93 8601 1117 947")
    assert iban_end("NO93 8601 1117 94") is None
    assert iban_end("ZZ93 8601 1117 947") is None


def test_a_scan_counts_all_and_lists_the_first() -> None:
    rng = random.Random(0)
    texts = []
    for i in range(400):
        seeded = rng.choice([said for group in SEEDED.values() for said in group])
        texts.append(f"Row {i}: {seeded} and x{i}@y.example" if i % 2 else "Nothing here.")
    scan = scan_personal(texts)
    assert scan.rows == 200
    assert scan.counts.total() == 400
    assert scan.counts[PersonalKind.EMAIL] >= 200
    assert [one.row for one in scan.first] == sorted([*range(2, 401, 2)] * 2)
    assert len(scan_personal(["a@b.example"] * (MOST_LISTED + 5)).first) == MOST_LISTED


@given(st.text(max_size=200))
def test_findings_lie_in_the_text_apart_from_each_other(text: str) -> None:
    end = 0
    for one in find_personal(text):
        assert end <= one.start < one.end <= len(text)
        end = one.end


DATA = os.environ.get("ACCORD_DATA")


@pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")
def test_thousands_of_sums_hold_no_false_alarm() -> None:
    with gzip.open(Path(DATA or "") / "gsm8k" / "train.jsonl.gz", "rt") as file:
        questions = [str(json.loads(line)["question"]) for line in file]
    assert len(questions) > 7000
    assert scan_personal(questions).counts.total() == 0
