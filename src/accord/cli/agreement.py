"""`accord agreement [CAMPAIGN]`: how far raters agree, with intervals and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.groups import print_by, read_told
from accord.cli.judged import (
    FEW_PROMPTS,
    chosen_campaign,
    console,
    interval_text,
    open_judgements,
    print_json,
    table,
)
from accord.collect.campaign import Campaign
from accord.collect.groups import agreement_by
from accord.collect.judged import published
from accord.collect.quality import (
    ORDER,
    Agreement,
    Counts,
    Group,
    agreement,
    between_raters,
    review_agreement,
)
from accord.collect.trust import believed
from accord.collect.votes import Votes, load
from accord.core.errors import ConfigError, ConflictError


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Flags of `accord agreement`."""

    campaign: Annotated[str | None, tyro.conf.Positional] = None
    """Its name; may be left out where there is one alone."""
    imported: str | None = None
    """Instead of a campaign, published votes that `accord import --judgements` kept under this
    name: the same figures, and Cohen's kappa of every two raters."""
    by: str | None = None
    """A question that raters answered about themselves: agreement inside its groups and between
    them, none of them smaller than the k of the questions."""
    questions: Path | None = None
    """File of the questions; by default profiles.toml of the workspace."""
    level: float = 0.95
    """Share of intervals that hold the truth."""
    resamples: int = 2000
    """Of each interval, at least 1000."""
    seed: int = 0
    """Of the resamples."""
    json: bool = False
    """Print everything as JSON."""


def main(words: Sequence[str], options: Options) -> int:
    """Print counts, figures of every group, and the ceiling of a reward model."""
    about = "How far raters agree, with intervals over prompts, and what that allows a model."
    asked = parse(Asked, words, command="agreement", about=about)
    if asked.imported is not None:
        return _imported(asked, asked.imported, options)
    with open_judgements(options) as database, database.read() as connection:
        campaign = chosen_campaign(connection, asked.campaign)
        if campaign.settings.asks_texts:
            return _reviews(asked, campaign, load(connection, campaign))
        votes = load(connection, campaign, lengths=True)
        told = None if asked.by is None else read_told(connection, options, asked.questions)
    if asked.by is not None and told is not None:
        by = agreement_by(
            votes,
            told.profiles,
            told.questions,
            asked.by,
            level=asked.level,
            resamples=asked.resamples,
            seed=asked.seed,
        )
        print_by(campaign.settings.name, by, told, json=asked.json)
        return 0
    found = agreement(
        believed(votes), level=asked.level, resamples=asked.resamples, seed=asked.seed
    )
    if asked.json:
        print_json({"campaign": campaign.settings.name, "agreement": found})
        return 0
    out = console()
    _counts(out, campaign.settings.name, found)
    counts = found.counts
    out.print(
        f"figures are of the {counts.used} on work tasks: known answers, repeats, calibration"
        f" and adjudications are left out, and {counts.quarantined} of raters in quarantine",
        markup=False,
    )
    _few(out, counts)
    for group in found.groups:
        _group(
            out, group, "drawn at random" if group.tasks == "random" else "picked by a selection"
        )
    out.print(
        "\nalpha, AC1 and AC2 are 1 for perfect agreement and 0 for what chance gives; tau is 1"
        " for the same order and -1 for the reverse. Intervals draw prompts.",
        markup=False,
    )
    return 0


def _reviews(asked: Asked, campaign: Campaign, votes: Votes) -> int:
    """Figures of what several reviewers say of one text."""
    name, reviews = campaign.settings.name, campaign.settings.reviews
    if asked.by is not None:
        raise ConfigError(
            "groups are told apart in campaigns that ask for comparisons", got=f"--by for {name}"
        )
    if reviews < 2:
        raise ConflictError(
            "nobody reviews what another did, so that there is nothing to agree on",
            got=f"{name} asks for {reviews} reviews of a text",
            do="open a campaign with --reviews 2 or more",
        )
    found = review_agreement(votes, level=asked.level, resamples=asked.resamples, seed=asked.seed)
    if asked.json:
        print_json({"campaign": name, "reviews": found})
        return 0
    out = console()
    out.print(f"{name}: do reviewers accept the same texts?", markup=False)
    rows = table("figure", "value", "reviews", "texts", "prompts", "reviewers")
    for one in found:
        counts = (one.judgements, one.items, one.prompts, one.raters)
        value = interval_text(one.interval, missing=one.why)
        rows.add_row(one.coefficient, value, *(str(count) for count in counts))
    out.print(rows)
    if found[0].prompts < FEW_PROMPTS:
        out.print(
            f"fewer than {FEW_PROMPTS} prompts: intervals may be too narrow, and hold no decision",
            style="yellow",
        )
    return 0


def _imported(asked: Asked, name: str, options: Options) -> int:
    """Figures of published votes, whatever the rules of `accord raters` would say of them."""
    if asked.campaign is not None or asked.by is not None:
        raise ConfigError(
            "imported votes belong to no campaign, and nobody told who cast them",
            got=f"--imported with {'--by' if asked.campaign is None else asked.campaign}",
            do="leave one of them out",
        )
    with open_judgements(options) as database, database.read() as connection:
        there = published(connection, name)
    level, resamples, seed = asked.level, asked.resamples, asked.seed
    found = agreement(there.votes, level=level, resamples=resamples, seed=seed)
    raters = there.annotators
    pairs = between_raters(there.votes, raters, level=level, resamples=resamples, seed=seed)
    if asked.json:
        print_json({"imported": name, "raters": raters, "agreement": found, "pairs": pairs})
        return 0
    out = console()
    _counts(out, name, found)
    out.print(
        f"figures are of all votes but {found.counts.quarantined} of raters whom a lead put into"
        " quarantine; the rules of `accord raters` are not asked, for nobody kept when and in which"
        " order responses were shown",
        markup=False,
    )
    _few(out, found.counts)
    for group in found.groups:
        _group(out, group, "as they were published")
    rows = table("two raters", "figure", "value", "items", "prompts")
    for pair in pairs:
        both = f"{raters[pair.one]} and {raters[pair.other]}"
        for one in pair.figures:
            value = interval_text(one.interval, missing=one.why)
            rows.add_row(both, one.coefficient, value, str(one.items), str(one.prompts))
    out.print("")
    out.print(rows)
    out.print(
        "\nalpha, AC1 and Cohen's kappa are 1 for perfect agreement and 0 for what chance gives."
        " Intervals draw prompts.",
        markup=False,
    )
    return 0


def _few(out: Console, counts: Counts) -> None:
    if counts.prompts < FEW_PROMPTS:
        out.print(
            f"fewer than {FEW_PROMPTS} prompts: intervals may be too narrow, and hold no decision",
            style="yellow",
        )


def _counts(out: Console, name: str, found: Agreement) -> None:
    counts = found.counts
    out.print(
        f"{name}: {counts.judgements} judgements of {counts.prompts} prompts by {counts.raters}"
        f" raters; {counts.ordered} orders ({counts.ties} of them ties), {counts.all_bad} all bad,"
        f" {counts.skips} skipped, {counts.late} late",
        markup=False,
    )


def _group(out: Console, group: Group, drawn: str) -> None:
    out.print(f"\nraters: {group.raters}   tasks: {drawn}", style="bold", markup=False)
    rows = table("about", "figure", "value", "judgements", "items", "prompts", "raters")
    unrated = []
    for one in group.figures:
        if one.about != ORDER and not one.items:
            unrated += [one.about] if one.about not in unrated else []
            continue
        value = interval_text(one.interval, missing=one.why)
        counts = (one.judgements, one.items, one.prompts, one.raters)
        rows.add_row(one.about, one.coefficient, value, *(str(count) for count in counts))
    out.print(rows)
    if unrated:
        out.print(f"no two raters rated the same response for {', '.join(unrated)}")
    ceiling = group.ceiling
    if ceiling is None:
        out.print("a model's ceiling: needs two prompts on which two raters gave an order")
        return
    out.print(
        f"a model's ceiling: two raters agree on {interval_text(ceiling.agreement)} of"
        f" {ceiling.pairs} pairs without ties ({ceiling.prompts} prompts), so no reward model can"
        f" be right about one rater's word on more than {ceiling.least:.2f} to {ceiling.most:.2f}"
        f" (at most {ceiling.highest:.2f}) of such pairs",
        markup=False,
    )
