"""Whose word a run learnt from, how far those raters agree, and what people made of its outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import CampaignState, campaign_called
from accord.collect.labelling import DEFINITION
from accord.collect.people import names_of
from accord.collect.quality import ORDER, Agreement, agreement
from accord.collect.sheet import RaterKind
from accord.collect.trust import believed
from accord.collect.votes import Votes, load
from accord.core.errors import AccordError, DataError
from accord.evals.report.parts import Blind, Ceiling, DataSet, Estimate, Round, Simulated
from accord.evals.report.people import IMPORTED, PEOPLE
from accord.pipeline.artifact import Artifact, Manifest
from accord.pipeline.blind import TEXTS, BlindResult, blind_name, blind_result
from accord.pipeline.whereabouts import noted, open_workspace_database
from accord.pipeline.workspace import Workspace
from accord.stats.agreement import Coefficient
from accord.stats.intervals import Interval
from accord.store.log import parts_of
from accord.store.manifest import DatasetKind, DatasetManifest
from accord.store.tables import raters

HUMAN_CEILING = "human_ceiling"
"""Note of a set of comparisons that were derived from people's ratings."""
RATED = "rated"
"""Note of a set of ratings: what people were asked to rate."""
COMPARED = "preferences"
"""Folder of the stage `compare` that its comparisons are in."""
DERIVED = "derived from ratings"
_BY = {
    RaterKind.HUMAN: PEOPLE,
    RaterKind.SYNTHETIC: "by simulated raters",
    RaterKind.RULE: "by a rule",
    RaterKind.MODEL: "by a model",
}


@dataclass(frozen=True, slots=True)
class Learnt:
    """One data set that stages read, as it was then."""

    shown: DataSet
    notes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Opinions:
    """What the database of judgements tells about a run."""

    rounds: tuple[Round, ...] = ()
    blind: Blind | None = None
    invitation: str = ""
    lost: tuple[str, ...] = ()
    """What could not be told, a sentence each."""


def learnt(workspace: Workspace, made: Mapping[str, Manifest]) -> tuple[Learnt, ...]:
    """The imported and frozen sets that the stages of `made` read, in their order."""
    used: dict[tuple[str, str], list[str]] = {}
    evaluated = made["eval"].inputs if "eval" in made else {}
    asked = any(name.startswith("prompts/") for name in evaluated)
    for stage, manifest in made.items():
        for name, entry in manifest.inputs.items():
            # With prompts of its own, an evaluation reads the others to ask nothing of them.
            passed_over = stage == "eval" and not name.startswith("prompts/") and asked
            if "/" in name and not passed_over:
                used.setdefault((name, entry.digest), []).append(stage)
    found: list[Learnt] = []
    for (name, digest), stages in used.items():
        kind, _, plain = name.partition("/")
        there = _manifest(workspace, kind, plain, digest)
        if there is not None:
            found.append(_learnt(plain, kind, there, tuple(stages)))
    if "compare" in made:
        found.append(_compared(workspace, made))
    return tuple(found)


def _manifest(workspace: Workspace, kind: str, name: str, digest: str) -> DatasetManifest | None:
    """Of the set that a stage read: a name may mean another by now."""
    with suppress(AccordError):
        pointed = workspace.dataset(kind, name)
        if pointed.digest == digest:
            return DatasetManifest.load(pointed.folder)
    for folder in sorted(workspace.artifacts.glob(f"{name}-{kind}-*")):
        with suppress(AccordError):
            manifest = DatasetManifest.load(folder)
            if manifest.digest == digest:
                return manifest
    return None


def _learnt(name: str, kind: str, manifest: DatasetManifest, stages: tuple[str, ...]) -> Learnt:
    notes: Mapping[str, Any] = manifest.notes
    held_out = manifest.counts.get("dev", 0) + manifest.counts.get("test", 0)
    by: dict[str, int] = {}
    if kind == DatasetKind.PREFERENCES:
        kinds = notes.get("counts", {}).get("kinds", {}) if "campaign" in notes else {}
        by = {_BY[RaterKind(one)]: rows for one, rows in kinds.items()}
        if not by:
            by = {DERIVED if HUMAN_CEILING in notes else IMPORTED: manifest.rows}
    shown = DataSet(
        name=name,
        kind=kind,
        rows=manifest.rows,
        held_out=held_out,
        digest=manifest.digest,
        judged_by=by,
        used_by=stages,
    )
    return Learnt(shown, notes)


def _compared(workspace: Workspace, made: Mapping[str, Manifest]) -> Learnt:
    """The comparisons that a stage of the run had made by simulated raters."""
    manifest = made["compare"]
    rows, held_out = int(manifest.figures.get("comparisons", 0)), 0
    with suppress(AccordError):
        folder = workspace.artifact_folder("compare", manifest.key) / COMPARED
        held_out = DatasetManifest.load(folder).counts.get("dev", 0)
    shown = DataSet(
        name="compare",
        kind=DatasetKind.PREFERENCES,
        rows=rows,
        held_out=held_out,
        digest=manifest.digest,
        judged_by={_BY[RaterKind.SYNTHETIC]: rows} if rows else {},
        used_by=tuple(stage for stage, one in made.items() if "compare" in one.inputs),
    )
    return Learnt(shown, {})


def opinions(
    workspace: Workspace,
    sets: Sequence[Learnt],
    evaluation: Artifact | None,
    *,
    policy: str,
    versus: str,
) -> Opinions:
    """Agreement of the campaigns behind `sets`, and blind judgements of two policies.

    Nothing is made: where the workspace has no database, nobody was asked. What cannot be read is
    told in `lost`, for the rest of a report does not depend on it.
    """
    asked = [one for one in sets if isinstance(one.notes.get("campaign"), Mapping)]
    named = _campaigns(asked)
    if noted(workspace) is None:
        gone = f"How far the raters of {', '.join(named)} agree: the judgements are not here."
        return Opinions(lost=(gone,) if named else ())
    try:
        with open_workspace_database(workspace) as database, database.read() as connection:
            told = [_told(connection, name, own, names) for name, (own, names) in named.items()]
        found = tuple(one for one in told if isinstance(one, Round))
        lost = tuple(one for one in told if isinstance(one, str))
    except AccordError as error:
        return Opinions(lost=(f"What raters said: {error.what} ({error.got}).",))
    try:
        blind, invitation, uncounted = _blind(workspace, evaluation, policy, versus)
    except AccordError as error:
        gone = f"What people said of {policy} and {versus}, blind: {error.what} ({error.got})."
        return Opinions(rounds=found, lost=(*lost, gone))
    return Opinions(found, blind, invitation, (*lost, *uncounted))


def _campaigns(sets: Sequence[Learnt]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Id of each campaign by name, and the sets that were frozen from it."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for one in sets:
        campaign = one.notes["campaign"]
        name, own = str(campaign["name"]), str(campaign["id"])
        found[name] = (own, (*found.get(name, (own, ()))[1], one.shown.name))
    return found


def _told(connection: Connection, name: str, own: str, sets: tuple[str, ...]) -> Round | str:
    """One campaign, or a sentence that says why it cannot be told."""
    try:
        campaign = campaign_called(connection, name)
    except DataError:
        campaign = None
    if campaign is None or campaign.id != own:
        return f"How far the raters of {name} agree: its judgements are not in this database."
    votes = load(connection, campaign)
    return _round(name, sets, votes, agreement(believed(votes)), _simulated(connection, votes))


def _round(
    name: str,
    sets: tuple[str, ...],
    votes: Votes,
    found: Agreement,
    simulated: tuple[Simulated, ...],
) -> Round:
    group = next((one for one in found.groups if one.raters == "all"), None)
    ordered = [one for one in (group.figures if group else ()) if one.about == ORDER]
    figures = {one.coefficient: one for one in ordered}
    percent, alpha = figures.get(Coefficient.PERCENT), figures.get(Coefficient.ALPHA_NOMINAL)
    ceiling = None if group is None else group.ceiling
    return Round(
        campaign=name,
        sets=sets,
        judgements=found.counts.judgements,
        prompts=found.counts.prompts,
        raters=len(votes.raters),
        ties=found.counts.ties,
        percent=None if percent is None else _estimate(percent.interval),
        alpha=None if alpha is None else _estimate(alpha.interval),
        why=next((one.why for one in (percent, alpha) if one is not None and one.why), ""),
        ceiling=None
        if ceiling is None
        else Ceiling(
            least=ceiling.least, most=ceiling.most, highest=ceiling.highest, pairs=ceiling.pairs
        ),
        simulated=simulated,
    )


def _estimate(interval: Interval | None) -> Estimate | None:
    """None for what is no number; an end that is none takes the other with it."""
    if interval is None or interval.estimate != interval.estimate:
        return None
    if interval.low != interval.low or interval.high != interval.high:
        return Estimate(value=interval.estimate)
    return Estimate(value=interval.estimate, low=interval.low, high=interval.high)


def _simulated(connection: Connection, votes: Votes) -> tuple[Simulated, ...]:
    """The raters that are no people, with what they were given; people are named nowhere."""
    kinds = {row.rater: row.kind for row in votes.rows if row.kind is not RaterKind.HUMAN}
    given = Counter(row.rater for row in votes.rows)
    names = names_of(connection, kinds)
    return tuple(
        Simulated(
            name=names.get(rater, rater[:8]),
            kind=kind.value,
            habits=_habits(_definition(connection, rater)),
            judgements=given[rater],
        )
        for rater, kind in sorted(kinds.items(), key=lambda item: names.get(item[0], item[0]))
    )


def _definition(connection: Connection, rater: str) -> Mapping[str, Any]:
    """What a rater was made of; empty where that is not kept."""
    seq = connection.execute(sa.select(raters.c.seq).where(raters.c.id == rater)).scalar_one()
    found = parts_of(connection, seq).get(DEFINITION)
    return found if isinstance(found, Mapping) else {}


def _habits(definition: Mapping[str, Any]) -> str:
    """How a simulated person fails, in words."""
    return ", ".join(_failings(definition)) or "none told"


def _failings(definition: Mapping[str, Any]) -> Iterator[str]:
    if "temperature" in definition:
        yield f"noise {definition['temperature']:g}"
    for what, size in (definition.get("bias") or {}).items():
        yield f"bias to {what} {size:g}"
    if lapse := definition.get("lapse"):
        yield f"does not look {lapse:.0%} of the time"
    if fatigue := definition.get("fatigue"):
        yield f"tires by {fatigue:.0%} in a hundred"


def _blind(
    workspace: Workspace, evaluation: Artifact | None, policy: str, versus: str
) -> tuple[Blind | None, str, tuple[str, ...]]:
    """What people said of two policies, the command by which more can be said, and sentences about
    judgements that do not count."""
    if evaluation is None or not policy or not (evaluation.folder / TEXTS).is_file():
        return None, "", ()
    name = blind_name(evaluation, policy, versus)
    with open_workspace_database(workspace) as database, database.read() as connection:
        try:
            campaign = campaign_called(connection, name)
        except DataError:
            return None, "", ()
    found = blind_result(workspace, evaluation, policy=policy, versus=versus)
    asks = campaign.state is CampaignState.OPEN
    shown = None
    if found is not None and found.judgements:
        shown = Blind(
            policy=policy,
            versus=versus,
            share=Estimate(value=found.share, low=found.low, high=found.high),
            judgements=found.judgements,
            prompts=found.prompts,
            ties=found.ties,
            raters=found.raters,
        )
    return shown, f"accord rate {name}" if asks else "", _uncounted(found)


def _uncounted(found: BlindResult | None) -> tuple[str, ...]:
    if found is None:
        return ()
    told = (
        (found.passed_over, "of texts that the evaluation has not"),
        (found.distrusted, "of raters in quarantine (accord raters), and count nowhere"),
        (found.neither, "that both answers are bad, which puts neither first"),
    )
    return tuple(f"Blind judgements {why}: {count}." for count, why in told if count)
