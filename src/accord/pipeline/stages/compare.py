"""Comparisons of the SFT policy's own answers by simulated raters, where a truth is known."""

from __future__ import annotations

from collections.abc import Iterator

from accord.collect.synthetic import SyntheticRater
from accord.core.errors import ConfigError
from accord.core.protocols import Row
from accord.core.types import Comparison, SamplingSettings
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.roles import Roles
from accord.pipeline.stages.watching import watched
from accord.store.datasets import write_dataset

CHUNK = 64
"""Prompts a row of progress."""


def body(context: StageContext) -> Iterator[Row]:
    """Sample K answers a prompt, let a rater rank them, and leave a preference set."""
    config = context.config.own
    roles = Roles(context)
    truth = watched(context, roles)
    if truth is None:
        raise ConfigError("simulated raters need a known truth", do='set gold = "grammar"')
    sampler = roles.sampler(roles.start())
    asked = data.drawn(
        data.prompts(context, held_out=False), config.prompts, seed=context.seed + config.seed
    )
    settings = SamplingSettings(temperature=config.temperature, max_tokens=config.max_tokens)
    rater = SyntheticRater(
        temperature=config.rater_temperature, lapse=config.lapse, seed=context.seed + config.seed
    )
    made: list[Comparison] = []
    bayes: list[float] = []
    empty = tokens = 0
    context.total(-(-len(asked) // CHUNK))
    for start in range(0, len(asked), CHUNK):
        chunk = asked[start : start + CHUNK]
        ids = [roles.template.prompt_ids(prompt.conversation) for prompt in chunk]
        seed = context.seed + config.seed + start
        said = sampler.sample(ids, n=config.samples, settings=settings, seed=seed)
        for prompt, group in zip(chunk, said, strict=True):
            tokens += sum(len(answer.tokens) for answer in group)
            answers = [roles.template.answer_text(answer.tokens) for answer in group]
            answers = list(dict.fromkeys(text for text in answers if text.strip()))
            if len(answers) < 2:
                empty += 1
                continue
            gold = truth([prompt.conversation] * len(answers), answers)
            comparison = rater.judge(prompt.conversation, answers, gold)
            made.append(comparison)
            bayes += [
                max(p := rater.probability(gold[pair.first], gold[pair.second]), 1 - p)
                for pair in comparison.pairs()
                if pair.label != 0.5
            ]
        yield {"progress": min(1.0, (start + CHUNK) / len(asked))}
    manifest = write_dataset(
        context.output / "preferences", made, kind="preferences", source=rater.source, dev=0.15
    )
    context.note("comparisons", manifest.rows)
    context.note("sampled_tokens", tokens)
    context.note("prompts_without_two_answers", empty)
    if bayes:  # where raters see no difference at all, there is no bound
        context.note("bayes_bound", sum(bayes) / len(bayes))
