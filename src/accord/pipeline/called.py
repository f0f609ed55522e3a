"""What other libraries call a setting or a method, for whoever types it here. Loads no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "beta": ("kl.coefficient", "lam"),
    "cliprange": ("clip",),
    "cliprange_value": ("critic.clip",),
    "delta": ("dual_clip",),
    "desirable_weight": ("desirable",),
    "epsilon": ("clip",),
    "epsilon_high": ("clip_high",),
    "importance_sampling_level": ("ratio",),
    "kl_coef": ("kl.coefficient",),
    "label_smoothing": ("smoothing",),
    "learning_rate": ("optimizer.learning_rate",),
    "lora_alpha": ("adapter.alpha",),
    "lora_r": ("adapter.rank",),
    "loss_type": ("loss",),
    "max_completion_length": ("max_tokens",),
    "max_length": ("max_tokens",),
    "max_new_tokens": ("max_tokens",),
    "max_steps": ("steps",),
    "missing_eos_penalty": ("missing_stop_score",),
    "num_generations": ("samples",),
    "num_iterations": ("epochs",),
    "num_ppo_epochs": ("epochs",),
    "num_train_epochs": ("epochs",),
    "per_device_train_batch_size": ("batch_prompts", "batch_size"),
    "rpo_alpha": ("nll",),
    "scale_rewards": ("normalise",),
    "simpo_gamma": ("gamma",),
    "undesirable_weight": ("undesirable",),
    "vf_coef": ("critic.coefficient",),
}
"""Names that TRL has, and the settings that are meant, the first that a stage has."""
METHODS: Mapping[str, tuple[str, str]] = {
    "apo": ("dpo --loss apo_zero", "apo"),
    "bco": ("dpo --loss bco", "bco"),
    "cdpo": ("dpo --smoothing 0.1", "dpo"),
    "cispo": ("grpo --ratio detached --denominator token", "cispo"),
    "cpo": ("dpo --reference-free --nll 1", "cpo"),
    "dapo": ("grpo --denominator token --clip-high 0.28 --resample 2", "dapo"),
    "dpop": ("dpo --dpop 50", "dpop"),
    "dr_grpo": ("grpo --no-normalise --denominator constant", "grpo"),
    "exo": ("dpo --loss exo --smoothing 0.001", "exo"),
    "gspo": ("grpo --ratio sequence --clip 3e-4 --clip-high 4e-4", "gspo"),
    "hinge": ("dpo --loss hinge", "slic"),
    "iterative_dpo": ("online_dpo --round-steps 50", "online-dpo"),
    "nca": ("dpo --loss nca", "nca"),
    "rdpo": ("dpo --smoothing 0.1 --robust", "dpo"),
    "reinforcepp": ("reinforce", "reinforce"),
    "rpo": ("dpo --nll 1", "dpo"),
    "slic": ("dpo --loss hinge --reference-free --nll 1", "slic"),
    "sppo": ("dpo --loss sppo", "sppo"),
}
"""Methods that are settings of a stage: the command, and its page in `docs/algorithms`."""


def setting(name: str, known: Collection[str]) -> str | None:
    """The one of the settings `known`, as `kl.coefficient`, that others call `name`."""
    return next((one for one in SETTINGS.get(name, ()) if one in known), None)


def method(name: str) -> str | None:
    """What to type for a method that has no stage of its own."""
    found = METHODS.get(name.lower().replace("-", "_").replace("+", "p"))
    if found is None:
        return None
    command, page = found
    return f"it is `accord {command}`: docs/algorithms/{page}.md"
