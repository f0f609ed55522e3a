"""From plain values to one HTML page that needs no network, no script and no other file."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from accord.evals.report import absent, arms, evidence, judging, origins, people, stages, verdict
from accord.evals.report.data import ReportData
from accord.evals.report.words import count, moment, number, share, visible


def render(data: ReportData) -> str:
    """The report as a self-contained HTML document.

    Everything that came from outside is escaped, and characters that hide or reorder text are
    shown by their code. The same data give the same page, byte for byte. The text can be encoded
    as UTF-8 whatever the data hold.
    """
    return _environment().get_template("page.html.j2").render(_view(data))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("accord.evals.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(moment=moment, number=number, share=share)
    environment.globals.update(count=count, estimate=evidence.estimate, svg=Markup)
    return environment


def _shown(value: object) -> object:
    """Jinja calls this on every value it prints, before it escapes."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value)


def _view(data: ReportData) -> dict[str, object]:
    names, levels = evidence.levels(data)
    columns, rows = arms.table(data)
    headline, judge = verdict.headline(data), judging.judge_view(data.judge)
    blind = people.blind_sentence(data.blind)
    more = (None if judge is None else judge.sentence, blind)
    return {
        "style": Markup(_style()),
        "run": data.run,
        "data": data,
        "headline": headline,
        "said": (*headline.sentences, *(sentence for sentence in more if sentence is not None)),
        "arm_columns": columns,
        "arm_rows": rows,
        "arm_rule": arms.rule(data),
        "arm_sentences": arms.sentences(data),
        "arm_pictures": arms.pictures(data),
        "judge": judge,
        "blind": blind,
        "counted": people.counted(data),
        "set_rows": people.set_rows(data),
        "round_rows": people.round_rows(data),
        "rater_rows": people.rater_rows(data),
        "tiles": evidence.tiles(data),
        "key_charts": stages.key_charts(data),
        "samples": evidence.samples(data),
        "changes": evidence.changes(data),
        "change_pictures": evidence.change_pictures(data),
        "policies": names,
        "levels": levels,
        "level_pictures": evidence.level_pictures(data),
        "model_pictures": _model_pictures(data),
        "stages": stages.stage_views(data),
        "costs": origins.cost_pictures(data),
        "origins": origins.origins(data),
        "lineage": origins.lineage_picture(data),
        "not_shown": absent.not_shown(data),
    }


def _model_pictures(data: ReportData) -> list[evidence.Picture]:
    model = data.calibration
    if model is None:
        return []
    found = [
        evidence.reliability_picture(model),
        evidence.accuracy_picture(model),
        evidence.slice_picture(
            "By difference in length",
            model.by_length_gap,
            "A model that follows length alone is right only where the better answer is longer.",
        ),
        evidence.slice_picture(
            "By source of the comparison",
            model.by_source,
            "Weak sources are where more labels help most.",
        ),
        evidence.slice_picture(
            "By criterion",
            model.by_criterion,
            "Each criterion has a head of its own, and is held against what people said about it.",
        ),
    ]
    return [picture for picture in found if picture is not None]


def _style() -> str:
    folder = resources.files("accord.evals.report")
    return (folder / "templates" / "style.css").read_text(encoding="utf-8")
