"""Whether policy, reference, sampler and trainer are what they are called, on the user's own model.

The first check reads files and belongs to the fast part. The others sample a few answers: from the
policy as training starts it, and once more with an adapter that was moved away from the zero at
which every adapter starts; one that never reaches the sampler passes the first and fails the
second. The limits are those of the training loops (`accord.algorithms.agreement`).

Shape letters:  M = answer tokens of all answers, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from accord.core.errors import InvariantError
from accord.core.types import Completion
from accord.pipeline.doctor.check import Check, Finding, failed, passed, spared
from accord.pipeline.doctor.patient import Patient
from accord.text.tokenized import Tokenized

if TYPE_CHECKING:  # torch comes with the first check that needs it
    from torch import Tensor

    from accord.models.role import Role

MOVED = 0.3
"""Least mean change of a token's log-probability by the moved adapter, nats: fifteen times the mean
difference that rounding in bfloat16 is allowed."""
FIRST_SIZE, DOUBLINGS = 0.01, 12
"""Standard deviation of the first perturbation, and how often it may double."""
OTHER_HEAT = 0.7
"""Temperature that is tried beside the stage's own; 1.3 where that is this one."""


def logprobs(
    role: Role, rows: Sequence[Tokenized], *, tokens: int, temperature: float = 1.0
) -> Tensor:
    """`[M]` log-probabilities of the rows' trained tokens as the trainer computes them, nats."""
    import torch

    from accord.models.ragged import Ragged, micro_batches

    device = role.backbone.machine.device
    with torch.no_grad():
        parts = [
            role.logprobs(Ragged.of([rows[i] for i in group], device), temperature=temperature)[0]
            for group in micro_batches([len(row) for row in rows], tokens)
        ]
    return torch.cat(parts)


def agree(answers: Sequence[Completion], logp_M: Tensor, dtype: str) -> dict[str, float]:
    """How far sampler and trainer are apart. Raises InvariantError past the loops' limits."""
    from accord.algorithms.agreement import first_steps, gaps

    figures = gaps(answers, logp_M)
    first_steps({"kl/sequence": 0.0, **figures}, 1, dtype)
    return figures


@contextmanager
def moved(policy: Role, reference: Role, rows: Sequence[Tokenized], tokens: int) -> Iterator[float]:
    """The policy with trained weights moved at random until its answers' log-probabilities show it;
    inside, how far they moved in the mean, nats. The weights come back at the end."""
    import torch

    before = {name: p.detach().clone() for name, p in policy.trained()}
    still_M = logprobs(reference, rows, tokens=tokens)
    size, change = FIRST_SIZE, 0.0
    try:
        for _ in range(DOUBLINGS):
            generator = torch.Generator().manual_seed(0)
            for name, parameter in policy.trained():
                noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
                spread = 1.0 if ".lora_" in name else float(before[name].std(correction=0))
                if ".lora_A." not in name:  # the other factor is the zero
                    parameter.data.copy_(before[name] + size * spread * noise)
            change = float((logprobs(policy, rows, tokens=tokens) - still_M).abs().mean())
            if change >= MOVED:
                break
            size *= 2
        yield change
    finally:
        for name, parameter in policy.trained():
            parameter.data.copy_(before[name])


def _recorded(patient: Patient) -> str:
    """The stack that the start policy's artifact says it is."""
    from accord.pipeline.stages.roles import STACK_FILE

    body = json.loads((patient.input(patient.starts).folder / STACK_FILE).read_text())
    return str(body["stack"])


def reference_is_start(patient: Patient) -> Finding:
    """The files of the start policy are those of the stack that it recorded."""
    from accord.core.hashing import file_digest
    from accord.models.backbone import ADAPTER_FILE, folder_digest
    from accord.models.role import stack_digest

    if not patient.starts:
        return spared("the policy starts from the base model, without an SFT artifact")
    folder = patient.input(patient.starts).folder
    if (folder / "model").is_dir():
        found = stack_digest(folder_digest(folder / "model"), ())
    else:
        adapter = file_digest(folder / "adapter" / ADAPTER_FILE)
        found = stack_digest(folder_digest(patient.base), (adapter,))
    return _same_stack(found, _recorded(patient))


def _same_stack(found: str | None, recorded: str) -> Finding:
    if found != recorded:
        return failed(
            f"the reference is {(found or 'something that trains')[:16]}, the SFT artifact "
            f"{recorded[:16]}",
            do="delete the SFT artifact and run again: its files, or its base model's, changed",
        )
    return passed(f"stack {recorded[:16]}")


def starts_at_reference(patient: Patient) -> Finding:
    """At step 0 the policy is its reference, and that is the start policy."""
    from accord.algorithms.agreement import first_steps

    if patient.starts:
        stack = _same_stack(patient.reference.stack, _recorded(patient))
        if stack.do:
            return stack
    answers, rows = patient.first_answers
    tokens = patient.context.machine.micro_batch_tokens
    logp_M, reference_M = (
        logprobs(role, rows, tokens=tokens, temperature=patient.temperature)
        for role in (patient.policy, patient.reference)
    )
    kl = float((logp_M - reference_M).sum()) / len(answers)
    quiet = dict.fromkeys(("engine/gap_mean", "engine/gap_p99", "engine/gap_max"), 0.0)
    first_steps({"kl/sequence": kl, **quiet}, 0, patient.context.machine.dtype)
    return passed(f"sequence KL {kl:.1g} nats over {len(answers)} answers", kl=kl)


def first_ratio_is_one(patient: Patient) -> Finding:
    """Computed again in other company and with gradients, nothing has changed."""
    import torch

    from accord.algorithms.agreement import first_ratio
    from accord.models.ragged import Ragged, micro_batches
    from accord.objectives import policy

    answers, rows = patient.first_answers
    tokens = patient.context.machine.micro_batch_tokens
    old_M = logprobs(patient.policy, rows, tokens=tokens, temperature=patient.temperature)
    counts = [len(answer.tokens) for answer in answers]
    old = old_M.split(counts)
    order = [*range(1, len(rows), 2), *range(0, len(rows), 2)]
    totals: dict[str, float] = {}
    for group in micro_batches([len(rows[i]) for i in order], max(1, tokens // 2)):
        picked = [order[i] for i in group]
        ragged = Ragged.of([rows[i] for i in picked], old_M.device.type)
        logp_M, _ = patient.policy.logprobs(ragged, temperature=patient.temperature)
        before_M = torch.cat([old[i] for i in picked])
        loss = policy.clipped(
            logp_M=logp_M,
            old_logp_M=before_M,
            advantage_M=torch.ones_like(before_M),
            clip=0.2,
            global_tokens=sum(counts),
        )
        for name, value in loss.metrics.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    first_ratio(totals, patient.context.machine.dtype)
    return passed(
        f"approximate KL {totals['policy/approx_kl']:.1g}, nothing clipped of {sum(counts)} tokens",
        approx_kl=totals["policy/approx_kl"],
    )


def sampler_agrees(patient: Patient) -> Finding:
    """Sampler and trainer give the same tokens the same log-probability."""
    answers, rows = patient.first_answers
    tokens = patient.context.machine.micro_batch_tokens
    logp_M = logprobs(patient.policy, rows, tokens=tokens, temperature=patient.temperature)
    return _agreed(agree(answers, logp_M, patient.context.machine.dtype), len(logp_M))


def adapter_is_delivered(patient: Patient) -> Finding:
    """The same with an adapter that is not zero: the sampler has what the trainer has."""
    _, rows = patient.first_answers
    tokens = patient.context.machine.micro_batch_tokens
    with moved(patient.policy, patient.reference, rows, tokens) as change:
        if not change >= MOVED:
            return failed(
                f"an adapter moved at random changes a token by {change:.2g} nats",
                do="report this: the trainer does not compute with the adapter that it trains",
                moved=change,
            )
        answers, said = patient.few_answers(1.0)
        logp_M = logprobs(patient.policy, said, tokens=tokens)
        try:
            figures = agree(answers, logp_M, patient.context.machine.dtype)
        except InvariantError as error:
            return failed(
                f"with an adapter that moves a token by {change:.2g} nats, {error.what}: "
                f"{error.got}",
                do="report this: the sampler does not have the weights that are trained",
                moved=change,
            )
    return _agreed(figures, len(logp_M), f"; the adapter moves a token by {change:.2g} nats")


def temperature_is_same(patient: Patient) -> Finding:
    """At two temperatures the sampler's log-probabilities are those of the trainer's."""
    other = OTHER_HEAT if abs(patient.temperature - OTHER_HEAT) > 0.1 else 1.3
    tokens = patient.context.machine.micro_batch_tokens
    worst: dict[str, float] = {}
    for heat in (patient.temperature, other):
        same = heat == patient.temperature
        answers, rows = patient.first_answers if same else patient.few_answers(heat)
        logp_M = logprobs(patient.policy, rows, tokens=tokens, temperature=heat)
        try:
            figures = agree(answers, logp_M, patient.context.machine.dtype)
        except InvariantError as error:
            return failed(
                f"at temperature {heat:g} {error.what}: {error.got}{_fits(patient, answers, rows)}",
                do="let sampler and trainer divide the logits by the same temperature",
            )
        worst = max(worst, figures, key=lambda one: one.get("engine/gap_max", 0.0))
    return _agreed(worst, len(logp_M), f" at {patient.temperature:g} and {other:g}")


def _fits(patient: Patient, answers: Sequence[Completion], rows: Sequence[Tokenized]) -> str:
    """Which temperature the sampler's figures are of, where it is one that is likely."""
    from accord.algorithms.agreement import gaps

    tokens = patient.context.machine.micro_batch_tokens
    for heat in (1.0, patient.temperature, OTHER_HEAT, 1.3):
        logp_M = logprobs(patient.policy, rows, tokens=tokens, temperature=heat)
        if gaps(answers, logp_M)["engine/gap_mean"] < 0.01:
            return f"; they fit temperature {heat:g}"
    return ""


def _agreed(figures: dict[str, float], tokens: int, more: str = "") -> Finding:
    mean, p99, most = (figures[f"engine/gap_{part}"] for part in ("mean", "p99", "max"))
    return passed(
        f"of {tokens} tokens mean {mean:.1g}, 99th percentile {p99:.1g}, largest {most:.1g} "
        f"nats apart{more}",
        mean=mean,
        p99=p99,
        max=most,
    )


FAST = (
    Check(
        "reference is the start",
        "The files that the reference is made of are those that the SFT artifact recorded.",
        reference_is_start,
    ),
)
CHECKS = (
    Check(
        "policy starts at reference",
        "At step 0 policy and reference give the same log-probabilities, and both are the SFT "
        "model.",
        starts_at_reference,
    ),
    Check(
        "first ratio is 1",
        "Before any update the trainer's second look at an answer gives what its first gave.",
        first_ratio_is_one,
    ),
    Check(
        "sampler is trainer",
        "The log-probabilities that answers are drawn with are those that are trained on.",
        sampler_agrees,
    ),
    Check(
        "adapter delivered",
        "A trained adapter reaches the sampler: with a perturbed one both still agree.",
        adapter_is_delivered,
    ),
    Check(
        "one temperature",
        "Sampler and trainer mean the same by a temperature.",
        temperature_is_same,
    ),
)
