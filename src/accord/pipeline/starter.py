"""What `accord init` writes: settings and guidelines that explain themselves."""

from __future__ import annotations

import json
import re
from operator import attrgetter

from accord.core.hashing import plain
from accord.pipeline.config import PipelineConfig

_HEAD = """\
# Settings of this workspace. Everything left out keeps the value of the recipe;
# `accord ppo --help` (and sft, reward, dpo ...) lists every setting with its meaning.

# Where the defaults come from.
recipe = "{recipe}"
"""

_SETTINGS = """
# Below are some of the recipe's values. To change one, take away its "# " and that of its [table].

# The base model: tiny, smollm2, a folder in transformers' format, or a hub id.
# model = {model}

# What `accord run` makes, in this order. Stages that nothing changed are skipped.
# stages = {stages}

# Seed of the whole run. On a CPU the same seed gives the same weights, to the bit.
# seed = {seed}

# auto, float32 or bfloat16; and auto, cpu or cuda.
# [machine]
# precision = {machine.precision}
# device = {machine.device}

# Which imported sets are used (`accord import FILE --name NAME`); empty means all.
# [data]
# demonstrations = {data.demonstrations}
# preferences = {data.preferences}
# feedback = {data.feedback}
# prompts = {data.prompts}

# Supervised fine-tuning on demonstrations.
# [sft]
# epochs = {sft.epochs}
# batch_size = {sft.batch_size}
# max_tokens = {sft.max_tokens}
# optimizer = { learning_rate = {sft.optimizer.learning_rate} }

# The reward model, trained on comparisons.
# [reward]
# epochs = {reward.epochs}

# Reinforcement learning against the reward model. A lower price of KL lets the policy go
# further from the SFT model; a budget, in nats an answer ("none": no budget), ends the run before
# it goes too far.
# [ppo]
# steps = {ppo.steps}
# kl = { coefficient = {ppo.kl.coefficient}, budget = {ppo.kl.budget} }

# The same without a critic, among several answers to a prompt; also rloo, reinforce and rejection.
# Made where `stages` names it.
# [grpo]
# samples = {grpo.samples}

# DPO on pairs of the policy's own answers, which the reward model scores: anew at every step, or in
# rounds of so many steps. Made where `stages` names it.
# [online_dpo]
# samples = {online_dpo.samples}
# round_steps = {online_dpo.round_steps}

# Direct alignment from the same comparisons, without a reward model.
# `loss` and a few more settings make others of it: hinge, exo, nca, bco, sppo, apo_zero, apo_down.
# [dpo]
# beta = {dpo.beta}
# loss = {dpo.loss}

# Others of its kind, made where `stages` names them or by `accord ipo`, `accord kto` ...: a bounded
# lead; good and bad answers one by one (comparisons and imported thumbs); no reference, twice; and
# the reward model's own leads.
# [ipo]
# beta = {ipo.beta}
# [kto]
# beta = {kto.beta}
# [orpo]
# lam = {orpo.lam}
# [simpo]
# gamma = {simpo.gamma}
# [distilled]
# beta = {distilled.beta}

# Held-out evaluation of every policy on the same prompts.
# [eval]
# prompts = {eval.prompts}
# samples = {eval.samples}
"""

_GUIDELINES = """\
# What a good answer is

1. It does what was asked, completely, and nothing that was not asked.
2. It is true; where it cannot know, it says so.
3. It is as short as it can be without losing either.

Between two answers, prefer the one you would rather have received. Call them equal where you
would toss a coin.

<!-- For whoever leads; raters do not see this. Every judgement refers to a version of this text:
change it as you learn, in small steps, and publish each as a version of its own. Beside the order
raters may rate helpfulness, accuracy, safety and coherence; say here what you mean by them, or name
others: accord campaign guidelines guidelines.md --version v1 --criteria clarity tone -->
"""


def settings(recipe: str, config: PipelineConfig | None = None) -> str:
    """The text of `accord.toml` for a recipe's name, with values of `config` shown as comments."""
    head = _HEAD.replace("{recipe}", recipe)
    if config is None:
        return head
    return head + re.sub(r"\{([\w.]+)\}", lambda m: _toml(attrgetter(m[1])(config)), _SETTINGS)


def _toml(value: object) -> str:
    """A number, text or list as TOML writes it, which is as JSON does; no value as "none"."""
    return json.dumps("none" if value is None else plain(value))


def guidelines() -> str:
    """The text of `guidelines.md`."""
    return _GUIDELINES
