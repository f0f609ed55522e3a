"""Direct preference optimisation beside TRL's `DPOTrainer`.

The reference is run at every step on both sides: that is what the ratio holds. Accord with its
reference's log-probabilities computed once before the first step is shown beside.
"""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms import direct
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.settings import DPOConfig
from accord.models.backbone import Backbone
from accord.models.role import Role
from bench import peers, training, workloads
from bench.measure import Lap, Peak, Workload
from bench.workloads import Setting

RATE = 5e-7
CONTEXT = 1024


def dpo(setting: Setting) -> Iterator[Workload]:
    """The one workload of this file."""
    template = workloads.template(setting)
    rows = workloads.comparisons(setting)
    data, none = (
        TokenComparisons.build(some, template.tokenize_answer, max_tokens=CONTEXT)
        for some in (rows, [])
    )
    settings = training.optimizer(setting, full=RATE)
    taken = training.order(setting)
    trained = peers.Trained(
        kind="DPO",
        rows=[
            {
                "prompt": template.render(rows[i].prompt, generation_prompt=True),
                "chosen": rows[i].responses[0],
                "rejected": rows[i].responses[1],
            }
            for i in taken
        ],
        lengths=[data.tokens(i) for i in taken],
        optimizer=settings,
        more={"beta": 0.1, "max_length": CONTEXT},
    )

    def accord(cache: bool) -> Lap:
        memory = Peak()
        policy = training.trained_role(setting)
        frozen = policy.backbone if setting.lora else _frozen(setting)
        config = DPOConfig(
            beta=0.1,
            batch_prompts=setting.sizes.batch,
            cache_reference=cache,
            optimizer=settings,
        )
        steps = direct.train(
            config,
            data=data,
            dev=none,
            policy=policy,
            reference=Role(frozen),
            state=training.state_of(policy, settings),
            steps=setting.sizes.steps,
            seed=setting.seed,
            micro_batch_tokens=setting.machine.micro_batch_tokens,
        )
        return training.lap(iter(steps), memory)

    yield training.workload(
        setting,
        "dpo",
        lambda: accord(False),
        trained,
        beside={"accord, reference cached": lambda: accord(True)},
    )


def _frozen(setting: Setting) -> Backbone:
    return Backbone.load(setting.folder, machine=setting.machine)
