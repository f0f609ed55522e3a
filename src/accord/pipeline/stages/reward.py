"""The reward model: trained on comparisons, given its unit, and held against simple baselines.

Shape letters:  P = pairs of the held-out comparisons; R = answers; H = criteria.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from accord.algorithms import ties
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.descent import step_count
from accord.algorithms.doubt import doubt_of
from accord.algorithms.probe import probe_leads
from accord.algorithms.reward_model import (
    begin,
    leads,
    levels,
    raw_by_criterion,
    raw_scores,
    scale_of,
    standardised,
    train,
    weighed_leads,
)
from accord.algorithms.settings import RewardConfig
from accord.algorithms.settings.reward import WITH_TIES
from accord.core.protocols import Row
from accord.core.types import Comparison, SamplingSettings, Split
from accord.evals.reward_model import audit, fit_temperature
from accord.models.head import Criterion
from accord.models.ragged import Masked
from accord.models.role import CriterionHeads, Heads, Role
from accord.objectives.loss import check_tiers
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.fitting import Compared, Sieve, compared, row_limit
from accord.pipeline.stages.roles import CALIBRATION_FILE, Roles
from accord.pipeline.stages.scoring import reading_of
from accord.stats.ranking import pair_accuracy
from accord.text.tokenized import Tokenized, TokenRow

ALIKE = 0.95
"""Correlation above which heads of two criteria are told to be one."""
ANSWER_TOKENS = 48
"""Longest answer that the reference gives where its samples set the score's unit."""


def body(context: StageContext) -> Iterator[Row]:
    """Train head and adapter, set the unit, and note held-out figures."""
    config = context.config.own
    policy = Roles(context, packing=config.packing)
    roles = policy.reader()
    sets = compared(
        context,
        roles,
        max_tokens=config.max_tokens,
        strength_margin=config.strength_margin,
        criteria=config.about,
    )
    _check(context, config, sets.train)
    model = roles.fresh_scorer(
        config.adapter,
        context.seed + config.seed,
        heads=config.heads,
        criteria=[Criterion(name, weight) for name, weight in config.weighed],
    )
    state = begin(config, model=model, data=sets.train)
    context.track(state)
    steps = step_count(len(sets.train), config.batch_prompts, config.epochs)
    context.total(steps)
    tokens = context.machine.micro_batch_tokens
    lead = None
    for row in train(
        config,
        data=sets.train,
        model=model,
        state=state,
        steps=steps,
        seed=context.seed + config.seed,
        micro_batch_tokens=tokens,
    ):
        if state.step == steps and (sets.dev.label_P != 0.5).any():
            lead = leads(sets.dev, model, tokens)
            accuracy = pair_accuracy(lead, sets.dev.label_P, weight=sets.dev.weight_P)
            yield {**row, "preference/dev_accuracy": accuracy}
        else:
            yield row
    context.note("train_pairs", sets.train.pairs)
    if (tie := ties.value(config, state)) is not None:
        context.note("tie", float(tie.detach()))
    zero = _set_unit(context, policy, model, sets.train)
    _tell_criteria(context, sets, model)
    if config.doubt_pairs:
        model.doubt = doubt_of(
            model,
            sets.train,
            zero,
            pairs=config.doubt_pairs,
            seed=context.seed + config.seed,
            micro_batch_tokens=tokens,
        )
    if len(sets.dev):
        if lead is None:  # training had ended before this process began
            lead = leads(sets.dev, model, tokens)
        probe = probe_leads(sets.train, sets.dev, roles.backbone(roles.base))
        _audit(context, sets, lead, probe)
        _calibrate(context, *_of_whole_answers(sets, model, lead, tokens))
    roles.save(model, "reward")


def _check(context: StageContext, config: RewardConfig, train_set: TokenComparisons) -> None:
    """Refuse, before anything is trained, what the objective cannot read; tell what it misses."""
    if config.objective == "plackett-luce":
        check_tiers(train_set.most_tied)
    if config.objective in WITH_TIES and not (train_set.label_P == 0.5).any():
        context.tell(
            f"no training pair is a tie: {config.objective} learns that there are next to none"
        )


def _audit(
    context: StageContext,
    sets: Compared,
    lead_P: NDArray[np.float64],
    probe_P: NDArray[np.float64] | None,
) -> None:
    """Note what the leads are worth on held-out pairs, and leave it."""
    known = data.comparisons(context, Split.TRAIN, criteria=context.config.own.about)
    figures = audit(known, sets.dev_rows, lead_P, probe_P=probe_P)
    context.note("audit", figures)
    text = json.dumps(figures, indent=2, sort_keys=True) + "\n"
    (context.output / "audit.json").write_text(text)


def _of_whole_answers(
    sets: Compared, model: Role, lead_P: NDArray[np.float64], tokens: int
) -> tuple[list[Comparison], NDArray[np.float64]]:
    """What the temperature is of: held-out comparisons of whole answers with the score's leads."""
    if not isinstance(model.head, CriterionHeads):
        return sets.dev_rows, lead_P
    whole_P = np.array([not sets.dev.criteria[place] for place in sets.dev.criterion_P])
    rows = [row for row in sets.dev_rows if not row.criterion]
    return rows, weighed_leads(sets.dev, model, tokens)[whole_P]


def _tell_criteria(context: StageContext, sets: Compared, model: Role) -> None:
    """Note how each criterion counts and how often the score orders its held-out pairs, and whether
    heads differ in what they say of held-out answers."""
    if not isinstance(model.head, CriterionHeads):
        return
    criteria, tokens = model.head.criteria, context.machine.micro_batch_tokens
    held = len(sets.dev) > 0
    lead_P = weighed_leads(sets.dev, model, tokens) if held else np.zeros(0)
    told = []
    for place, one in enumerate(criteria):
        inside = (sets.dev.criterion_P == place) & (sets.dev.label_P != 0.5)
        label_P, weight_P = sets.dev.label_P[inside], sets.dev.weight_P[inside]
        right = pair_accuracy(lead_P[inside], label_P, weight=weight_P) if inside.any() else None
        trained = sets.train.by_criterion[sets.train.criteria[place]]
        told.append(asdict(one) | {"train_comparisons": trained, "score_accuracy": right})
    context.note("criteria", told)
    if not held or len(criteria) < 2:
        return
    raw_RH = raw_by_criterion(sets.dev.responses.distinct()[0], model, tokens)
    if len(raw_RH) < 3 or not (raw_RH.std(0) > 0).all():
        return
    alike_HH = np.atleast_2d(np.corrcoef(raw_RH.T))
    context.note("criteria_correlation", alike_HH.tolist())
    for i, j in combinations(range(len(criteria)), 2):
        if alike_HH[i, j] > ALIKE:
            context.tell(
                f"the heads of {criteria[i].name} and {criteria[j].name} say the same of held-out "
                f"answers (correlation {alike_HH[i, j]:.2f}): here they are one criterion"
            )


def _calibrate(
    context: StageContext, held: Sequence[Comparison], lead_P: NDArray[np.float64]
) -> None:
    """Fit the temperature that makes raw leads log-odds, on held-out pairs, and leave it."""
    found = fit_temperature(held, lead_P)
    context.note("calibration", found)
    text = json.dumps(found, indent=2, sort_keys=True) + "\n"
    (context.output / CALIBRATION_FILE).write_text(text)


def _set_unit(
    context: StageContext, policy: Roles, model: Role, train_set: TokenComparisons
) -> Sequence[Masked]:
    """Mean 0 on demonstrations, standard deviation 1 on the reference's samples, where possible.

    Gives back what has mean 0.
    """
    shift_from = "demonstrations"
    zero: list[Tokenized | TokenRow] = [*_demonstrations(context, policy.reader())]
    if not zero:
        shift_from = "chosen training responses"
        first = train_set.first_P[train_set.label_P > 0.5]
        second = train_set.second_P[train_set.label_P < 0.5]
        chosen = np.unique(np.concatenate([first, second])).tolist()
        config = context.config.own
        some = data.drawn(chosen, config.scale_prompts, seed=context.seed + config.seed)
        zero = [train_set.responses[i] for i in some]
    scale_from = "samples of the reference policy"
    unit: list[Tokenized | TokenRow] = [*_samples(context, policy)]
    if not unit:
        scale_from = "all training responses"
        unit = [train_set.responses[i] for i in range(len(train_set.responses))]
    if isinstance(model.head, CriterionHeads):
        raw_RH = raw_by_criterion(unit, model, context.machine.micro_batch_tokens)
        model.head.measured(standardised(model.head.criteria, raw_RH))
    if isinstance(model.head, Heads):
        model.head.level(levels(zero, model, context.machine.micro_batch_tokens))
    model.scale = scale_of(
        *(raw_scores(rows, model, context.machine.micro_batch_tokens) for rows in (zero, unit)),
        shift_from=shift_from,
        scale_from=scale_from,
    )
    context.note("shift", model.scale.shift)
    context.note("scale", model.scale.scale)
    context.note("shift_from", shift_from)
    context.note("scale_from", scale_from)
    return zero


def _demonstrations(context: StageContext, roles: Roles) -> list[Tokenized]:
    """Up to `scale_prompts` usable demonstrations, as their prompt and last answer."""
    config = context.config.own
    limit = row_limit(roles, config.max_tokens)

    def usable() -> Iterator[Tokenized]:
        for row in data.demonstrations(context, Split.TRAIN):
            messages = row.conversation.messages
            prompt = data.question_of(row.conversation)
            if prompt is not None and not any(roles.template.stop in m.content for m in messages):
                tokens = roles.template.tokenize_answer(prompt, messages[-1].content)
                if len(tokens) <= limit:
                    yield tokens

    return data.drawn(usable(), config.scale_prompts, seed=context.seed + config.seed)


def _samples(context: StageContext, roles: Roles) -> list[Tokenized]:
    """`scale_prompts` answers of the reference to training prompts that leave room, evenly."""
    reading = reading_of(roles)
    limit = roles.backbone(roles.base).context - ANSWER_TOKENS - 1
    sieve = Sieve(roles.template, limit, reading=reading)
    asked = sieve.prompts(data.prompts(context, held_out=False))
    wanted = context.config.own.scale_prompts
    drawn = list(data.drawn(asked, wanted, seed=context.seed))
    if not drawn:
        return []
    ids = [row for _, row in drawn]
    each = -(-wanted // len(ids))  # a data set with one prompt has many answers too
    settings = SamplingSettings(max_tokens=ANSWER_TOKENS)
    said = roles.sampler(roles.start()).sample(ids, n=each, settings=settings, seed=context.seed)
    if reading is not None:
        return [
            reading.row(prompt.conversation, one.tokens)
            for (prompt, _), group in zip(drawn, said, strict=True)
            for one in group
        ]
    return [
        Tokenized.answered(prompt, one.tokens).ended(roles.template.stop_id)
        for prompt, group in zip(ids, said, strict=True)
        for one in group
    ]
