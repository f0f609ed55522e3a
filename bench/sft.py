"""Supervised fine-tuning beside TRL's `SFTTrainer`: the same rows, loss on the answers alone."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms import imitation
from accord.text.tokenized import TokenRows
from bench import peers, training, workloads
from bench.measure import Lap, Peak, Workload
from bench.workloads import Setting

RATE = 2e-5


def sft(setting: Setting) -> Iterator[Workload]:
    """The one workload of this file."""
    template = workloads.template(setting)
    tokenized = [template.tokenize(row.conversation) for row in workloads.demonstrations(setting)]
    settings = training.optimizer(setting, full=RATE)
    taken = [tokenized[i] for i in training.order(setting)]
    trained = peers.Trained(
        kind="SFT",
        rows=[
            {"input_ids": list(row.ids), "completion_mask": [int(bit) for bit in row.mask]}
            for row in taken
        ],
        lengths=[len(row) for row in taken],
        optimizer=settings,
        more={"completion_only_loss": True, "shuffle_dataset": False},
    )

    def accord() -> Lap:
        memory = Peak()
        policy = training.trained_role(setting)
        steps = imitation.train(
            rows=TokenRows.build(tokenized),
            dev=None,
            policy=policy,
            state=training.state_of(policy, settings),
            optimizer=settings,
            batch_size=setting.sizes.batch,
            steps=setting.sizes.steps,
            seed=setting.seed,
            micro_batch_tokens=setting.machine.micro_batch_tokens,
        )
        return training.lap(iter(steps), memory)

    yield training.workload(setting, "sft", accord, trained)
