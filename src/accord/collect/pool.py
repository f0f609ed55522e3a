"""Prompt pools: prompts on their way into the database, and what a pool holds.

A prompt has a source (where it came from) and a stratum (the group that coverage is counted by);
near-duplicates share a cluster, which is named after its first prompt.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign
from accord.collect.formats import Explained, Unjudged
from accord.collect.likeness import Leaders, rarity_of, shingles, words
from accord.collect.personal import PersonalScan
from accord.collect.records import Rejected
from accord.collect.tasks import TaskState
from accord.core.errors import DataError
from accord.core.types import Comparison, Prompt, Speaker
from accord.store.database import Database
from accord.store.log import size
from accord.store.registry import TEXT, add_prompt
from accord.store.tables import payloads, prompts, tasks
from accord.store.tables.columns import check_fits, width

_T = TypeVar("_T")
BATCH = 500
"""Prompts in one writing transaction: raters wait for no more than that."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
NO_STRATUM = "(none)"
"""What a report calls the stratum of prompts that have none."""
NOT_MEASURED = ("language", "topic", "difficulty")
"""What a report says nothing about."""


@dataclass(slots=True)
class Added:
    """What became of prompts that came in: `rows` = `new` + `known` + `rejected`."""

    rows: int = 0
    new: int = 0
    known: int = 0
    """Rows whose conversation was in the pool already, or came twice."""
    rejected: list[Rejected] = field(default_factory=list)
    """Rows that hold no prompt, with the reason."""
    ids: list[str] = field(default_factory=list)
    """Ids of all prompts of the rows, new or known, each once, in order."""
    personal: PersonalScan = field(default_factory=PersonalScan)
    """Personal data found in the rows; they are added all the same."""


def add_prompts(
    database: Database,
    rows: Iterable[object],
    *,
    source: str | None = None,
    stratum: str | None = None,
    by_source: bool = False,
) -> Added:
    """Put prompts into the pool, some hundred in a writing transaction; again changes nothing.

    `rows` are Prompts, as `importing.read_rows` or a data set gives them; anything else is listed
    as rejected, and so is one with a source of more than 200 characters. `source` replaces the
    rows' own; `stratum` names their group, and with `by_source` the first 64 characters of each
    row's source do. A prompt that is known keeps its source and stratum. Raises DataError, before
    anything is kept, for a `source` of more than 200 or a `stratum` of more than 64 characters.
    """
    check_fits(prompts.c.source, source, "a prompt's source")
    check_fits(prompts.c.stratum, stratum, "a stratum")
    added = Added()
    seen: set[str] = set()
    for batch in _batches(_usable(rows, added, source), BATCH):
        with database.write() as connection:
            for row, prompt in batch:
                own = prompt.source[: width(prompts.c.stratum)] if by_source else ""
                group = own or stratum
                before = size(connection)
                name = add_prompt(connection, prompt, stratum=group)
                is_new = size(connection) > before
                added.new += is_new
                added.known += not is_new
                said = "\n".join(m.content for m in prompt.conversation.messages)
                added.personal.add(row, said)
                if name not in seen:
                    seen.add(name)
                    added.ids.append(name)
    return added


def mark_near_duplicates(database: Database) -> int:
    """Give every prompt that has none its cluster; how many joined one that was there.

    Prompts are compared by what their users say (`likeness`): a system message that all share makes
    nothing alike. Clusters never change, so that prompts may come in any number of times. Holds the
    shingles of the pool in memory: about 1 GB for 100,000 prompts of 45 words.
    """
    with database.read() as connection:
        said = [(name, cluster, shingles(text)) for name, cluster, text in _texts(connection)]
    leaders = Leaders(rarity_of(one for _, _, one in said))
    for name, cluster, one in said:
        if cluster == name:
            leaders.add(name, one)
    joined = 0
    found: list[dict[str, str]] = []
    for name, cluster, one in said:
        if cluster is not None:
            continue
        leader = leaders.find(one)
        if leader is None:
            leaders.add(name, one)
        joined += leader is not None
        found.append({"name": name, "leader": leader or name})
    change = sa.update(prompts).where(prompts.c.id == sa.bindparam("name"))
    change = change.where(prompts.c.cluster.is_(None)).values(cluster=sa.bindparam("leader"))
    for batch in _batches(found, 10 * BATCH):
        with database.write() as connection:
            connection.execute(change, batch)
    return joined


@dataclass(frozen=True, kw_only=True, slots=True)
class StratumCount:
    """One group of a pool."""

    stratum: str
    prompts: int
    asked: int
    share: float
    """Of the pool."""
    target: float | None
    """Share that somebody wants; None where nothing was said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolReport:
    """What a pool holds."""

    prompts: int
    erased: int
    """Prompts whose words were erased; they count nowhere else."""
    by_source: Mapping[str, int]
    strata: tuple[StratumCount, ...]
    """The largest first, then strata that are wanted and empty."""
    same_words: int
    """Prompts with the very words of an earlier one, case and marks aside."""
    near_duplicates: int
    """Prompts in the cluster of an earlier one, those with the same words included."""
    not_compared: int
    """Prompts that `mark_near_duplicates` has not seen."""
    lengths: Mapping[float, int]
    """Quantile to words that the users of a prompt say; empty for an empty pool."""
    asked: int
    """Prompts with a task that was not withdrawn."""
    not_asked: int
    not_measured: tuple[str, ...] = NOT_MEASURED


def pool_report(
    connection: Connection,
    *,
    campaign: Campaign | None = None,
    targets: Mapping[str, float] | None = None,
) -> PoolReport:
    """Count the prompts of the pool; "asked" means in `campaign`, or in any where it is None.

    `targets` says which share of the pool each stratum should have. Raises DataError where they
    are negative or sum to more than 1.
    """
    targets = targets or {}
    if any(share < 0 for share in targets.values()) or sum(targets.values()) > 1 + 1e-9:
        raise DataError("target shares are at least 0 and sum to at most 1", got=dict(targets))
    lengths: list[int] = []
    distinct: set[tuple[str, ...]] = set()
    for _, _, text in _texts(connection):
        said = words(text)
        lengths.append(len(said))
        distinct.add(tuple(said))
    table = connection.execute(
        sa.select(prompts.c.id, prompts.c.source, prompts.c.stratum, prompts.c.cluster).where(
            prompts.c.digest.is_not(None)
        )
    ).all()
    total = connection.execute(sa.select(sa.func.count()).select_from(prompts)).scalar_one()
    busy = sa.select(tasks.c.prompt).where(tasks.c.state != TaskState.WITHDRAWN)
    if campaign is not None:
        busy = busy.where(tasks.c.campaign == campaign.id)
    asked = set(connection.execute(busy).scalars())
    asked_here = sum(row.id in asked for row in table)
    return PoolReport(
        prompts=len(table),
        erased=total - len(table),
        by_source=dict(Counter(row.source for row in table).most_common()),
        strata=_strata([(row.stratum or NO_STRATUM, row.id in asked) for row in table], targets),
        same_words=len(lengths) - len(distinct),
        near_duplicates=sum(row.cluster not in (None, row.id) for row in table),
        not_compared=sum(row.cluster is None for row in table),
        lengths={
            q: int(np.quantile(lengths, q, method="inverted_cdf")) for q in QUANTILES if lengths
        },
        asked=asked_here,
        not_asked=len(table) - asked_here,
    )


def _texts(connection: Connection) -> Iterator[tuple[str, str | None, str]]:
    """Id, cluster and what the users say of every prompt that has words, the oldest first."""
    found = (
        sa.select(prompts.c.id, prompts.c.cluster, payloads.c.body)
        .join(payloads, payloads.c.seq == prompts.c.seq)
        .where(payloads.c.name == TEXT, payloads.c.body.is_not(None))
        .order_by(prompts.c.seq)
    )
    for row in connection.execution_options(yield_per=1000).execute(found):
        said = json.loads(row.body)
        users = [m["content"] for m in said if m["role"] in (Speaker.USER, Speaker.OPENING)]
        yield row.id, row.cluster, "\n".join(users or [m["content"] for m in said])


def _strata(
    rows: Sequence[tuple[str, bool]], targets: Mapping[str, float]
) -> tuple[StratumCount, ...]:
    count = Counter(name for name, _ in rows)
    asked = Counter(name for name, was_asked in rows if was_asked)
    names = [name for name, _ in count.most_common()]
    return tuple(
        StratumCount(
            stratum=name,
            prompts=count[name],
            asked=asked[name],
            share=count[name] / max(1, len(rows)),
            target=targets.get(name),
        )
        for name in (*names, *sorted(targets.keys() - count.keys()))
    )


def _usable(
    rows: Iterable[object], added: Added, source: str | None
) -> Iterator[tuple[int, Prompt]]:
    """Rows that can be kept, with their number and `source`, where that is given."""
    for number, row in enumerate(rows, 1):
        added.rows += 1
        if isinstance(row, Prompt):
            prompt = row if source is None else replace(row, source=source)
            try:
                check_fits(prompts.c.source, prompt.source, "it")
            except DataError as error:
                added.rejected.append(Rejected(number, error.what, "source"))
                continue
            yield number, prompt
        elif isinstance(row, Rejected):
            added.rejected.append(row)
        else:
            kind = type(row).__name__.lower()
            why = f"is a {kind} and no prompt"
            if isinstance(row, Unjudged | Explained | Comparison):
                why = "holds responses: `accord campaign tasks` makes tasks of it"
            added.rejected.append(Rejected(number, why))


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
