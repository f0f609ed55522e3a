"""A campaign as the log has it: its tasks, its judgements, its raters, up to a number of events.

Rows of working tables are not asked, so that whoever has an export comes to the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from accord.collect.tasks import TaskKind
from accord.core.errors import DataError
from accord.store.event import ERASED, erased_part
from accord.store.judgements import CORRECTED, GIVEN, VERDICT, WITHDRAWN, Verdict
from accord.store.registry import TEXT
from accord.store.replay import Replay, Said

_WANTED = {
    "campaign.opened": "campaign",
    "task.added": "task",
    "rater.registered": "rater",
    "rater.state_set": "state",
    "prompt.added": None,
    "response.added": None,
    GIVEN: VERDICT,
    CORRECTED: VERDICT,
    WITHDRAWN: None,
    ERASED: None,
}


class Why(StrEnum):
    """Why a judgement, or a text that somebody wrote, is not in a set."""

    CORRECTED = "corrected later"
    WITHDRAWN = "withdrawn"
    ERASED = "erased"
    PERHAPS_ERASED = "erased, perhaps of another campaign with these guidelines"
    NAMED = "of a rater whom the settings leave out"
    KIND = "of a kind of rater that was not asked for"
    QUARANTINED = "of a rater in quarantine"
    UNTRUSTED = "of a rater whom the rules do not believe"
    PURPOSE = "of a task that was asked to check the rater"
    SKIPPED = "skipped"
    ALL_BAD = "all bad, without an order"
    MISFIT = "not of the responses of its task"
    TEXT_ERASED = "a text of it was erased"
    EMPTY = "a response is empty"
    ACROSS = "its responses fall into different splits"
    REPLACED = "replaced by its author"
    NOT_REVIEWED = "not reviewed by enough people"
    REJECTED = "rejected"
    ORIGINAL_ERASED = "the text that it makes better was erased"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A task as its event says it."""

    id: str
    prompt: str
    responses: tuple[str, ...]
    purpose: str
    selected_by: str
    inclusion: float
    repeats: str | None
    kind: str = TaskKind.COMPARE.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A judgement as its event says it."""

    seq: int
    hash: str
    rater: str
    guideline: str | None
    task: Asked
    responses: tuple[str, ...]
    verdict: Verdict
    tiers: tuple[int, ...] | None
    strength: int | None
    late: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Excluded:
    """A judgement, or a text that somebody wrote, that is not in the set."""

    seq: int
    why: Why


@dataclass(slots=True)
class History:
    """A campaign as the log had it when it had `events` events."""

    campaign: str
    name: str
    guideline: str
    events: int
    tasks: dict[str, Asked] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    """Rater to kind."""
    quarantined: set[str] = field(default_factory=set)
    given: list[Given] = field(default_factory=list)
    gone: list[Excluded] = field(default_factory=list)
    """Judgements that do not count whatever the settings are."""
    hashes: dict[int, str] = field(default_factory=dict)
    """Number of each judgement's event, of any campaign, to its hash."""
    erased_since: set[int] = field(default_factory=set)
    """Events that said something then which was erased later."""
    texts_erased_since: set[str] = field(default_factory=set)
    """Prompts and responses among them."""


def read_history(replay: Replay, campaign: str, *, events: int | None = None) -> History:
    """What the log says of a campaign (id), as it was with `events` events; None: with all.

    Raises DataError where the log does not have that campaign, or fewer events.
    """
    events = replay.size if events is None else events
    if events > replay.size:
        raise DataError("the log has fewer events", got=replay.size, where=f"event {events}")
    read = _Read()
    erased: set[tuple[int, str]] = set()
    for said in replay.said(_WANTED):
        if said.seq <= events:
            read.take(said)
        elif said.type == ERASED:
            erased.add(erased_part(said.subject))
    if campaign not in read.opened:
        raise DataError("the log has no such campaign", got=campaign)
    about = read.opened[campaign]
    since = {seq for seq, part in erased if part in (TEXT, VERDICT)}
    found = History(
        campaign=campaign,
        name=str(about.get("name", "")),
        guideline=str(about.get("guideline", "")),
        events=events,
        tasks={n: _task(n, t) for n, t in read.tasks.items() if t.get("campaign") == campaign},
        kinds=read.kinds,
        quarantined=read.quarantined,
        hashes={said.seq: said.hash for said in read.judged},
        erased_since=since,
        texts_erased_since={name for seq, name in read.texts.items() if seq in since},
    )
    alike = sum(other.get("guideline") == found.guideline for other in read.opened.values())
    _place(found, read.judged, shared=alike > 1)
    return found


@dataclass(slots=True)
class _Read:
    """What has been read of a log, of every campaign."""

    opened: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    tasks: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    judged: list[Said] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    quarantined: set[str] = field(default_factory=set)

    def take(self, said: Said) -> None:
        """The next event."""
        match said.type:
            case "campaign.opened":
                self.opened[said.subject] = said.body or {}
            case "task.added":
                self.tasks[said.subject] = said.body or {}
            case "rater.registered":
                self.kinds[said.subject] = str((said.body or {}).get("kind", ""))
            case "rater.state_set":
                # From the log: the row of an erased rater no longer says that they were in
                # quarantine. A state that cannot be read could have been one.
                held = said.body in ("quarantined", None)
                (self.quarantined.add if held else self.quarantined.discard)(said.subject)
            case "prompt.added" | "response.added":
                self.texts[said.seq] = said.subject
            case _ if said.type != ERASED:
                self.judged.append(said)


def unit_task(history: History, task: Asked) -> Asked:
    """The task whose judgements share one weight with those of `task`."""
    first = history.tasks.get(task.repeats or "")
    same = first is not None and first.responses == task.responses and first.prompt == task.prompt
    return first if first is not None and same else task


def _place(found: History, judged: Sequence[Said], *, shared: bool) -> None:
    """Tell which judgements are the campaign's, and which of them do not count in any case."""
    later = {said.supersedes: said.type for said in judged if said.supersedes is not None}
    tasks = {said.subject: said.body["task"] for said in judged if said.body is not None}
    for said in judged:
        if said.type == WITHDRAWN:
            continue
        name = tasks.get(said.subject) if said.body is None else said.body["task"]
        task = found.tasks.get(name or "")
        nowhere = said.body is None and said.subject not in tasks
        if task is None and not (nowhere and said.guideline == found.guideline):
            continue
        if said.seq in later:
            corrected = later[said.seq] == CORRECTED
            why = Why.CORRECTED if corrected else Why.WITHDRAWN
            found.gone.append(Excluded(seq=said.seq, why=why))
        elif said.body is None or task is None:
            why = Why.PERHAPS_ERASED if nowhere and shared else Why.ERASED
            found.gone.append(Excluded(seq=said.seq, why=why))
        else:
            found.given.append(_given(said, task))


def _task(name: str, about: Mapping[str, Any]) -> Asked:
    return Asked(
        id=name,
        prompt=about["prompt"],
        responses=tuple(about["responses"]),
        purpose=about["purpose"],
        selected_by=about["selected_by"],
        inclusion=float(about["inclusion"]),
        repeats=about["repeats"],
        kind=about.get("kind", TaskKind.COMPARE.value),
    )


def _given(said: Said, task: Asked) -> Given:
    body = said.body
    return Given(
        seq=said.seq,
        hash=said.hash,
        rater=said.actor,
        guideline=said.guideline,
        task=task,
        responses=tuple(body["responses"]),
        verdict=Verdict(body["verdict"]),
        tiers=None if body["tiers"] is None else tuple(body["tiers"]),
        strength=body["strength"],
        late=bool(body["late"]),
    )
