"""A frozen set of demonstrations looked at again: which text each row is, and what it hangs on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from accord.collect.campaign_log import Excluded, Why
from accord.collect.freezing import ORIGINS
from accord.collect.origins import AnyOrigin, read_origins
from accord.collect.text_freezing import TextTally
from accord.collect.text_log import TextHistory, read_texts
from accord.collect.text_reckoning import (
    TextFreezeSettings,
    TextOrigin,
    names_of,
    row_of,
    text_rows,
)
from accord.core.errors import DataError
from accord.core.types import Demonstration
from accord.store.datasets import Dataset
from accord.store.manifest import DatasetManifest
from accord.store.replay import Replay
from accord.store.splits import Row

_BY_REVIEW = (Why.NOT_REVIEWED, Why.REJECTED)


def text_settings_of(manifest: DatasetManifest) -> TextFreezeSettings:
    """What a set of demonstrations was frozen with.

    Raises DataError where the manifest is not that of one.
    """
    found = manifest.notes.get("settings")
    names = {item.name for item in fields(TextFreezeSettings)}
    if not isinstance(found, dict) or found.keys() != names:
        raise DataError("this data set was not frozen from texts", got=manifest.source)
    return TextFreezeSettings(**found | {"without": tuple(found["without"])})


def text_origins(folder: Path) -> Iterator[TextOrigin]:
    """Which text each row is, in the order of `Dataset.rows()`. Raises DataError for a damaged
    file."""
    return read_origins(folder / ORIGINS, TextOrigin)


def remade_texts(dataset: Dataset, replay: Replay, campaign: str, events: int) -> RemadeTexts:
    """What the texts of a campaign (id) come to now, as they were with `events` events.

    Raises DataError where the set was not frozen from texts, or the log does not have the campaign.
    """
    settings = text_settings_of(dataset.manifest)
    return RemadeTexts(
        dataset.folder, replay, read_texts(replay, campaign, events=events), settings
    )


class RemadeTexts:
    """The rows that the texts of a campaign come to now: `comparing.Remade`."""

    noun = "text"

    def __init__(
        self, folder: Path, replay: Replay, history: TextHistory, settings: TextFreezeSettings
    ) -> None:
        self.hashes = history.hashes
        self._folder, self._replay, self._history = folder, replay, history
        self._settings = settings
        self._tally = TextTally(history)
        self._kept: Mapping[str, Any] | None = None
        self._written = {one.seq: one for one in history.written}

    @property
    def erased_since(self) -> bool:
        """Whether anything was erased after freezing."""
        return bool(self._history.campaign.erased_since)

    @property
    def excluded(self) -> list[Excluded]:
        """Texts that are no row."""
        return self._tally.excluded

    def origins(self) -> Iterator[TextOrigin]:
        """What the set says that its rows are."""
        return text_origins(self._folder)

    def rows(self) -> Iterator[Demonstration]:
        """The rows of the set."""
        for row in Dataset(self._folder).rows():
            if isinstance(row, Demonstration):
                yield row

    def made(self) -> Iterator[tuple[Demonstration, TextOrigin] | Excluded]:
        """What the log comes to."""
        for item in text_rows(self._replay, self._history, self._settings):
            self._tally.add(item)
            yield item

    def gone(self, origin: AnyOrigin) -> bool:
        """Whether a text, its prompt, what it makes better or a review of it was erased since.

        Which texts those are the log says, as long as it does.
        """
        assert isinstance(origin, TextOrigin)
        campaign, one = self._history.campaign, self._written.get(origin.seq)
        lost = bool(_numbers(origin.reviews) & campaign.erased_since)
        if one is None:
            return lost or origin.seq in campaign.erased_since
        return lost or not campaign.texts_erased_since.isdisjoint(names_of(one))

    def kept(self, origin: AnyOrigin) -> Demonstration | None:
        """The row of a text that lost nothing but reviews."""
        one = self._written.get(origin.seq)
        if one is None:
            return None
        if self._kept is None:  # all of them at once: an export is read from its beginning
            gone = (self._written.get(one.seq) for one in self.origins() if self.gone(one))
            named = {name for text in gone if text is not None for name in names_of(text)}
            self._kept = self._replay.texts(named)
        there = self._kept.keys() >= set(names_of(one))
        return row_of(self._history, one, self._kept) if there else None

    def as_far_as_known(self, made: Row, row: Row, origin: AnyOrigin) -> Row:
        """The row that the log comes to: nothing of it hangs on other texts."""
        return made

    def origin_as_far_as_known(self, made: AnyOrigin, origin: AnyOrigin) -> AnyOrigin:
        """The origin that the log comes to, with the reviews that were erased since."""
        assert isinstance(made, TextOrigin)
        assert isinstance(origin, TextOrigin)
        still, named = _numbers(made.reviews), _numbers(origin.reviews)
        lost = named - still
        fits = still <= named and lost <= self._history.campaign.erased_since
        return replace(made, reviews=origin.reviews) if lost and fits else made

    def undecided(self, seq: int, said: Why | None, now: Why | None) -> bool:
        """Whether an erasure after freezing may be why a text is, or is not, a row.

        An erased review no longer says which text it was of.
        """
        campaign = self._history.campaign
        if not campaign.erased_since:
            return False
        erased = (Why.ERASED, Why.PERHAPS_ERASED, Why.TEXT_ERASED, Why.ORIGINAL_ERASED)
        if seq in campaign.erased_since or now in erased:
            return True
        reviews = any(item.seq in campaign.erased_since for item in campaign.gone)
        return reviews and all(why is None or why in _BY_REVIEW for why in (said, now))

    def figures(self) -> Mapping[str, object]:
        """What the manifest should say."""
        return self._tally.notes(self._settings)


def _numbers(reviews: str) -> set[int]:
    return {int(one) for one in reviews.split(",") if one.isdecimal()}
