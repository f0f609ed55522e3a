"""Whether a reward model's score is about the answer alone: not the pads, not the company.

Shape letters:  B = answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accord.pipeline.config import REWARD_BASE
from accord.pipeline.doctor.check import Check, Finding, failed, passed, spared
from accord.pipeline.doctor.patient import Patient
from accord.text.tokenized import Tokenized

if TYPE_CHECKING:  # torch comes with the first check that needs it
    from torch import Tensor

    from accord.models.role import Role

ANSWERS = 10
"""Answers that are scored."""
MOVES = {"float32": 0.01, "bfloat16": 0.35}
"""Most that a score may move, as a share of the spread between answers, by rounding alone."""


def scores(role: Role, rows: list[Tokenized], how: str) -> Tensor:
    """`[B]` raw scores: of each row `alone`, or of all `packed`, or padded `right` or `left`."""
    import torch

    from accord.models.ragged import Ragged

    device = role.backbone.machine.device
    with torch.no_grad():
        if how == "alone":
            return torch.cat([role.raw_scores(Ragged.of([row], device)) for row in rows])
        batch = Ragged.of(rows, device)
        if how != "left":
            return replace(role, packing=how == "packed").raw_scores(batch)
        assert role.head is not None
        role.backbone.activate(role.adapters)
        hidden = role.backbone.hidden(batch, packing=False, padding_side="left")
        found: Tensor = role.head(hidden[batch.last_rows_B])
        return found


def score_stands(role: Role, rows: list[Tokenized], dtype: str) -> Finding:
    """A row has one score, whoever it is scored with and wherever pads stand."""
    alone_B = scores(role, rows, "alone")
    spread = float(alone_B.std(correction=0))
    if not spread > 0:
        return spared("all answers have the same score, so that none could move")
    moves = {
        how: float((scores(role, rows, how) - alone_B).abs().max()) / spread
        for how in ("packed", "right", "left")
    }
    backwards = float((scores(role, rows[::-1], "packed").flip(0) - alone_B).abs().max()) / spread
    moves["reversed"] = backwards
    worst = max(moves, key=lambda how: moves[how])
    if not max(moves.values()) <= MOVES[dtype]:
        where = f"padded on the {worst}" if worst in ("right", "left") else "with others"
        return failed(
            f"scored {where} an answer moves by {moves[worst]:.2g} of the answers' spread",
            do="report this with the model's name: it reads pads, or other answers",
            **moves,
        )
    return passed(
        f"{len(rows)} answers alone, packed, padded right and left: they move by at most "
        f"{max(moves.values()):.1g} of their spread",
        **moves,
    )


def _stands(patient: Patient) -> Finding:
    role, rows = _own(patient) if patient.own_base else _answered(patient)
    if len(rows) < 2:
        return spared("there are no two answers that the reward model can read")
    return score_stands(role, rows[:ANSWERS], patient.context.machine.dtype)


def _own(patient: Patient) -> tuple[Role, list[Tokenized]]:
    """A reward model at its start on a base of its own, and what it will train on."""
    patient.input(REWARD_BASE)
    role = patient.roles.reader().fresh_scorer(patient.adapter, 0)
    return role, [one.tokens.ended(patient.template.stop_id) for one in patient.examples]


def _answered(patient: Patient) -> tuple[Role, list[Tokenized]]:
    """What scores the policy's answers, and some of them as it reads them."""
    from accord.pipeline.stages.scoring import reading_of

    said = [
        (prompt.conversation, ids, answer.tokens)
        for (prompt, ids), (_, _, answer) in zip(patient.asked, patient.start_answers, strict=True)
    ]
    if "reward" not in patient.context.inputs:  # the head as it starts: where it reads is the same
        role = patient.roles.fresh_scorer(patient.adapter, 0)
    elif (role := patient.roles.reward()).reads is not None:
        reading = reading_of(patient.roles)
        assert reading is not None
        readable = [(asked, tokens) for asked, _, tokens in said if not reading.refusal(asked)]
        return role, [reading.row(asked, tokens) for asked, tokens in readable]
    stop = patient.template.stop_id
    return role, [Tokenized.answered(ids, tokens).ended(stop) for _, ids, tokens in said]


CHECKS = (
    Check(
        "score stands alone",
        "A reward head's score does not change with the padding side or the rest of the batch.",
        _stands,
    ),
)
