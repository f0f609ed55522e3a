"""Token rows with their train mask: one row as a value, many rows in flat arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.core.errors import DataError


@dataclass(frozen=True, slots=True)
class Tokenized:
    """One conversation in tokens. `mask[t]` says whether token `t` is trained on (and scored)."""

    ids: tuple[int, ...]
    mask: tuple[bool, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.mask):
            raise DataError(
                "a row needs one mask value a token",
                got=f"{len(self.ids)} tokens, {len(self.mask)} mask values",
            )

    @classmethod
    def answered(cls, prompt: Sequence[int], answer: Sequence[int]) -> Tokenized:
        """A prompt and an answer, of which the answer is masked in."""
        mask = (False,) * len(prompt) + (True,) * len(answer)
        return cls((*prompt, *answer), mask)

    def ended(self, stop: int) -> Tokenized:
        """The row as it is where it ends in `stop`, else with it: what a limit cut is read as a
        text that ends there, like the texts that reward models learn from."""
        if self.ids and self.ids[-1] == stop:
            return self
        return Tokenized((*self.ids, stop), (*self.mask, True))

    def __len__(self) -> int:
        return len(self.ids)


class TokenRow(NamedTuple):
    """A row read from `TokenRows`: views into its arrays, not copies."""

    ids: NDArray[np.uint32]
    mask: NDArray[np.bool_]


class TokenRows:
    """Many rows in three flat arrays: 5 bytes a token and 8 bytes a row.

    N rows with M tokens in all: `ids` is uint32 [M], `mask` bool [M], `offsets` int64 [N + 1]; row
    i lies at `offsets[i]:offsets[i + 1]`.
    """

    def __init__(
        self, ids: NDArray[np.uint32], mask: NDArray[np.bool_], offsets: NDArray[np.int64]
    ) -> None:
        if len(ids) != len(mask) or offsets[0] != 0 or offsets[-1] != len(ids):
            raise DataError(
                "token rows do not fit together",
                got=f"{len(ids)} tokens, {len(mask)} mask values, last offset {offsets[-1]}",
            )
        self.ids, self.mask, self.offsets = ids, mask, offsets

    @classmethod
    def build(cls, rows: Iterable[Tokenized]) -> TokenRows:
        """Store `rows` in their order; they are read once and not kept."""
        ids, mask, offsets = array("I"), bytearray(), array("q", [0])
        for row in rows:
            ids.extend(row.ids)
            mask.extend(row.mask)
            offsets.append(len(ids))
        return cls(
            np.frombuffer(ids, dtype=np.uint32) if ids else np.zeros(0, np.uint32),
            np.frombuffer(mask, dtype=np.bool_) if mask else np.zeros(0, np.bool_),
            np.frombuffer(offsets, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> TokenRow:
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        index %= len(self)
        here = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        return TokenRow(self.ids[here], self.mask[here])

    def distinct(self) -> tuple[list[TokenRow], NDArray[np.intp]]:
        """Rows that differ, and for every row its place among them: what is said twice is read
        once."""
        place: dict[tuple[bytes, bytes], int] = {}
        found: list[TokenRow] = []
        index = np.zeros(len(self), dtype=np.intp)
        for number in range(len(self)):
            row = self[number]
            words = (row.ids.tobytes(), row.mask.tobytes())
            if words not in place:
                place[words] = len(found)
                found.append(row)
            index[number] = place[words]
        return found, index

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every row, [N]."""
        return np.diff(self.offsets)
