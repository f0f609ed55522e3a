"""Whether what is held out was trained on, word for word or but for case and blanks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from accord.core.types import Split
from accord.pipeline.doctor.check import Check, Finding, Outcome, failed, passed, spared
from accord.pipeline.doctor.patient import Patient
from accord.pipeline.stage import Stage, StageContext
from accord.store.datasets import Dataset
from accord.store.splits import Row, Unit, opening, responses_of

NEAR = 0.01
"""Share of what is held out that may stand in training but for case and blanks: it moves a held-out
share by at most as much. Word for word nothing may."""
KINDS = ("demonstrations", "preferences", "feedback")
"""Sets whose rows are trained on."""
SHOWN = 60
"""Characters of what leaked that a finding quotes."""


def leaks(
    trained: Iterable[tuple[str, ...]], held: Iterable[tuple[str, ...]], what: str
) -> Finding:
    """How much of `held` stands in `trained`; both are texts (a prompt's turns, a response)."""
    exact: dict[tuple[str, ...], bool] = dict.fromkeys(held, False)
    if not exact:
        return spared(f"no {what} is held out")
    near: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for text in exact:
        near.setdefault(folded(text), []).append(text)
    alike: set[tuple[str, ...]] = set()
    seen = 0
    for text in trained:
        seen += 1
        if text in exact:
            exact[text] = True
        alike.update(near.get(folded(text), ()))
    if not seen:
        return spared(f"no {what} is trained on")
    same = [text for text, found in exact.items() if found]
    figures = {"exact": len(same), "near": len(alike), "held": len(exact)}
    if same or len(alike) > NEAR * len(exact):
        first = " / ".join((same or sorted(alike))[0])[:SHOWN]
        return failed(
            f"of {len(exact)} held-out {what}s {len(same)} stand in training word for word and "
            f"{len(alike)} but for case and blanks, such as {first!r}",
            do="write them alike before importing, so that they fall into one split, or import the "
            "sets together with one share held out",
            **figures,
        )
    return passed(
        f"{len(exact)} held-out {what}s against {seen} trained: {len(alike)} alike but for case "
        "and blanks",
        **figures,
    )


def folded(text: tuple[str, ...]) -> tuple[str, ...]:
    """The texts without regard to case, blanks and forms of letters."""
    return tuple(" ".join(unicodedata.normalize("NFKC", t).casefold().split()) for t in text)


def _units(rows: Iterable[Row], unit: Unit) -> Iterable[tuple[str, ...]]:
    for row in rows:
        if unit is Unit.RESPONSE:
            yield from ((text,) for text in responses_of(row))
        else:
            yield tuple(message.content for message in opening(row))


def _apart(patient: Patient) -> Finding:
    """Sets that are split by prompt and sets that are split by response, each by their own."""
    if patient.reads == "prompts":
        return _within(patient, Unit.PROMPT)
    groups = {unit: _of_unit(patient, unit) for unit in Unit}
    findings = [_within(part, unit) for unit, part in groups.items() if part is not None]
    if not findings:  # the tiny world's own rows, or those of the stage compare
        return _within(patient, Unit.PROMPT)
    order = (Outcome.FAILED, Outcome.PASSED, Outcome.NOT_APPLICABLE)
    return min(findings, key=lambda finding: order.index(finding.outcome))


def _of_unit(patient: Patient, unit: Unit) -> Patient | None:
    """The patient with no other sets than those of one unit; None where there is none."""
    context = patient.context
    sets = {name for name in context.inputs if name.partition("/")[0] in KINDS}
    own = {n for n in sets if Dataset(context.input(n).folder).manifest.unit is unit}
    if not own:
        return None
    kept = {name: one for name, one in context.inputs.items() if name not in sets - own}
    return Patient(
        StageContext(
            stage=Stage(
                name=patient.stage, kind="", config=context.config, body=lambda _: iter(())
            ),
            inputs=kept,
            output=context.output,
            machine=context.machine,
        ),
        patient.stage,
        lacking=patient.lacking,
        most=patient.most,
        fetch=patient.fetch,
    )


def _within(patient: Patient, unit: Unit) -> Finding:
    held = [text for split in (Split.DEV, Split.TEST) for text in _units(patient.rows(split), unit)]
    if patient.context.notes.get("prompts_seen_in_training"):
        return spared("all prompts are trained on, so that none can be held out: see the responses")
    trained = list(_units(patient.rows(Split.TRAIN), unit))
    finding = leaks(trained, held, unit.value)
    cut = patient.most is not None and max(len(held), len(trained)) >= patient.most
    return _partly(finding) if cut else finding


def _partly(finding: Finding) -> Finding:
    return Finding(
        finding.outcome,
        f"{finding.told}; of large sets the first rows",
        finding.do,
        finding.figures,
    )


CHECKS = (
    Check(
        "nothing leaks",
        "No held-out prompt (or response, where sets are split by those) is trained on.",
        _apart,
    ),
)
