"""Direct alignment from the start policy: DPO and its relatives, IPO, KTO, ORPO, SimPO and
distilled DPO.

One body for all of them; the settings say which objective it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from accord.algorithms.alignment import reads_margins, reads_reference
from accord.algorithms.descent import fresh_state, step_count
from accord.algorithms.direct import (
    Data,
    Known,
    answer_logprobs,
    raw_heads,
    read_once,
    spread,
    train,
    units_of,
    wanted,
)
from accord.algorithms.settings import DistilledConfig, DPOConfig, KTOConfig
from accord.algorithms.thumbs import TokenThumbs, balanced
from accord.core.errors import InvariantError
from accord.core.hashing import digest
from accord.core.protocols import Row
from accord.core.types import Split
from accord.models.ragged import Masked
from accord.models.role import Role
from accord.pipeline.lineage import code_identity
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.fitting import compared, thumbed
from accord.pipeline.stages.remembering import remembered, rows_digest
from accord.pipeline.stages.roles import Roles


def body(context: StageContext, *, name: str) -> Iterator[Row]:
    """Train an adapter (or all weights) on judgements, and leave it with its stack."""
    config = context.config.own
    seed = context.seed + config.seed
    roles = Roles(context, packing=config.packing, trains_all=config.adapter.full)
    data, dev = _sets(context, roles)
    reference = roles.start() if reads_reference(config) else None
    policy = roles.trainable(name, config.adapter, seed)
    state = fresh_state(policy.trained(), config.optimizer)
    context.track(state)
    steps = step_count(len(data), config.batch_prompts, config.epochs)
    context.total(steps)
    used = units_of(steps, len(data), config.batch_prompts, seed)
    yield from train(
        config,
        data=data,
        dev=dev,
        policy=policy,
        reference=reference,
        state=state,
        steps=steps,
        seed=seed,
        micro_batch_tokens=context.machine.micro_batch_tokens,
        known=_known(context, roles, data, used, reference),
        dev_known=_known(context, roles, dev, range(len(dev)), None),
    )
    roles.save(policy, name)


def _sets(context: StageContext, roles: Roles) -> tuple[Data, Data]:
    config = context.config.own
    if not isinstance(config, KTOConfig):
        by_strength = config.strength_margin if isinstance(config, DPOConfig) else 0.0
        sets = compared(context, roles, max_tokens=config.max_tokens, strength_margin=by_strength)
        asked = int((sets.train.margin_P != 0).sum())
        if asked and not reads_margins(config):
            context.tell(
                f"{asked} training pairs have a margin, which this objective does not read"
            )
        return sets.train, sets.dev
    found = thumbed(context, roles, max_tokens=config.max_tokens)
    _tell_balance(context, balanced(config, found[Split.TRAIN]), found[Split.TRAIN])
    return found[Split.TRAIN], found[Split.DEV]


def _tell_balance(context: StageContext, config: KTOConfig, data: TokenThumbs) -> None:
    """Note how much either side weighs, and say where its ratio is not the paper's."""
    good, bad = config.desirable, config.undesirable
    assert good is not None
    assert bad is not None
    context.note("desirable", {"answers": data.desirable, "weight": good})
    context.note("undesirable", {"answers": data.undesirable, "weight": bad})
    ratio = good * data.desirable / (bad * data.undesirable)
    if not 1 - 1e-6 <= ratio <= 4 / 3 + 1e-6:
        context.tell(
            f"desirable over undesirable weight is {ratio:.2f}; KTO's paper keeps it within 1 and "
            "1.33: leave desirable and undesirable out of the settings for that"
        )


def _known(
    context: StageContext,
    roles: Roles,
    data: Data,
    units: Sequence[int],
    reference: Role | None,
) -> Known:
    """What frozen models say of these units' responses, from disk where it was said before."""
    config = context.config.own
    known: dict[str, Tensor] = {}
    ids = wanted(data, units)
    if not ids:
        return Known()
    about = {
        "rows": rows_digest(data.responses[i] for i in ids),
        "template": roles.template.digest,
        "machine": context.machine,
        "code": code_identity(),
        "packing": roles.packing,
        "wide": roles.trains_all,
    }

    def read(name: str, say: Callable[[Role, Sequence[Masked]], Tensor], role: Role) -> Tensor:
        rows = [data.responses[i] for i in ids]
        values, found = remembered(
            context.cache,
            name,
            {**about, "stack": _frozen(role)},
            lambda: read_once(say, role, rows, context.machine.micro_batch_tokens),
        )
        where = "was read before" if found else "is read once, before the first step"
        context.tell(f"{name}: every response {where} ({len(ids)})")
        return spread(values.to(context.machine.device), ids, len(data.responses))

    if reference is not None and config.cache_reference:
        known["reference"] = read("reference", answer_logprobs, reference)
    if isinstance(config, DistilledConfig):
        known["rewards"] = read("rewards", raw_heads, _explicit(roles))
    return Known(**known)


def _explicit(roles: Roles) -> Role:
    """The reward model that is distilled, which reads the policy's own tokens (`agreeing`)."""
    reward = roles.reward()
    if reward.reads is not None:
        raise InvariantError("a reward model with a tokenizer of its own is read by its weights")
    return reward


def _frozen(role: Role) -> Mapping[str, str | None]:
    """Digests of all weights that a frozen role says something with."""
    head = {} if role.head is None else {n: t.tolist() for n, t in role.head.state_dict().items()}
    return {"weights": role.stack, "head": digest(head)}
