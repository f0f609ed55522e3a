"""Whether the start policy can be aligned at all: reinforcement learning sharpens what a policy
does, and preferences compare what it says. One that never stops, loops, says nothing or says the
prompt again has nothing to sharpen. Loads no torch by itself.

The limits are of this project, and wide: they stop what is broken, not what is weak.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accord.core.types import Completion, Conversation, SamplingSettings, StopReason
from accord.pipeline.doctor.check import Check, Finding, NotThere, failed, passed, spared
from accord.pipeline.doctor.leaks import folded
from accord.pipeline.doctor.patient import Patient
from accord.stats.diversity import repeated

STOPPED = 0.5
"""Least share of answers that end with the stop token."""
LOOPING, RUN, OFTEN = 0.2, 3, 0.5
"""Most answers that may loop; one loops where this share of its runs of so many words it said
before."""
EMPTY = 0.1
"""Most answers that may say nothing."""
COPIED, COPY_RUN, COPY = 0.2, 4, 0.8
"""Most answers that may be copies; one is where this share of its runs of so many words stand in
the prompt."""
WORSE = 0.25
"""By how much fewer instructions the start policy may follow than its base: two standard errors of
the difference of two shares of 32 answers."""
DRAWS = 4
"""Answers to each instruction."""
SFT = (
    "train SFT for longer or on more demonstrations, and look at some: `accord sample --stage sft`"
)


@dataclass(frozen=True, slots=True)
class Instruction:
    """Something a program can see whether it was done."""

    asked: str
    done: Callable[[str], bool]


INSTRUCTIONS = (
    Instruction("Answer with the single word yes.", lambda text: _words(text) == ["yes"]),
    Instruction("Write the number seven in digits.", lambda text: "7" in text),
    Instruction("Name a colour in one word.", lambda text: len(_words(text)) == 1),
    Instruction("Repeat this word: river.", lambda text: "river" in _words(text)),
    Instruction("Write one short sentence about rain.", lambda text: 2 < len(_words(text)) < 25),
    Instruction("Write the word HELLO in capital letters.", lambda text: "HELLO" in text),
    Instruction("End your answer with a question mark.", lambda text: text.rstrip().endswith("?")),
    Instruction("List three animals, with commas between.", lambda text: text.count(",") >= 2),
)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def it_stops(answers: Sequence[Completion], tokens: int) -> Finding:
    """Enough answers end by themselves."""
    share = sum(one.stop is StopReason.STOP for one in answers) / len(answers)
    told = f"{share:.0%} of {len(answers)} answers end within {tokens} tokens"
    if share < STOPPED:
        return failed(
            told,
            do="raise max_tokens where answers are meant to be longer; else " + SFT,
            stopped=share,
        )
    return passed(told, stopped=share)


def loops(texts: Sequence[str]) -> Finding:
    """Few answers go round."""
    share = sum(repeated(text, RUN) >= OFTEN for text in texts) / len(texts)
    told = f"{share:.0%} of {len(texts)} answers say most of their runs of {RUN} words again"
    return failed(told, do=SFT, loops=share) if share > LOOPING else passed(told, loops=share)


def empties(texts: Sequence[str]) -> Finding:
    """Few answers say nothing."""
    share = sum(not text.strip() for text in texts) / len(texts)
    told = f"{share:.0%} of {len(texts)} answers are empty"
    return failed(told, do=SFT, empty=share) if share > EMPTY else passed(told, empty=share)


def copies(asked: Sequence[Conversation], texts: Sequence[str]) -> Finding:
    """Few answers are the prompt again."""
    share = sum(
        _copied(conversation, text) for conversation, text in zip(asked, texts, strict=True)
    ) / len(texts)
    told = f"{share:.0%} of {len(texts)} answers are the prompt again"
    return failed(told, do=SFT, copies=share) if share > COPIED else passed(told, copies=share)


def _copied(asked: Conversation, text: str) -> bool:
    said = folded((text,))[0].split()
    known = folded((asked.messages[-1].content,))[0].split()
    if len(said) < COPY_RUN:
        return False
    there = {tuple(known[at : at + COPY_RUN]) for at in range(len(known) - COPY_RUN + 1)}
    runs = [tuple(said[at : at + COPY_RUN]) for at in range(len(said) - COPY_RUN + 1)]
    return sum(run in there for run in runs) >= COPY * len(runs)


def follows(start: Sequence[Sequence[str]], base: Sequence[Sequence[str]]) -> Finding:
    """The start policy does not follow clearly fewer instructions than its base; both give their
    answers to `INSTRUCTIONS` in order."""
    shares = [
        sum(one.done(text) for one, texts in zip(INSTRUCTIONS, said, strict=True) for text in texts)
        / sum(map(len, said))
        for said in (start, base)
    ]
    told = (
        f"the start policy does {shares[0]:.0%} of {len(INSTRUCTIONS)} simple instructions, its "
        f"base {shares[1]:.0%}"
    )
    figures = {"start": shares[0], "base": shares[1]}
    if shares[1] - shares[0] > WORSE:
        return failed(
            told,
            do="mix general demonstrations into SFT, or train it for fewer epochs or at a lower "
            "rate",
            **figures,
        )
    return passed(told, **figures)


def _ready(patient: Patient) -> list[str]:
    """The start policy's answers, where it is one that was made to answer."""
    if not patient.starts:
        raise NotThere("no SFT stage made a policy that is meant to be ready")
    return [text for _, text, _ in patient.start_answers]


def _stops(patient: Patient) -> Finding:
    _ready(patient)
    return it_stops([one for _, _, one in patient.start_answers], patient.answer_tokens)


def _copies(patient: Patient) -> Finding:
    texts = _ready(patient)
    return copies([prompt.conversation for prompt, _, _ in patient.start_answers], texts)


def _follows(patient: Patient) -> Finding:
    if not patient.starts:
        return spared("the policy starts from its base")
    start, template = patient.reference, patient.template
    if not start.adapters:
        return spared("SFT trained all weights, and the base is not loaded beside them")
    ids = [template.prompt_ids(Conversation.of(one.asked)) for one in INSTRUCTIONS]
    settings = SamplingSettings(max_tokens=ANSWER_TOKENS)
    said = [
        [
            [template.answer_text(one.tokens) for one in group]
            for group in patient.roles.sampler(role).sample(ids, n=DRAWS, settings=settings, seed=5)
        ]
        for role in (start, patient.roles.bare())
    ]
    return follows(*said)


ANSWER_TOKENS = 24
"""Longest answer to an instruction."""

CHECKS = (
    Check("answers stop", "The start policy ends its answers by itself.", _stops),
    Check(
        "no loops", "The start policy does not go round.", lambda patient: loops(_ready(patient))
    ),
    Check(
        "no empty answers",
        "The start policy says something.",
        lambda patient: empties(_ready(patient)),
    ),
    Check("no copies", "The start policy does not say the prompt again.", _copies),
    Check(
        "instructions kept",
        "SFT did not unlearn what the base model follows.",
        _follows,
    ),
)
