"""Freezing texts: what people wrote and others accepted becomes a set of demonstrations that can be
traced and verified, as a preference set can.

Beside the rows lie `origins.parquet` (which text each row is, and which reviews decided) and
`excluded.jsonl` (every text that is no row, and why).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection

from accord.collect.campaign import Campaign, check_asks
from accord.collect.campaign_log import Excluded, Why
from accord.collect.freezing import ORIGINS, Frozen, Reckoned, check_without, told, write_set
from accord.collect.origins import OriginWriter
from accord.collect.text_log import TextHistory, read_texts
from accord.collect.text_reckoning import TextFreezeSettings, TextOrigin, text_rows
from accord.core.errors import DataError
from accord.core.hashing import digest, plain
from accord.core.types import Demonstration
from accord.store.database import Database
from accord.store.keys import SigningKey
from accord.store.manifest import DatasetKind
from accord.store.replay import DatabaseReplay
from accord.store.writing import DatasetWriter


def freeze_texts(
    database: Database,
    campaign: Campaign,
    destination_root: Path,
    *,
    settings: TextFreezeSettings,
    key: SigningKey,
) -> Frozen:
    """Write the accepted texts of a campaign into `destination_root`, as the database has them now.

    The folder `NAME-demonstrations-DIGEST` appears in one step; the same state and settings give
    the same folder, which is then left as it is. `key` signs a checkpoint of the log that covers
    all that was read.
    Raises ConflictError for a campaign that asks for comparisons, ConfigError for settings that
    cannot be used, DataError where no text counts, WorkspaceError and StoreError where disk or
    database refuse; nothing half-written stays.
    """
    check_asks(campaign, texts=True)

    def reckon(connection: Connection, writer: DatasetWriter) -> Reckoned:
        replay = DatabaseReplay(connection)
        history = read_texts(replay, campaign.id)
        check_without(settings.without, history.campaign)
        tally = TextTally(history)
        with OriginWriter(writer.temporary / ORIGINS, TextOrigin) as origins:
            for item in text_rows(replay, history, settings):
                tally.add(item)
                if not isinstance(item, Excluded):
                    writer.add(item[0])
                    origins.add(item[1])
        if not tally.rows:
            raise DataError(
                "no text of this campaign can be frozen",
                got=told(tally.reasons) or "nobody has written yet",
                where=campaign.settings.name,
                do="`accord campaign status` says what waits for whom",
            )
        return Reckoned(
            events=history.campaign.events,
            log=replay.log,
            excluded=tally.excluded,
            notes=tally.notes(settings),
        )

    return write_set(
        database,
        destination_root,
        kind=DatasetKind.DEMONSTRATIONS,
        name=settings.name,
        splitter=settings.splitter,
        key=key,
        reckon=reckon,
    )


class TextTally:
    """What became of every text of a campaign."""

    def __init__(self, history: TextHistory) -> None:
        self.rows = 0
        self._history = history
        self._left_out: list[Excluded] = []
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("kinds", "made", "guidelines")
        }
        self._late = 0
        self._roots: set[str] = set()
        self._authors: Counter[str] = Counter()
        self._reviews = 0
        self._origins = hashlib.sha256()

    def add(self, item: tuple[Demonstration, TextOrigin] | Excluded) -> None:
        """The next text."""
        if isinstance(item, Excluded):
            self._left_out.append(item)
            return
        origin = item[1]
        self.rows += 1
        named = (origin.kind, origin.made, origin.guideline)
        for counter, word in zip(self._counts.values(), named, strict=True):
            counter[word] += 1
        self._late += origin.late
        self._roots.add(origin.root)
        self._authors[origin.rater] += 1
        self._reviews += len(origin.reviews.split(",")) if origin.reviews else 0
        self._origins.update(bytes.fromhex(digest(origin)))

    @property
    def excluded(self) -> list[Excluded]:
        """Texts left out, by number."""
        return sorted(self._left_out, key=lambda item: item.seq)

    @property
    def reasons(self) -> dict[str, int]:
        """How many texts were left out for each reason."""
        found = Counter(item.why for item in self._left_out)
        return {why.value: found[why] for why in Why if why in found}

    def notes(self, settings: TextFreezeSettings) -> dict[str, object]:
        """What the manifest says, the log apart: it follows from history and settings."""
        history = self._history.campaign
        # The first by name of those with most, so that the same texts name the same one.
        largest = min(self._authors, key=lambda name: (-self._authors[name], name), default="")
        counts: Mapping[str, object] = {
            "given": self.rows + len(self._left_out),
            "rows": self.rows,
            "tasks": len(self._roots),
            "late": self._late,
            "reviews": self._reviews,
            **{name: dict(sorted(found.items())) for name, found in self._counts.items()},
        }
        return {
            "campaign": {"id": history.campaign, "name": history.name},
            "settings": plain(settings),
            "reviews": self._history.wanted,
            "counts": counts,
            "excluded": self.reasons,
            "raters": {
                "count": len(self._authors),
                "largest": largest,
                "largest_share": self._authors[largest] / self.rows if self.rows else 0.0,
            },
            "digests": {
                "origins": self._origins.hexdigest(),
                "excluded": digest(self.excluded),
            },
        }
