"""What stages read: demonstrations, comparisons and prompts, imported or of the tiny world."""

from __future__ import annotations

from collections.abc import Iterator

from accord.core.errors import DataError
from accord.core.protocols import RewardFn
from accord.core.types import Comparison, Conversation, Demonstration, Prompt, Split
from accord.pipeline.stage import StageContext
from accord.rewards.gold import GrammarGold
from accord.store.datasets import Dataset
from accord.text import grammar

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
    for dataset in _sets(context, "demonstrations"):
        for row in dataset.rows(split):
            if isinstance(row, Demonstration):
                yield row


def comparisons(context: StageContext, split: Split) -> Iterator[Comparison]:
    """Comparisons of one split: simulated ones where the pipeline made them, else imported."""
    sets = (
        [Dataset(context.input("compare").folder / "preferences")]
        if "compare" in context.inputs
        else _sets(context, "preferences")
    )
    for dataset in sets:
        for row in dataset.rows(split):
            if isinstance(row, Comparison):
                yield row


def prompts(context: StageContext, *, held_out: bool) -> Iterator[Prompt]:
    """Different prompts of the training or the held-out side, in the order of the sets.

    Held out are dev rows, and test rows never: those judge releases. Raises DataError where there
    is none.
    """
    world = context.config.world
    if world is not None:
        everything = 3 * len(grammar.topics(held_out=held_out))
        yield from grammar.prompts(world.seed, everything, held_out=held_out)
        return
    seen: set[str] = set()
    split = Split.DEV if held_out else Split.TRAIN
    for kind in ("prompts", "preferences", "demonstrations"):
        for dataset in _sets(context, kind):
            for row in dataset.rows(split):
                prompt = _prompt_of(row)
                if prompt is not None and prompt.id not in seen:
                    seen.add(prompt.id)
                    yield prompt
    if not seen:
        raise DataError(
            f"there is no {split} prompt in the imported data",
            do="import more rows, or import with a larger share held out",
        )


def gold(context: StageContext) -> RewardFn | None:
    """The truth to watch, where the settings name one."""
    match context.config.gold:
        case "grammar":
            return GrammarGold()
        case "vader":
            from accord.rewards.vader import VaderScore

            return VaderScore()
        case _:
            return None


def question_of(conversation: Conversation) -> Conversation | None:
    """What the last message answers; None where it follows nothing that waits for an answer."""
    before = conversation.messages[:-1]
    found = Conversation(before) if before else None
    return found if found is not None and found.awaits_answer else None


def _prompt_of(row: Comparison | Demonstration | Prompt) -> Prompt | None:
    match row:
        case Prompt():
            return row
        case Comparison():
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
