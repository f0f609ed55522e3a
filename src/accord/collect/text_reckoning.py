"""Which texts of a campaign become demonstrations, and why the others do not.

All of it follows from the log and the settings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accord.collect.campaign_log import Excluded, Given, Why
from accord.collect.reviewing import Decision, decided
from accord.collect.sheet import RaterKind
from accord.collect.text_log import TextHistory, Written
from accord.core.types import Conversation, Demonstration, Message, Speaker
from accord.store.judgements import Verdict
from accord.store.replay import Replay
from accord.store.splits import Splitter

_TEXTS_AT_ONCE = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class TextFreezeSettings:
    """Which texts are frozen, and how they are split."""

    name: str
    """What the set is called."""
    without: tuple[str, ...] = ()
    """People (pseudonyms) whose texts and reviews are left out."""
    dev: float = 0.1
    """Share of prompts that is held out for figures during training."""
    test: float = 0.0
    """Share of prompts that nothing in a pipeline reads."""

    def __post_init__(self) -> None:
        # In one order, each once: the same choice gives the same set, however it was typed.
        object.__setattr__(self, "without", tuple(sorted(set(self.without))))
        Splitter(dev=self.dev, test=self.test)

    @property
    def splitter(self) -> Splitter:
        """What decides a row's split: never two splits for one prompt."""
        return Splitter(dev=self.dev, test=self.test)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextOrigin:
    """Which text a row of a frozen set of demonstrations is."""

    row: int
    """Number of the row over all splits, from 1."""
    split: str
    seq: int
    """Number of the event of the text."""
    hash: str
    """Hash of the event."""
    text: str
    """Id of the text, a response."""
    task: str
    root: str
    """The first task that asked for it: `task`, or the one that `task` asks again."""
    made: str
    """demonstrate, or edit."""
    edits: str
    """Id of the response that it makes better; empty where there is none."""
    rater: str
    """Who wrote it."""
    kind: str
    """Of the rater."""
    guideline: str
    """Version that the author followed; empty where it is not known."""
    late: bool
    """Whether the lease had run out."""
    reviews: str
    """Numbers of the events of the reviews that decided, with commas."""


def text_rows(
    replay: Replay, history: TextHistory, settings: TextFreezeSettings
) -> Iterator[tuple[Demonstration, TextOrigin] | Excluded]:
    """Every text of the campaign once: as a row with its origin, or as left out.

    Rows stand by prompt, first task and event.
    """
    yield from history.gone
    kept: list[tuple[Written, Sequence[Given]]] = []
    authors: dict[str, set[str]] = defaultdict(set)
    for one in history.written:
        authors[root_of(one)].add(one.author)
    for one in history.written:
        reviews = _counting(history, settings, one, authors[root_of(one)])
        why = _why_not(history, settings, one, reviews)
        if why is None:
            kept.append((one, reviews))
        else:
            yield Excluded(seq=one.seq, why=why)
    kept.sort(key=lambda item: (item[0].task.prompt, root_of(item[0]), item[0].seq))
    number = 0
    for start in range(0, len(kept), _TEXTS_AT_ONCE):
        some = kept[start : start + _TEXTS_AT_ONCE]
        texts = replay.texts({name for one, _ in some for name in names_of(one)})
        for one, reviews in some:
            lost = _erased(one, texts)
            if lost is not None:
                yield Excluded(seq=one.seq, why=lost)
                continue
            number += 1
            row = row_of(history, one, texts)
            split = settings.splitter.split(row)
            assert split is not None  # by prompt each row has one
            yield row, _origin(history, one, reviews, number, split.value)


def root_of(one: Written) -> str:
    """The first task that asked for a text."""
    return one.task.repeats or one.task.id


def _counting(
    history: TextHistory, settings: TextFreezeSettings, one: Written, rivals: Collection[str]
) -> Sequence[Given]:
    """The reviews of a text that count: the last one of each who is believed, and wrote no text for
    the same prompt themselves."""
    campaign = history.campaign
    found = (
        given
        for given in history.reviews.get(one.id, ())
        if given.verdict in (Verdict.RANKING, Verdict.ALL_BAD)
        and given.responses == (one.id,)
        and campaign.kinds.get(given.rater) == RaterKind.HUMAN
        and given.rater not in campaign.quarantined
        and given.rater not in (*rivals, *settings.without)
    )
    return list({given.rater: given for given in sorted(found, key=lambda g: g.seq)}.values())


def _why_not(
    history: TextHistory, settings: TextFreezeSettings, one: Written, reviews: Sequence[Given]
) -> Why | None:
    campaign = history.campaign
    accepts = sum(given.verdict is Verdict.RANKING for given in reviews)
    decision = decided(accepts, len(reviews) - accepts, history.wanted)
    reasons = (
        (one.author in settings.without, Why.NAMED),
        (campaign.kinds.get(one.author) != RaterKind.HUMAN, Why.KIND),
        (one.author in campaign.quarantined, Why.QUARANTINED),
        (decision is Decision.WAITING, Why.NOT_REVIEWED),
        (decision is Decision.REJECTED, Why.REJECTED),
    )
    return next((why for holds, why in reasons if holds), None)


def names_of(one: Written) -> tuple[str, ...]:
    """Ids of the prompt, of the text, and of what it makes better."""
    return (one.task.prompt, one.id, *one.task.responses)


def _erased(one: Written, texts: Mapping[str, Any]) -> Why | None:
    """Why a text cannot be a row, where something of it was erased."""
    if one.id not in texts:
        return Why.ERASED
    if one.task.prompt not in texts:
        return Why.TEXT_ERASED
    # What was erased may stand in the better one, too.
    return None if all(name in texts for name in one.task.responses) else Why.ORIGINAL_ERASED


def row_of(history: TextHistory, one: Written, texts: Mapping[str, Any]) -> Demonstration:
    """The row of a text; `texts` are the words of `names_of` it."""
    prompt = Conversation(
        tuple(
            Message(role=Speaker(m["role"]), content=m["content"]) for m in texts[one.task.prompt]
        )
    )
    source = f"{history.campaign.kinds[one.author]}:{history.campaign.name}"
    return Demonstration(conversation=prompt.answered(str(texts[one.id])), source=source)


def _origin(
    history: TextHistory, one: Written, reviews: Sequence[Given], number: int, split: str
) -> TextOrigin:
    return TextOrigin(
        row=number,
        split=split,
        seq=one.seq,
        hash=one.hash,
        text=one.id,
        task=one.task.id,
        root=root_of(one),
        made=one.task.kind,
        edits=one.edits or "",
        rater=one.author,
        kind=history.campaign.kinds[one.author],
        guideline=one.guideline or "",
        late=one.late,
        reviews=",".join(str(given.seq) for given in sorted(reviews, key=lambda g: g.seq)),
    )
