"""What the stages that learn from their own answers set up alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from accord.algorithms.descent import fresh_state
from accord.algorithms.rollouts import Parts, Score, Shape
from accord.algorithms.settings import Asking, KLEstimator, KLPlace, Ratio
from accord.core.protocols import Row
from accord.core.types import Completion, Prompt
from accord.models.role import Role
from accord.models.state import TrainState
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.fitting import asked_prompts
from accord.pipeline.stages.roles import Roles
from accord.pipeline.stages.scoring import scorer_of
from accord.pipeline.stages.shaping import Shaper
from accord.pipeline.stages.watching import watched

WIDE = 0.05
"""Half width above which a clip is for ratios of tokens: an answer's is that of the mean token."""


@dataclass(frozen=True, slots=True)
class Earnings:
    """What an answer earns: its score, and what is trained on in its place."""

    score: Score
    shape: Shape | None


def earnings(
    context: StageContext,
    roles: Roles,
    *,
    reward: Role,
    reference: Role,
    prompts: Sequence[Prompt],
    ids: Sequence[Sequence[int]],
) -> Earnings:
    """The reward model's scores of answers to `prompts`, whose tokens are `ids`, shaped as the
    stage's settings say."""
    config: Asking = context.config.own
    scorer = scorer_of(roles, reward, prompts, ids)
    shape = None
    if config.shaping.shapes:
        shape = Shaper(
            config=config,
            scorer=scorer,
            reference=roles.sampler(reference),
            prompts=ids,
            seed=context.seed + config.seed,
        )
    return Earnings(lambda asked, rows: scorer(rows), shape)


@dataclass(frozen=True, slots=True)
class Begun:
    """A stage without a critic before its first step."""

    roles: Roles
    reward: Role
    parts: Parts
    state: TrainState
    seed: int


def begin(context: StageContext, made: str) -> Begun:
    """Load the roles, choose the prompts and start the state of the stage that makes policy
    `made`."""
    config = context.config.own
    seed = context.seed + config.seed
    roles = Roles(context, trains_all=config.adapter.full)
    reference = roles.start()
    policy = roles.trainable(made, config.adapter, seed)
    prompts, ids = asked_prompts(context, roles, held_out=False, answer_tokens=config.max_tokens)
    reward = roles.reward()
    earned = earnings(context, roles, reward=reward, reference=reference, prompts=prompts, ids=ids)
    state = fresh_state(policy.trained(), config.optimizer)
    context.track(state)
    context.total(config.steps)
    parts = Parts(
        prompts=ids,
        policy=policy,
        reference=reference,
        sampler=roles.sampler(policy),
        score=earned.score,
        watch=gold(context, roles, prompts),
        micro_batch_tokens=context.machine.micro_batch_tokens,
        shape=earned.shape,
    )
    return Begun(roles, reward, parts, state, seed)


def gold(
    context: StageContext, roles: Roles, prompts: Sequence[Prompt]
) -> Callable[[Sequence[int], Sequence[Completion]], Row]:
    """Gold of the sampled answers, where a truth is known: seen, never trained on."""
    truth = watched(context, roles)

    def watch(asked: Sequence[int], answers: Sequence[Completion]) -> Row:
        if truth is None:
            return {}
        texts = [roles.template.answer_text(answer.tokens) for answer in answers]
        return {"reward/gold": fmean(truth([prompts[p].conversation for p in asked], texts))}

    return watch


def tell_of_price(context: StageContext) -> None:
    """Say so where the price of KL hardly holds the policy, though it can be set so."""
    kl = context.config.own.kl
    if kl.place is KLPlace.REWARD and kl.estimator is not KLEstimator.K1:
        context.tell(
            f"kl.estimator = {kl.estimator} in the reward does not pull along the gradient of KL, "
            "and near the reference hardly at all; k1 does (see docs/algorithms/ppo.md)"
        )


def tell_of_clip(context: StageContext) -> None:
    """Say so where a clip holds nothing: in one step a batch, and one for ratios of tokens beside
    ratios of answers."""
    own = context.config.own
    ratio = getattr(own, "ratio", Ratio.TOKEN)
    if own.epochs * own.minibatches == 1:
        named = [name for name in ("clip_high", "dual_clip") if getattr(own, name, None)]
        named += ["ratio"] if ratio is not Ratio.TOKEN else []
        if named:
            context.tell(
                f"{' and '.join(named)}: with epochs = 1 and minibatches = 1 each batch takes one "
                "step, every ratio is 1 there, and nothing is held; minibatches = 4 is usual"
            )
    elif ratio is Ratio.SEQUENCE and own.clip > WIDE:
        context.tell(
            f'clip = {own.clip:g} beside ratio = "sequence": the mean over an answer hardly leaves '
            "1, and nothing will be clipped; 3e-4 with clip_high = 4e-4 in the paper"
        )


def note_end(context: StageContext, state: TrainState) -> None:
    """What a run of RL leaves among the manifest's figures."""
    context.note("budget_spent", bool(state.numbers.get("budget_spent")))
    context.note("kl_coefficient", state.numbers["kl/coefficient"])
