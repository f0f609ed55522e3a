"""Two uses of the same comparisons: a reward model learns from them, and a policy does directly.

    python examples/reward_and_dpo.py FOLDER

The raters are simulated: they see the true score of an answer of the tiny world, with noise. With
people's comparisons, `Comparison(prompt=..., responses=(...), tiers=(...))` is all that changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random
from typing import Any

from accord.algorithms import direct, reward_model
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.descent import fresh_state, step_count
from accord.algorithms.settings import DPOConfig, OptimizerSettings, RewardConfig
from accord.collect.synthetic import SyntheticRater
from accord.core.types import Comparison
from accord.models.backbone import Backbone
from accord.models.machine import resolve
from accord.models.role import Role, ScalarHead
from accord.models.tiny import make_tiny
from accord.rewards.gold import GrammarGold
from accord.stats.ranking import pair_accuracy
from accord.text import grammar
from accord.text.template import ChatTemplate
from accord.text.tokenizer import TextTokenizer

RATE = OptimizerSettings(learning_rate=2e-3)
BATCH, SEED, MOST = 16, 0, 512


def main(folder: Path) -> tuple[float, float]:
    """Held-out accuracy of the reward model, and of the policy's own log-probabilities."""
    make_tiny(folder, seed=SEED)
    template, machine = ChatTemplate(TextTokenizer.load(folder)), resolve("float32")
    data, held = (
        TokenComparisons.build(
            compare(count, held_out=held_out), template.tokenize_answer, max_tokens=MOST
        )
        for count, held_out in ((256, False), (64, True))
    )
    steps = step_count(len(data), BATCH, 2)
    shared: dict[str, Any] = {"data": data, "steps": steps, "seed": SEED}
    shared["micro_batch_tokens"] = machine.micro_batch_tokens

    backbone = Backbone.load(folder, machine=machine)  # one copy of the weights for all roles
    backbone.add_adapter("reward", rank=16, alpha=32, seed=SEED)
    model = Role(backbone, ("reward",), ScalarHead(backbone.hidden_size, seed=SEED))
    state = fresh_state(model.trained(), RATE)
    settings = RewardConfig(batch_prompts=BATCH, optimizer=RATE)
    for metrics in reward_model.train(settings, model=model, state=state, **shared):
        print(f"reward model: loss {metrics['loss']:.3f}")
    lead = reward_model.leads(held, model, machine.micro_batch_tokens)
    accuracy = pair_accuracy(lead, held.label_P, weight=held.weight_P)

    backbone.add_adapter("policy", rank=16, alpha=32, seed=SEED)
    policy, reference = Role(backbone, ("policy",)), Role(backbone)
    state = fresh_state(policy.trained(), RATE)
    mine = DPOConfig(beta=0.1, batch_prompts=BATCH, optimizer=RATE)
    roles: dict[str, Any] = {"policy": policy, "reference": reference, "dev": held}
    for metrics in direct.train(mine, state=state, **roles, **shared):
        print(f"dpo: loss {metrics['loss']:.3f}, margin {metrics['preference/margin']:.2f}")
    return accuracy, metrics["preference/dev_accuracy"]


def compare(count: int, *, held_out: bool) -> list[Comparison]:
    """Two answers to each prompt, in two styles, ranked by a noisy rater."""
    rng, rater, gold = Random(SEED), SyntheticRater(temperature=0.3), GrammarGold()
    comparisons = []
    for prompt in (p.conversation for p in grammar.prompts(SEED, count, held_out=held_out)):
        styles = rng.sample(list(grammar.Style), 2)
        pair = [grammar.answer(rng, grammar.topic_of(prompt), style) for style in styles]
        comparisons.append(rater.judge(prompt, pair, gold([prompt] * 2, pair)))
    return comparisons


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    found = main(parser.parse_args().folder)
    print("held-out accuracy: reward model {:.2f}, dpo {:.2f}".format(*found))
