"""Votes of a published file as judgements: each person's vote is kept, under a pseudonym.

Unlike comparisons, which say what the votes come to, judgements keep who said what, so that
agreement can be measured and a rater left out. Nobody knows in which order the answers were shown:
no order is stored. Places count in the order of the file, which is the same for all its raters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.formats.votes import ANNOTATORS, Voted, voted
from accord.collect.importing import MOST_LISTED, checked_name
from accord.collect.people import QUARANTINED, in_quarantine
from accord.collect.reading import raw_rows
from accord.collect.records import Record, Rejected, Unusable
from accord.collect.sheet import RaterKind
from accord.collect.tasks import Purpose
from accord.collect.votes import Vote, Votes
from accord.core.errors import ConflictError, DataError
from accord.core.types import Prompt, Response, StopReason
from accord.stats.ratings import Ratings
from accord.store.database import Database
from accord.store.judgements import COUNTS, Judgement, Verdict, submit
from accord.store.registry import add_prompt, add_response, register_rater
from accord.store.tables import events, judgements, responses
from accord.store.tables import raters as people
from accord.store.tables.columns import moment

BATCH_ROWS = 100
"""Rows of one transaction: others wait for their turn to write no longer than that."""
MOST_REJECTED = 10_000
"""A file with more unusable rows is refused: all are listed."""
LONGEST_SOURCE = 200
_KEPT = "judged"
"""What the keys of all that is imported begin with: KEPT/NAME/ROW or KEPT/NAME/ANNOTATOR."""
_MEANS = {
    0: (Verdict.TIE, (0, 0)),
    1: (Verdict.RANKING, (0, 1)),
    2: (Verdict.RANKING, (1, 0)),
}
"""Verdict and tiers of a vote in the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What became of a file's rows: `rows` = `used` + the length of `rejected`."""

    file: Path
    name: str
    rows: int
    used: int
    rejected: tuple[Rejected, ...]
    """Every row that was left out, and why."""
    new: int
    """Judgements that were not there before; a row in use has one of each rater."""
    raters: tuple[str, ...]
    """Pseudonyms of the file's annotators, in their order."""


def import_judgements(database: Database, path: Path, *, name: str | None = None) -> Judged:
    """Keep the votes of a PandaLM file as judgements of three human raters.

    Every row adds its prompt, where that is new, two responses, which may be empty as some models'
    were, and a judgement of each annotator. What the votes are kept under is made of `name` (by
    default the file's name without its endings) and the row's number, so importing a file twice,
    or one that was stopped, changes nothing that is there. The file is read to its end before the
    first row is written; then some rows at a time, each in whole.
    Raises DataError where the file is unusable, has no usable row or too many others, ConflictError
    where another file was imported under this name, StoreError where the database refuses.
    """
    name = checked_name(path, name)
    rows, rejected = _read_through(path, name)
    used = new = 0
    raters: tuple[str, ...] = ()
    found = _rows(path, name)
    usable = (item for item in found if not isinstance(item, Rejected))
    while batch := list(islice(usable, BATCH_ROWS)):
        with database.write() as connection:
            try:
                raters = _raters(connection, name)
                new += sum(_keep(connection, row, name, raters) for row in batch)
            except ConflictError as error:
                raise ConflictError(
                    "other votes were imported under this name",
                    got=error.got,
                    where=path,
                    do="give this file a name of its own",
                ) from None
        used += len(batch)
    return Judged(
        file=path, name=name, rows=rows, used=used, rejected=rejected, new=new, raters=raters
    )


def pair_ratings(connection: Connection, raters: Sequence[str]) -> Ratings:
    """What `raters` said of pairs, as the statistics of agreement take it.

    An item is a pair of responses in canonical order; 1: the first is better, -1: the second, 0: a
    tie. Judgements that are superseded, withdrawn or erased do not count, and neither do skips.
    Raises DataError where one of them judged a pair twice.
    """
    chosen = sa.select(judgements).where(
        judgements.c.rater.in_(raters),
        judgements.c.superseded_by.is_(None),
        judgements.c.verdict.in_((Verdict.RANKING.value, Verdict.TIE.value)),
    )
    triples = [
        ((row.responses[0], row.responses[1]), row.rater, _sign(row.tiers[1] - row.tiers[0]))
        for row in connection.execute(chosen.order_by(judgements.c.seq))
        if len(row.tiers) == 2
    ]
    return Ratings.of_rows(triples, scale=(-1, 0, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What the raters of an imported file said."""

    name: str
    votes: Votes
    """As work that was drawn at random: how its tasks were picked, and in which order responses
    were shown, is not known. The times are those of the import."""
    annotators: Mapping[str, str]
    """Pseudonym of each rater to the column of the file, in the order of the columns."""


def published(connection: Connection, name: str) -> Published:
    """The votes that `import_judgements` kept under `name`, those that count, oldest first.

    Raises DataError, listing the others, where there are none.
    """
    keys = {_rater_key(name, annotator): annotator for annotator in ANNOTATORS}
    registered = sa.select(events.c.key, events.c.subject).where(events.c.key.in_(keys))
    registered = registered.order_by(events.c.seq)  # as the file has them
    annotators = {row.subject: keys[row.key] for row in connection.execute(registered)}
    if not annotators:
        known = ", ".join(published_names(connection))
        raise DataError(
            "no votes were imported under this name",
            got=name,
            do=f"there are: {known}" if known else "`accord import FILE --judgements` keeps some",
        )
    kept = events.c.key.startswith(f"{_KEPT}/{name}/", autoescape=True)
    asked = sa.select(responses.c.id, responses.c.prompt).join(
        events, events.c.seq == responses.c.seq
    )
    prompts = {row.id: row.prompt for row in connection.execute(asked.where(kept))}
    chosen = (
        sa.select(judgements, people.c.state)
        .join(people, people.c.id == judgements.c.rater)
        .where(judgements.c.rater.in_(annotators), judgements.c.task.is_(None), *COUNTS)
        .order_by(judgements.c.seq)
    )
    rows, held = connection.execute(chosen).all(), in_quarantine(connection)
    return Published(
        name=name,
        votes=Votes(
            rows=tuple(_vote(row, prompts) for row in rows),
            states={row.rater: QUARANTINED if row.rater in held else row.state for row in rows},
        ),
        annotators=annotators,
    )


def published_names(connection: Connection) -> list[str]:
    """Names under which votes were imported, the oldest first."""
    first = _rater_key("%", ANNOTATORS[0])
    found = sa.select(events.c.key).join(people, people.c.seq == events.c.seq)
    found = found.where(events.c.key.like(first)).order_by(events.c.seq)
    return [key.split("/")[1] for key in connection.execute(found).scalars()]


def _vote(row: sa.Row[Any], prompts: Mapping[str, str]) -> Vote:
    return Vote(
        seq=row.seq,
        task="/".join(row.responses),
        prompt=prompts[row.responses[0]],
        rater=row.rater,
        kind=RaterKind.HUMAN,
        purpose=Purpose.WORK,
        verdict=Verdict(row.verdict),
        tiers=None if row.tiers is None else tuple(row.tiers),
        responses=tuple(row.responses),
        shown=(),
        time=moment(row.time),
    )


def _rater_key(name: str, annotator: str) -> str:
    return f"{_KEPT}/{name}/{annotator}"


def _sign(lead: int) -> int:
    return (lead > 0) - (lead < 0)


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    source: str
    said: Voted


def _read_through(path: Path, name: str) -> tuple[int, tuple[Rejected, ...]]:
    rows, rejected = 0, []
    for item in _rows(path, name):
        rows += 1
        if isinstance(item, Rejected):
            rejected.append(item)
        if len(rejected) > MOST_REJECTED:
            break
    if len(rejected) in (rows, MOST_REJECTED + 1):
        shown = "\n         ".join(str(item) for item in rejected[:MOST_LISTED])
        raise DataError(
            f"{len(rejected)} of the first {rows} rows cannot be used",
            got=shown,
            where=path,
            do="mend the rows; votes are read in PandaLM's format",
        )
    return rows, tuple(rejected)


def _rows(path: Path, name: str) -> Iterator[_Row | Rejected]:
    for raw in raw_rows(path):
        if isinstance(raw, Rejected):
            yield raw
            continue
        record = Record(raw[0], raw[1], name)
        try:
            yield _Row(record.row, _source(record), voted(record))
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column)


def _source(record: Record) -> str:
    source = record.origin()
    if len(source) > LONGEST_SOURCE or not source.isprintable():
        raise Unusable(f"must be at most {LONGEST_SOURCE} printable characters", "source")
    return source


def _raters(connection: Connection, name: str) -> tuple[str, ...]:
    return tuple(
        register_rater(
            connection,
            kind="human",
            identity={"name": annotator, "source": name},
            key=_rater_key(name, annotator),
        )
        for annotator in ANNOTATORS
    )


def _keep(connection: Connection, row: _Row, name: str, raters: Sequence[str]) -> int:
    """Put one row in; how many of its judgements are new."""
    key = f"{_KEPT}/{name}/{row.number}"
    prompt = Prompt(conversation=row.said.prompt, source=row.source)
    asked = add_prompt(connection, prompt)
    shown = tuple(
        add_response(
            connection,
            asked,
            Response(prompt_id=prompt.id, text=text, stop=StopReason.STOP),
            key=f"{key}/response{place}",
        )
        for place, text in enumerate(row.said.responses, start=1)
    )
    new = 0
    for annotator, rater, vote in zip(ANNOTATORS, raters, row.said.votes, strict=True):
        verdict, tiers = _MEANS[vote]
        said = Judgement(rater=rater, responses=shown, verdict=verdict, tiers=tiers)
        new += submit(connection, said, key=f"{key}/{annotator}").new
    return new
