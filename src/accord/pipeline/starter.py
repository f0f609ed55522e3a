"""What `accord init` writes: settings and guidelines that explain themselves."""

from __future__ import annotations

_SETTINGS = """\
# Settings of this workspace. Everything left out keeps the value of the recipe;
# `accord ppo --help` (and sft, reward, dpo ...) lists every setting with its meaning.

# Where the defaults come from.
recipe = "{recipe}"

# The base model: tiny, smollm2, a folder in transformers' format, or a hub id.
# model = "smollm2"

# What `accord run` makes, in this order. Stages that nothing changed are skipped.
# stages = ["sft", "reward", "ppo", "dpo", "eval"]

# Seed of the whole run. On a CPU the same seed gives the same weights, to the bit.
# seed = 0

# auto, float32 or bfloat16; and auto, cpu or cuda.
# precision = "auto"
# device = "auto"

# Which imported sets are used (`accord import FILE --name NAME`); empty means all.
# [data]
# demonstrations = []
# preferences = []
# prompts = []

# Supervised fine-tuning on demonstrations.
# [sft]
# epochs = 2.0
# batch_size = 16
# max_tokens = 1024
# optimizer = {{ learning_rate = 2e-4 }}

# The reward model, trained on comparisons.
# [reward]
# epochs = 1.0

# Reinforcement learning against the reward model. A lower price of KL lets the policy go
# further from the SFT model; the budget, in nats an answer, ends the run before it goes too far.
# [ppo]
# steps = 100
# kl = {{ coefficient = 0.05, budget = 20.0 }}

# Direct alignment from the same comparisons, without a reward model.
# [dpo]
# beta = 0.1

# Held-out evaluation of every policy on the same prompts.
# [eval]
# prompts = 128
# samples = 4
"""

_GUIDELINES = """\
# What a good answer is

Raters follow this text, and every judgement refers to it: change it as you learn, in small steps.

1. It does what was asked, completely, and nothing that was not asked.
2. It is true; where it cannot know, it says so.
3. It is as short as it can be without losing either.

Between two answers, prefer the one you would rather have received. Call them equal where you
would toss a coin.
"""


def settings(recipe: str) -> str:
    """The text of `accord.toml` for a recipe's name."""
    return _SETTINGS.format(recipe=recipe)


def guidelines() -> str:
    """The text of `guidelines.md`."""
    return _GUIDELINES
