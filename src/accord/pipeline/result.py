"""`result.json`: everything that a report shows as numbers, for programs and for other pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from accord.core.hashing import plain
from accord.evals.report.alarms import alarms
from accord.evals.report.data import ReportData
from accord.pipeline.artifact import Manifest

RESULT = "result.json"
SCHEMA = 1
"""Version of the form below."""


def result(made: Mapping[str, Manifest], data: ReportData) -> dict[str, Any]:
    """What was run, on what, at which cost, and what came out: JSON values.

    `made` are the artifacts of the report, `data` what its page shows. A part that a run does not
    have is None or empty. Keys are told in `docs/reading-the-report.md`.
    """
    figures = {name: manifest.figures for name, manifest in made.items()}
    audit = figures.get("reward", {}).get("audit") or None
    evaluation = figures.get("eval", {}).get("evaluation") or None
    return {
        "schema": SCHEMA,
        "run": plain(data.run),
        "cost": _cost(data),
        "lineage": _lineage(made, data),
        "data": plain(data.data_sets),
        "evaluation": plain(evaluation),
        "arms": plain(data.arms),
        "truth": plain(data.truth) if evaluation else None,
        "alarms": plain(alarms(data)),
        "judge": plain(figures.get("judge", {}).get("judge")),
        "reward_model": None if audit is None else _reward_model(audit, data),
        "agreement": plain(data.rounds),
        "blind": plain(data.blind),
        "invitation": data.invitation or None,
        "not_shown": list(data.not_shown),
    }


def to_json(found: Mapping[str, Any]) -> str:
    """The text of `result.json`."""
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def _cost(data: ReportData) -> dict[str, Any]:
    stages = data.stages
    return {
        "seconds": sum(stage.seconds for stage in stages),
        "peak_memory_gib": max((stage.peak_memory_gib for stage in stages), default=0.0),
        "stages": {
            stage.name: {
                "seconds": stage.seconds,
                "peak_memory_gib": stage.peak_memory_gib,
                "steps": stage.steps,
            }
            for stage in stages
        },
    }


def _lineage(made: Mapping[str, Manifest], data: ReportData) -> dict[str, Any]:
    return {
        "stages": {
            name: {
                "kind": manifest.kind,
                "key": manifest.key,
                "digest": manifest.digest,
                "inputs": {
                    put: {"key": entry.key, "digest": entry.digest}
                    for put, entry in manifest.inputs.items()
                },
            }
            for name, manifest in made.items()
        },
        "sources": plain(data.sources),
    }


def _reward_model(audit: Mapping[str, Any], data: ReportData) -> dict[str, Any]:
    model = data.calibration
    ceiling = None if model is None else model.human_ceiling
    bound = None if model is None else model.bayes_bound
    return {**dict(audit), "human_ceiling": plain(ceiling), "bayes_bound": bound}
