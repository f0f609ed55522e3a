"""The objects of one JSON array, streamed: a file of any size, one object in memory at a time.

A fault inside an object that is still JSON (a name given twice, NaN, a number of thousands of
digits) costs that row alone. Where the JSON itself is broken nothing tells where the next object
begins: the file is one DataError.
"""

from __future__ import annotations

import json
from codecs import getincrementaldecoder
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from accord.core.errors import DataError

CHUNK = 1 << 18
"""Bytes read at once."""
LONGEST = 64 << 20
"""Most characters of one object."""
_LONGEST_WORD = 16
"""More characters than any word or escape of JSON has."""
_AFTER_NUMBER = set(",] \t\n\r")
_BLANK = " \t\n\r"


class Faults:
    """Notes what is wrong inside an object while it is decoded."""

    def __init__(self) -> None:
        self.first: str | None = None
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._unique, parse_constant=self._constant, parse_int=self._whole
        )

    def _note(self, what: str) -> None:
        self.first = self.first or what

    def _unique(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        values = dict(pairs)
        if len(values) < len(pairs):
            names = [name for name, _ in pairs]
            self._note(f"{next(name for name in names if names.count(name) > 1)!a} is given twice")
        return values

    def _constant(self, name: str) -> float:
        self._note(f"{name} is no number")
        return 0.0

    def _whole(self, digits: str) -> int:
        try:
            return int(digits)
        except ValueError:
            self._note(f"a number has {len(digits)} digits")
            return 0


class JsonArray:
    """Decodes the elements of the array in `file`; `path` names it in errors."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self._utf8 = getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._end = "", 0, False
        self._number = 0

    def __iter__(self) -> Iterator[tuple[object, str | None]]:
        """Every element, and what is wrong inside of it. Raises DataError for broken JSON."""
        opening = self._next()
        if opening != "[":
            raise self._broken(
                f"the file begins with {opening!a}" if opening else "the file is empty",
                "write one JSON array of objects; a file with one object a line ends in .jsonl",
            )
        self._at += 1
        if self._next() == "]":
            self._at += 1
        else:
            yield from self._elements()
        if rest := self._next():
            raise self._broken(f"{rest!a} after the end of the array")

    def _elements(self) -> Iterator[tuple[object, str | None]]:
        while True:
            self._next()
            self._number += 1
            yield self._element()
            mark = self._next()
            self._at += 1
            if mark == "]":
                return
            if mark != ",":
                raise self._broken(
                    f"{mark!a} where ',' or ']' belongs" if mark else "the file ends too early"
                )

    def _element(self) -> tuple[object, str | None]:
        while True:
            faults, error = Faults(), None
            try:
                value, end = faults.decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as caught:
                error = f"{caught.msg}, {caught.pos - self._at + 1} characters into the row"
                if not self._may_go_on(caught):
                    raise self._broken(error) from None
            except RecursionError:
                raise self._broken("too deeply nested") from None
            else:
                if self._is_whole(value, end):
                    self._at = end
                    return value, faults.first
            if not self._more():
                if error is None:
                    continue
                raise self._broken(error or "the file ends too early")
            if len(self._text) - self._at > LONGEST:
                raise self._broken(error or "too long", f"keep a row below {LONGEST >> 20} MiB")

    def _is_whole(self, value: object, end: int) -> bool:
        """Whether `value` ends at `end`: `1` may be the beginning of 12, 1.5 or 1e9."""
        if self._end:
            return True
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return self._text[end : end + 1] in _AFTER_NUMBER if number else end < len(self._text)

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether more text could mend it: only a word or escape at the end, or an open string."""
        at_end = error.pos >= len(self._text) - _LONGEST_WORD
        return at_end or error.msg.startswith("Unterminated string")

    def _next(self) -> str:
        """The next character that is not blank, without taking it; nothing at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Read on, at least as much as is being looked at; whether there was anything."""
        if self._end:
            return False
        kept = self._text[self._at :]
        data = self._file.read(max(CHUNK, len(kept)))
        self._end = not data
        try:
            self._text, self._at = kept + self._utf8.decode(data, final=self._end), 0
        except UnicodeDecodeError as error:
            raise self._broken(f"not UTF-8: {error.reason}") from None
        return not self._end

    def _broken(self, got: str, do: str = "fetch or write the file again") -> DataError:
        where = f"{self._path}, row {self._number}" if self._number else str(self._path)
        return DataError("the file is no valid JSON array", got=got, where=where, do=do)
