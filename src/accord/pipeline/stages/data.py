"""What stages read: demonstrations, comparisons and prompts, imported or of the tiny world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from random import Random
from typing import TypeVar

from accord.core.errors import DataError
from accord.core.types import (
    OVERALL,
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Message,
    Prompt,
    RatedResponse,
    Split,
)
from accord.pipeline.stage import StageContext
from accord.store.datasets import Dataset
from accord.store.splits import Row, Unit, opening, responses_of
from accord.text import grammar

T = TypeVar("T")

Opening = tuple[Message, ...]

HELD_OUT = 10
"""One demonstration of the tiny world in this many is held out."""


def demonstrations(context: StageContext, split: Split) -> Iterator[Demonstration]:
    """Demonstrations of one split, in the order of the sets."""
    world = context.config.world
    if world is not None:
        n = world.demonstrations
        held = split is not Split.TRAIN
        count = n // HELD_OUT if held else n - n // HELD_OUT
        yield from grammar.demonstrations(world.seed, count, held_out=held)
        return
    sets = _sets(context, "demonstrations")
    if split is Split.TRAIN:
        _tell_sets(context, "demonstrations", sets)
    trained = _trained(sets) if split is not Split.TRAIN else frozenset()
    kept_back = 0
    for dataset in sets:
        for row in dataset.rows(split):
            if isinstance(row, Demonstration):
                if opening(row) in trained:
                    kept_back += 1
                else:
                    yield row
    _tell_trained(context, "demonstrations", kept_back)


def comparisons(
    context: StageContext, split: Split, *, criteria: Container[str] | None = ("",)
) -> Iterator[Comparison]:
    """Comparisons of one split: simulated ones where the pipeline made them, else imported.

    `criteria` is what they are about, "" the answer as a whole; others are counted and told, once
    for all splits. None: whatever they are about, for who counts the others by himself.
    Held out is none whose prompt, or response where a set is split by those, another set trains on.
    """
    others: Counter[str] = Counter()
    for row in _compared(context, split):
        if criteria is None or row.criterion in criteria:
            yield row
        else:
            others[row.criterion or OVERALL] += 1
    tell_others(context, others)


def tell_others(context: StageContext, others: Mapping[str, int]) -> None:
    """Note and tell, once, comparisons that are left out for what they are about."""
    if not others or "other_criteria" in context.notes:
        return
    context.note("other_criteria", dict(sorted(others.items())))
    listed = ", ".join(f"{name} ({count})" for name, count in sorted(others.items()))
    context.tell(
        f"comparisons about {listed} are not used here: reward.criteria names those that "
        "a reward model learns"
    )


def _compared(context: StageContext, split: Split) -> Iterator[Comparison]:
    if "compare" in context.inputs:
        sets = [Dataset(context.input("compare").folder / "preferences")]
    else:
        sets = _sets(context, "preferences")
        if split is Split.TRAIN:
            _tell_sets(context, "preferences", sets)
    held = split is not Split.TRAIN
    trained = _trained([*sets, *_sets(context, "feedback")]) if held else frozenset()
    said = _said(sets) if held else frozenset()
    kept_back = 0
    for dataset in sets:
        # Split by response, a set shares its prompts between its own parts on purpose.
        by_response = dataset.manifest.unit is Unit.RESPONSE
        for row in dataset.rows(split):
            if not isinstance(row, Comparison):
                continue
            known = not said.isdisjoint(row.responses) if by_response else opening(row) in trained
            if known:
                kept_back += 1
            else:
                yield row
    _tell_trained(context, "comparisons", kept_back)


def feedback(context: StageContext, split: Split) -> Iterator[Feedback]:
    """Thumbs of one split, in the order of the sets.

    Held out is none whose prompt another set that is read here trains on.
    """
    sets = _sets(context, "feedback")
    if split is Split.TRAIN:
        _tell_sets(context, "feedback", sets)
    every = [*sets, *_sets(context, "preferences")]
    trained = _trained(every) if split is not Split.TRAIN else frozenset()
    kept_back = 0
    for dataset in sets:
        for row in dataset.rows(split):
            if isinstance(row, Feedback):
                if opening(row) in trained:
                    kept_back += 1
                else:
                    yield row
    _tell_trained(context, "feedback", kept_back)


def ratings(context: StageContext, split: Split) -> Iterator[RatedResponse]:
    """Rated responses of one split, in the order of the sets."""
    for dataset in _sets(context, "ratings"):
        for row in dataset.rows(split):
            if isinstance(row, RatedResponse):
                yield row


def prompts(context: StageContext, *, held_out: bool) -> Iterator[Prompt]:
    """Different prompts of the training or the held-out side, in the order of the sets.

    Prompt sets are read where there are any, else comparisons, demonstrations, thumbs. Held out are
    dev rows, and test rows never: those judge releases. A prompt that stands in the training part
    of any set is not held out; where that leaves none (one prompt for everything, say), the notes
    say `prompts_seen_in_training` and the dev rows are taken as they are.
    Raises DataError where there is none.
    """
    world = context.config.world
    if world is not None:
        everything = 3 * len(grammar.topics(held_out=held_out))
        yield from grammar.prompts(world.seed, everything, held_out=held_out)
        return
    split = Split.DEV if held_out else Split.TRAIN
    asking = ("prompts", "preferences", "demonstrations", "feedback")
    kinds = [_sets(context, kind) for kind in asking]
    asked = next((sets for sets in kinds if sets), [])
    found = False
    trained = _trained([dataset for sets in kinds for dataset in sets]) if held_out else frozenset()
    for prompt in _different(asked, split, trained):
        found = True
        yield prompt
    if not found and trained:
        for prompt in _different(asked, split, frozenset()):
            found = True
            yield prompt
        context.note("prompts_seen_in_training", True)
    if not found:
        raise DataError(
            f"there is no {split} prompt in the imported data",
            do="import more rows, or import with a larger share held out",
        )


def drawn(rows: Iterable[T], n: int, *, seed: int) -> list[T]:
    """`n` of the rows in any order, all orders alike, or all where there are no more.

    Read once, with `n` rows in memory (Vitter 1985, algorithm R), which are shuffled: the algorithm
    leaves an early row at its place. The head of a file would be its first topic, not a sample of
    it, and so would the head of what was drawn.
    """
    rng = Random(f"accord drawn {seed}")
    kept: list[T] = []
    for number, row in enumerate(rows):
        if number < n:
            kept.append(row)
        elif (place := rng.randrange(number + 1)) < n:
            kept[place] = row
    rng.shuffle(kept)
    return kept


def question_of(conversation: Conversation) -> Conversation | None:
    """What the last message answers; None where it follows nothing that waits for an answer."""
    before = conversation.messages[:-1]
    found = Conversation(before) if before else None
    return found if found is not None and found.awaits_answer else None


def _different(sets: list[Dataset], split: Split, trained: frozenset[Opening]) -> Iterator[Prompt]:
    seen: set[str] = set()
    for dataset in sets:
        for row in dataset.rows(split):
            prompt = _prompt_of(row)
            if prompt is not None and prompt.id not in seen and opening(row) not in trained:
                seen.add(prompt.id)
                yield prompt


def _tell_sets(context: StageContext, kind: str, sets: list[Dataset]) -> None:
    """Say once what is trained on, and whose opinion it is where that is known."""
    key = f"{kind}_sets"
    if key in context.notes:
        return
    told = {}
    for name, dataset in zip(_names(context, kind), sets, strict=True):
        counts = dataset.manifest.notes.get("counts")
        kinds = counts.get("kinds") if isinstance(counts, Mapping) else None
        said = f", by {' and '.join(kinds)} raters" if kinds else ""
        told[name] = f"{dataset.count(Split.TRAIN)} rows{said}"
    context.note(key, told)
    listed = "; ".join(f"{name} ({what})" for name, what in told.items())
    if told:
        context.tell(f"{kind}: {listed}")


def _names(context: StageContext, kind: str) -> list[str]:
    begin = f"{kind}/"
    return [name.removeprefix(begin) for name in context.inputs if name.startswith(begin)]


def _tell_trained(context: StageContext, what: str, rows: int) -> None:
    """Count and tell held-out rows that are none, once, however often they are read."""
    key = f"{what}_trained_on"
    if not rows or key in context.notes:
        return
    context.note(key, rows)
    context.tell(f"{rows} {what} of the dev split are not used: another set trains on their words")


def _trained(sets: list[Dataset]) -> frozenset[Opening]:
    """Openings that stand in the training part of any set, where a dev part could hold them too.

    Sets that were split alike, by prompt, cannot share one between train and dev.
    """
    ways = _ways(sets)
    if len(ways) < 2 and all(unit is Unit.PROMPT for unit, _, _ in ways):
        return frozenset()
    return frozenset(opening(row) for dataset in sets for row in dataset.rows(Split.TRAIN))


def _said(sets: list[Dataset]) -> frozenset[str]:
    """Responses in the training part of any set, where a dev part by response could hold them."""
    ways = _ways(sets)
    if len(ways) < 2 or all(unit is Unit.PROMPT for unit, _, _ in ways):
        return frozenset()
    rows = (row for dataset in sets for row in dataset.rows(Split.TRAIN))
    return frozenset(text for row in rows for text in responses_of(row))


def _ways(sets: list[Dataset]) -> set[tuple[Unit, float, float]]:
    """How the sets were split."""
    return {(s.manifest.unit, s.manifest.dev, s.manifest.test) for s in sets}


def _prompt_of(row: Row) -> Prompt | None:
    match row:
        case Prompt():
            return row
        case Comparison() | Feedback() | RatedResponse():
            return Prompt(conversation=row.prompt, source=row.source)
        case _:
            question = question_of(row.conversation)
            return None if question is None else Prompt(conversation=question, source=row.source)


def _sets(context: StageContext, kind: str) -> list[Dataset]:
    return [
        Dataset(artifact.folder)
        for name, artifact in context.inputs.items()
        if name.startswith(f"{kind}/")
    ]
