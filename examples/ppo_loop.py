"""PPO with its parts laid open, against a reward in Python: `python examples/ppo_loop.py FOLDER`.

`ppo.train` is a generator: look at its rows, or stop. Imitation comes first, to say words at all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accord.algorithms import imitation, ppo
from accord.algorithms.descent import fresh_state
from accord.algorithms.settings import OptimizerSettings, PPOConfig
from accord.models.backbone import Backbone
from accord.models.machine import resolve
from accord.models.role import Role, ScalarHead
from accord.models.tiny import make_tiny
from accord.rewards.gold import GrammarGold
from accord.rollout.engine import TorchSampler
from accord.text import grammar
from accord.text.template import ChatTemplate
from accord.text.tokenized import Tokenized, TokenRows
from accord.text.tokenizer import TextTokenizer

RATE = OptimizerSettings(learning_rate=3e-3, epsilon=1e-5)
PPO = PPOConfig(  # an answer without an end earns less than a bad one, or the model rambles
    steps=20, batch_prompts=64, epochs=2, minibatches=2, missing_stop_score=-4, optimizer=RATE
)
TOKENS = 2048


def main(folder: Path) -> None:
    """Print the mean reward of each rollout batch."""
    template = imitate(folder)
    prompts = [prompt.conversation for prompt in grammar.prompts(0, 64)]
    gold, backbone = GrammarGold(), Backbone.load(folder / "warm", machine=resolve("float32"))

    def reward(asked: Sequence[int], rows: Sequence[Tokenized]) -> list[float]:
        said = ([t for t, mine in zip(r.ids, r.mask, strict=True) if mine] for r in rows)
        return gold([prompts[p] for p in asked], [template.answer_text(ids) for ids in said])

    for name in ("policy", "critic"):
        backbone.add_adapter(name, rank=16, alpha=32, seed=0)
    policy = Role(backbone, ("policy",))
    critic = Role(backbone, ("critic",), ScalarHead(backbone.hidden_size, seed=2))
    parts = ppo.Parts(
        prompts=[template.prompt_ids(prompt) for prompt in prompts],
        policy=policy,
        reference=Role(backbone),
        critic=critic,
        sampler=TorchSampler(policy, stop_ids=[template.stop_id]),
        score=reward,
        watch=lambda asked, answers: {},
        micro_batch_tokens=TOKENS,
    )
    state = fresh_state(iter([*policy.trained(), *critic.trained()]), RATE)
    for row in ppo.train(PPO, parts=parts, state=state, seed=0):
        print(f"reward {row['reward/score']:.2f}, KL {row['kl/sequence']:.2f} nats")


def imitate(folder: Path) -> ChatTemplate:
    """Train all weights of a new tiny model on demonstrations; `folder/warm` has the result."""
    make_tiny(folder / "tiny", seed=0)
    template = ChatTemplate(TextTokenizer.load(folder / "tiny"))
    said = (template.tokenize(row.conversation) for row in grammar.demonstrations(0, 512))
    whole = Backbone.load(folder / "tiny", machine=resolve("float32"), train_all=True)
    policy, rate = Role(whole), OptimizerSettings(learning_rate=3e-3)
    how: dict[str, Any] = {"batch_size": 16, "steps": 100, "seed": 0, "micro_batch_tokens": TOKENS}
    how |= {"policy": policy, "state": fresh_state(policy.trained(), rate), "optimizer": rate}
    for row in imitation.train(rows=TokenRows.build(said), dev=None, **how):
        print(f"imitation: loss {row['loss']:.2f}")
    whole.save_model(folder / "warm", tokenizer_from=folder / "tiny")
    return template


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
