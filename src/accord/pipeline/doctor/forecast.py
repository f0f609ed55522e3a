"""How long the recipe may take on this machine, and how much memory, from one measured micro-batch.

It is rough: one short measurement of one model, whose figures are scaled by the tokens that each
stage will run. What is left out: loading, checkpoints, evaluation, sampling before training, and
the prompts that `resample` asks in place of others.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accord.algorithms.settings import (
    DirectConfig,
    DistilledConfig,
    GRPOConfig,
    KTOConfig,
    OnlineDPOConfig,
    PPOConfig,
    ReinforceConfig,
    RejectionConfig,
    RLOOConfig,
)
from accord.core.types import Comparison, Conversation, Split
from accord.pipeline.doctor.check import Check, Finding, NotThere, failed, passed
from accord.pipeline.doctor.patient import Patient
from accord.telemetry.memory import peak_memory
from accord.text.tokenized import Tokenized

if TYPE_CHECKING:  # torch comes with the first check that needs it
    from accord.models.role import Role

Scored = PPOConfig | GRPOConfig | RLOOConfig | ReinforceConfig | OnlineDPOConfig | RejectionConfig
"""Settings of the stages that learn from their own answers."""
FORWARD = 1 / 3
"""Share of a training pass that a pass without gradients takes: the backward pass is about twice
the forward one (Kaplan et al. 2020, arXiv:2001.08361, section 2.1)."""
ROOM = 0.9
"""Most of the machine's memory that a forecast may fill."""
GIB = 2**30
TRAINED_BYTES = 2 * 4
"""Bytes of a trained number's gradient and two moments beside it that the measurement has not made
yet: the moments, in float32."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What was measured."""

    train: float
    """Seconds a token, forward and backward."""
    sample: float
    """Seconds a sampled token, with many answers at once."""
    peak: float
    """Memory at the peak, GiB."""
    total: float
    """Memory that there is, GiB."""


def measured(patient: Patient) -> Pace:
    """One micro-batch forward and backward, and one call of the sampler, on this machine."""
    import torch

    from accord.models.machine import total_memory

    machine = patient.context.machine
    begun = time.perf_counter()
    _, answers = patient.sampled(
        patient.sampler,
        len(patient.asked),
        n=1,
        tokens=patient.answer_tokens,
        temperature=patient.temperature,
        seed=7,
    )
    sampled = sum(sum(row.mask) for row in answers)
    sample = (time.perf_counter() - begun) / max(1, sampled)
    rows = list(_filled(answers, machine.micro_batch_tokens))
    _pass(patient.policy, rows)  # the first one pays for what is made once
    begun = time.perf_counter()
    _pass(patient.policy, rows)
    if machine.device == "cuda":
        torch.cuda.synchronize()
    train = (time.perf_counter() - begun) / sum(map(len, rows))
    trained = sum(parameter.numel() for _, parameter in patient.policy.trained())
    used = torch.cuda.max_memory_allocated() / GIB if machine.device == "cuda" else peak_memory()
    return Pace(
        train=train,
        sample=sample,
        peak=used + trained * TRAINED_BYTES / GIB,
        total=total_memory(machine.device) / GIB,
    )


def _filled(rows: list[Tokenized], tokens: int) -> Iterator[Tokenized]:
    """Rows again and again, up to a micro-batch."""
    used = 0
    while True:
        for row in rows:
            used += len(row)
            if used > tokens and used > len(row):
                return
            yield row


def _pass(policy: Role, rows: list[Tokenized]) -> None:
    """Forward and backward, with the gradients thrown away."""
    from accord.models.ragged import Ragged

    logp_sum = policy.logprobs(Ragged.of(rows, policy.backbone.machine.device))[0].sum()
    logp_sum.backward()
    for _, parameter in policy.trained():
        parameter.grad = None


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage that learns from its own answers runs in all, counted in answers."""

    sampled: float
    """Answers that are sampled."""
    read: float
    """Times that a model reads prompt and answer without gradients."""
    learnt: float
    """Times that prompt and answer go forward and backward."""


def work(own: Scored, prompts: int) -> Work:
    """What the stage of these settings runs on so many training prompts, if nothing ends it early.

    Demonstrations that PPO-ptx imitates are taken to be as long as its answers.
    """
    batch = own.batch_prompts * own.samples
    if isinstance(own, RejectionConfig):  # all are scored; the best of each prompt is learnt once
        return Work(own.steps * batch, own.steps * batch, own.steps * own.batch_prompts)
    scored = 2 if own.shaping.pessimism else 1  # once more for the doubt
    if isinstance(own, OnlineDPOConfig):  # where there is a budget, a last look at what was made
        answers = (own.steps + (own.kl_budget is not None)) * batch
        compared = own.samples if own.pairs == "all" else 2
        return Work(answers, answers * (2 + scored), own.steps * own.batch_prompts * compared)
    warm = own.critic.steps if isinstance(own, PPOConfig) else 0
    answers = (warm + own.steps) * batch
    read = answers * 3  # the reward model scores; policy and reference say how likely
    learnt = own.epochs * own.steps * batch
    if isinstance(own, PPOConfig):
        read += answers + own.epochs * warm * batch  # the critic; a policy that is not learnt yet
        learnt += own.epochs * answers + (learnt if own.ptx else 0)
    asked = min(prompts, (warm + own.steps) * own.batch_prompts)
    beside = asked * own.shaping.references
    read += answers * (scored - 1) + beside * scored
    return Work(answers + beside, read, learnt)


def passes(own: Any) -> float:
    """How often a stage that reads rows runs each of them, in training passes.

    With `pessimism`, the reward model of distilled DPO is taken to have several heads.
    """
    from accord.algorithms.alignment import reads_reference, shifts

    epochs = float(own.epochs)
    if not isinstance(own, DirectConfig):
        return epochs
    once, found = min(1.0, epochs), epochs
    cached = getattr(own, "cache_reference", False)
    if reads_reference(own):
        found += FORWARD * (once if cached else epochs)
    if shifts(own):  # a batch is read before it is learnt
        found += FORWARD * epochs * (1 if cached else 2)
    if isinstance(own, KTOConfig):  # policy and reference read answers of other prompts
        found += 2 * FORWARD * epochs
    if isinstance(own, DistilledConfig):  # the reward model; and to find the nearest of its heads
        found += FORWARD * (once + (epochs if own.pessimism else 0.0))
    return found


def texts(rows: Iterable[object]) -> int:
    """How many texts a pass over training rows runs: an answer that several comparisons of its
    prompt share is run once, as they are all learned from in one step."""
    answers: set[tuple[Conversation, str]] = set()
    others = 0
    for row in rows:
        if isinstance(row, Comparison):
            answers |= {(row.prompt, answer) for answer in row.responses}
        else:
            others += 1
    return len(answers) + others


def seconds(patient: Patient, pace: Pace) -> float | None:
    """How long the patient's stage may train; None where its settings do not say."""
    own = patient.own
    if patient.reads != "prompts":
        if getattr(own, "epochs", None) is None:
            return None
        each = sum(len(one.tokens) for one in patient.examples) / len(patient.examples)
        return float(texts(patient.rows(Split.TRAIN)) * each * passes(own) * pace.train)
    asked = patient.asked
    prompt = sum(len(ids) for _, ids in asked) / len(asked)
    found = work(own, sum(1 for _ in patient.rows(Split.TRAIN)))
    trained = (prompt + own.max_tokens) * (found.read * FORWARD + found.learnt)
    return float(found.sampled * own.max_tokens * pace.sample + trained * pace.train)


def memory_and_time(pace: Pace, stages: dict[str, float | None]) -> Finding:
    """The forecast in words; it fails where memory would run out."""
    known = {name: took for name, took in stages.items() if took is not None}
    listed = ", ".join(f"{name} {_clock(took)}" for name, took in known.items())
    told = (
        f"roughly: {listed or 'no time known'}; {pace.peak:.1f} of {pace.total:.1f} GiB; "
        f"{1 / pace.train:,.0f} trained and {1 / pace.sample:,.0f} sampled tokens a second"
    )
    figures = {f"seconds/{name}": took for name, took in known.items()}
    figures |= {"peak": pace.peak, "total": pace.total, "train": pace.train, "sample": pace.sample}
    if pace.peak > ROOM * pace.total:
        return failed(
            told,
            do="lower machine.micro_batch_tokens or max_tokens, or train an adapter and not "
            "all weights",
            **figures,
        )
    return passed(told, **figures)


def _clock(took: float) -> str:
    return f"{took:.0f} s" if took < 90 else f"{took / 60:.0f} min"


def forecast(patients: Sequence[Patient]) -> Check:
    """The check that measures on one patient what all of them will take."""

    def run(patient: Patient) -> Finding:
        pace = measured(patient)
        return memory_and_time(pace, {one.stage: _known(one, pace) for one in patients})

    return Check(
        "time and memory",
        "Roughly, the recipe fits this machine's memory; and how long its stages may train.",
        run,
    )


def _known(patient: Patient, pace: Pace) -> float | None:
    try:
        return seconds(patient, pace)
    except NotThere:  # rows that another stage makes first
        return None
