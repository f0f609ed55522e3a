"""Raters who answer alike: every two of a campaign, against what difficulty and care explain.

A finding is a reason to look and never one for quarantine. Two honest people who share a taste that
nobody else has answer as two who agreed in secret do; only what is known beside the votes (who was
invited by whom, from where an account is used) can tell them apart.
"""

from __future__ import annotations

from accord.collect.habits import SHARED
from accord.collect.votes import Votes
from accord.stats.collusion import Alike, alike


def pairs_alike(votes: Votes) -> tuple[Alike, ...]:
    """Every two raters who share a task, the likest first; known answers count as tasks do.

    Compared is what each called best, whatever stood where on the screen.
    """
    shared = votes.of(*SHARED)
    if not any(row.best is not None for row in shared.rows):
        return ()
    return alike(shared.choices().ratings)
