"""A real training batch in words, with what of it is trained between marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from accord.pipeline.doctor.patient import Example
from accord.text.template import ChatTemplate


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens that follow one another and are all trained, or all not, decoded."""

    text: str
    trained: bool
    tokens: int


def pieces(example: Example, template: ChatTemplate) -> list[Piece]:
    """A row from its first token to its last, special tokens as they are written."""
    pairs = zip(example.tokens.ids, example.tokens.mask, strict=True)
    found: list[Piece] = []
    for trained, group in groupby(pairs, key=lambda pair: pair[1]):
        ids = [token for token, _ in group]
        found.append(Piece(template.tokenizer.decode(ids, keep_special=True), trained, len(ids)))
    return found


def counted(row: Sequence[Piece]) -> tuple[int, int]:
    """Tokens of a row, and those of them that are trained."""
    return sum(one.tokens for one in row), sum(one.tokens for one in row if one.trained)
