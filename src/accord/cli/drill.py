"""What `accord raters --drill WORD` does: false labels in copies of a campaign, and a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from rich.console import Console

from accord.cli.judged import table
from accord.collect.drill import Drilled, Spread, drill, hold_out, targets
from accord.collect.votes import Votes
from accord.stats.intervals import mean

SHARES = (0.005, 0.01, 0.03, 0.05)
"""Of the labels: half a percent is said to reach a reward model (arXiv 2311.14455)."""
HELD_OUT = 0.3
"""Share of prompts that the model is asked about."""
WHO = {Spread.FEW: "few raters", Spread.MANY: "everybody a little"}


def drills(votes: Votes, texts: Mapping[str, str], word: str, seeds: int) -> Iterator[Drilled]:
    """Every spread and share, each with this many seeds: other raters and other held-out prompts.

    Raises ConfigError and DataError as `accord.collect.drill` does.
    """
    places = targets(votes, texts, word)
    for spread in Spread:
        for share in SHARES:
            for seed in range(seeds):
                rest, held_out = hold_out(votes, texts, places, share=HELD_OUT, seed=seed)
                yield drill(rest, texts, word, held_out, share=share, spread=spread, seed=seed)


def show_drills(out: Console, name: str, word: str, found: Sequence[Drilled]) -> None:
    """One row for each spread and share: means over seeds, with intervals where it matters."""
    pairs = round(mean([one.held_out_with_word for one in found]).estimate)
    out.print(
        f"{name}: whichever response has {word!r} wins, in copies that are gone by now\n"
        f"{pairs} held-out pairs have the word in one response alone",
        markup=False,
        highlight=False,
    )
    rows = table(
        "turned by", "labels", "raters", "caught", "seen", "weight left", "accuracy", "word wins"
    )
    for (spread, asked), some in groupby(found, key=lambda one: (one.spread, one.asked)):
        same = list(some)
        bad = sum(one.poisoners for one in same)
        rows.add_row(
            WHO[spread],
            _percent([one.share for one in same]) + _missed(asked, same),
            f"{bad / len(same):.0f}",
            f"{sum(one.quarantined for one in same) / max(bad, 1):.0%}",
            f"{sum(one.looked_at for one in same) / max(bad, 1):.0%}",
            f"{_percent([one.before for one in same])} > {_percent([one.after for one in same])}",
            _change([one.defended.clean - one.untouched.clean for one in same]),
            _change([one.defended.word_wins - one.untouched.word_wins for one in same]),
        )
    out.print(rows)
    out.print(
        "caught: of those who turned labels, in quarantine; seen: caught, or something stands out\n"
        "weight left: share of the false labels before and after rules and cap\n"
        "accuracy: change of a model of words, by rules and cap, on held-out pairs that the word"
        " does not tell apart\n"
        "word wins: change of how often its response does, where it tells two apart",
        markup=False,
        highlight=False,
    )


def _missed(asked: float, same: Sequence[Drilled]) -> str:
    """A mark where the word stands too seldom for what was asked."""
    return f" (of {asked:.1%})" if mean([one.share for one in same]).estimate < asked * 0.9 else ""


def _percent(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.1%}"


def _change(values: Sequence[float]) -> str:
    found = mean(values)
    return f"{found.estimate:+.1%} [{found.low:+.1%}, {found.high:+.1%}]"
