"""The texts of a campaign as the log has them: who wrote what, for which task, and what was said of
it in review.

Rows of working tables are not asked, so that whoever has an export comes to the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accord.collect.campaign_log import Asked, Excluded, Given, History, Why, read_history
from accord.collect.tasks import TaskKind
from accord.store.registry import ABOUT, RESPONSE_ADDED, SYSTEM
from accord.store.replay import Replay, Said

_OPENED = "campaign.opened"


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A text as its event says it."""

    seq: int
    hash: str
    id: str
    """Of the response."""
    author: str
    guideline: str | None
    task: Asked
    """What it was written for."""
    edits: str | None
    """Id of the response that it makes better."""
    late: bool


@dataclass(slots=True)
class TextHistory:
    """A campaign that asks for demonstrations, as the log had it when it had `events` events."""

    campaign: History
    """Its tasks, its raters, and every judgement: reviews, and skips of any task."""
    wanted: int
    """Reviews of each text."""
    written: list[Written] = field(default_factory=list)
    """Texts that nobody replaced."""
    gone: list[Excluded] = field(default_factory=list)
    """Texts that do not count whatever the settings are."""
    reviews: Mapping[str, list[Given]] = field(default_factory=dict)
    """Text (id) to the judgements of it that stand, skips among them."""
    hashes: dict[int, str] = field(default_factory=dict)
    """Number of the event of each text, of any campaign, to its hash."""


def read_texts(replay: Replay, campaign: str, *, events: int | None = None) -> TextHistory:
    """What the log says of the texts of a campaign (id), as it was with `events` events.

    Raises DataError as `campaign_log.read_history` does.
    """
    history = read_history(replay, campaign, events=events)
    found = TextHistory(campaign=history, wanted=0)
    said: list[Said] = []
    alike = 0
    for one in replay.said({RESPONSE_ADDED: ABOUT, _OPENED: "campaign"}):
        if one.seq > history.events:
            continue
        if one.type == _OPENED:
            about = one.body or {}
            alike += about.get("guideline") == history.guideline
            if one.subject == campaign:
                found.wanted = int(about.get("reviews", 0))
        elif one.actor != SYSTEM:
            said.append(one)
    _place(found, said, shared=alike > 1)
    by_text: dict[str, list[Given]] = defaultdict(list)
    for given in history.given:
        if given.task.kind == TaskKind.REVIEW:
            by_text[given.task.responses[0]].append(given)
    found.reviews = by_text
    return found


def _place(found: TextHistory, said: list[Said], *, shared: bool) -> None:
    """Tell which texts are the campaign's, and which of them do not count in any case."""
    history = found.campaign
    replaced = {one.supersedes for one in said if one.supersedes is not None}
    for one in said:
        found.hashes[one.seq] = one.hash
        about: Mapping[str, Any] | None = one.body
        task = history.tasks.get((about or {}).get("task") or "")
        nowhere = about is None and one.guideline == history.guideline
        if task is None and not nowhere:
            continue
        if one.seq in replaced:
            found.gone.append(Excluded(seq=one.seq, why=Why.REPLACED))
        elif about is None or task is None:
            why = Why.PERHAPS_ERASED if shared else Why.ERASED
            found.gone.append(Excluded(seq=one.seq, why=why))
        else:
            found.written.append(
                Written(
                    seq=one.seq,
                    hash=one.hash,
                    id=one.subject,
                    author=one.actor,
                    guideline=one.guideline,
                    task=task,
                    edits=about["edits"],
                    late=bool(about["late"]),
                )
            )
