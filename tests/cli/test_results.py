"""What a finished run tells on the terminal."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from accord.cli.results import print_next, print_result, program, read_result
from accord.core.errors import WorkspaceError


def figure(value: float, half: float = 0.1) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def level(grade: float) -> dict[str, dict[str, float]]:
    return {
        "gold": figure(grade),
        "kl": figure(6.25),
        "length": figure(24.5),
        "stopped": figure(0.5),
        "distinct": {"value": 0.61},
    }


def arm(policy: str, label: str, kind: str) -> dict[str, str]:
    return {"policy": policy, "label": label, "meaning": "", "kind": kind}


def alarm(name: str, state: str, text: str, *, accounted: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "state": state,
        "short": "",
        "said": text,
        "do": "Do so.",
        "accounted": accounted,
    }


def found(**parts: Any) -> dict[str, Any]:
    """A result with every part."""
    whole: dict[str, Any] = {
        "run": {"after": "ppo"},
        "cost": {
            "seconds": 200.0,
            "peak_memory_gib": 3.456,
            "stages": {"sft": {"seconds": 40.0}, "ppo": {"seconds": 160.0}},
        },
        "truth": {"short": "grade"},
        "arms": [
            arm("sft", "SFT", "start"),
            arm("best of 4", "Best of 4", "picked"),
            arm("ppo", "PPO", "trained"),
        ],
        "evaluation": {
            "before": "sft",
            "prompts": 300,
            "policies": {"sft": level(-0.2), "best of 4": level(0.0), "ppo": level(0.4)},
            "changes": {"best of 4": {"gold": figure(0.05)}, "ppo": {"gold": figure(0.6)}},
        },
        "alarms": [
            alarm("length", "raised", "Answers became shorter.", accounted=True),
            alarm("variety", "raised", "Answers became alike."),
            alarm("ending", "quiet", "+1 point"),
        ],
        "reward_model": {
            "accuracy": 0.88,
            "interval": [0.86, 0.9],
            "baselines": {"longer wins": 0.51, "linear probe": 0.87},
            "human_ceiling": figure(0.86, 0.01),
            "bayes_bound": None,
            "pairs": 2500,
        },
        "judge": {
            "accuracy": figure(0.87, 0.02),
            "gap": 1.0,
            "r": 0.7,
            "tricks": [
                {"name": "listed", "above": figure(0.1), "beside": {"VADER": 0.95}},
                {"name": "joined", "above": figure(0.4), "beside": {"VADER": 0.7}},
            ],
        },
        "agreement": [
            {
                "sets": ["round-1"],
                "judgements": 144,
                "prompts": 48,
                "raters": 5,
                "simulated": [{"name": "Ada"}] * 5,
                "percent": figure(0.64),
                "alpha": None,
            }
        ],
        "blind": None,
        "invitation": "accord rate ppo-or-sft-1a2b",
    }
    return whole | parts


def said(result: dict[str, Any], folder: Path = Path("q"), *, width: int = 120) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False)
    print_result(result, folder=folder, console=console)
    print_next(result, folder=folder, pairs=20, console=console)
    return stream.getvalue()


def test_a_line_an_arm_with_intervals() -> None:
    text = said(found())
    assert "\x1b" not in text  # plain where there is no terminal
    ppo = next(line for line in text.splitlines() if line.startswith("PPO"))
    assert re.split(r"\s{2,}", ppo.strip()) == [
        "PPO",
        "+0.40 [+0.30, +0.50]",
        "+0.60 [+0.50, +0.70]",
        "6.25",
        "24.5",
        "50%",
        "0.61",
    ]
    best = next(line for line in text.splitlines() if line.startswith("Best of 4"))
    assert "<= 6.25" in best
    assert "change from SFT" in text
    assert "over 300 held-out prompts" in text


def test_a_distance_of_nothing_has_no_sign() -> None:
    evaluation = found()["evaluation"]
    evaluation["policies"]["sft"]["kl"] = figure(-0.001)
    sft = next(line for line in said(found(evaluation=evaluation)).splitlines() if "SFT " in line)
    assert " 0.00 " in said(found(evaluation=evaluation))
    assert "-0.00" not in sft


def test_a_narrow_terminal_cuts_nothing() -> None:
    text = said(found(), width=80)
    table = text[: text.index("over 300")]
    for words in ("+0.40", "[+0.30, +0.50]", "<= 6.25", "Best of 4", "0.61"):
        assert words in table
    assert max(map(len, table.splitlines())) <= 80


def test_colour_follows_the_interval_alone() -> None:
    stream = io.StringIO()
    shown = Console(file=stream, width=140, force_terminal=True, color_system="standard")
    changes = {"best of 4": {"gold": figure(0.05)}, "ppo": {"gold": figure(-0.6)}}
    evaluation = found()["evaluation"] | {"changes": changes}
    print_result(found(evaluation=evaluation), folder=Path("q"), console=shown)
    lines = stream.getvalue().splitlines()
    ppo = next(line for line in lines if "PPO" in line)
    best = next(line for line in lines if "Best of 4" in line)
    assert "31m" in ppo  # red
    assert not re.search(r"3[12]m", best)


def test_the_lines_below_the_table() -> None:
    text = " ".join(said(found()).split())
    assert "held-out accuracy 88.0% [86.0%, 90.0%], longer wins 51.0%, linear probe 87.0%" in text
    assert "one person 86.0% [85.0%, 87.0%]; 2500 pairs" in text
    assert "of the worst trick (joined) 40.0% [30.0%, 50.0%]" in text
    assert "by VADER 70%; below half for all" in text
    assert "agreement 0.64 [0.54, 0.74], alpha not known" in text
    assert "stages took 3:20 (sft 40 s, ppo 2:40), at most 3.46 GiB of memory" in text
    assert f"report: {Path('q') / 'report.html'}" in text


def test_raters_that_are_no_people_are_called_so() -> None:
    assert "48 prompts by 5 simulated, agreement" in said(found())
    mixed = {**found()["agreement"][0], "simulated": [{"name": "Ada"}]}
    assert "by 4 people and 1 simulated," in said(found(agreement=[mixed]))
    mixed["simulated"] = []
    assert "by 5 raters," in said(found(agreement=[mixed]))


def test_prompts_that_training_saw_are_not_called_held_out() -> None:
    evaluation = found()["evaluation"] | {"prompts_seen_in_training": True}
    text = said(found(evaluation=evaluation))
    assert "over 300 prompts that TRAINING SAW" in text
    assert "held-out prompts" not in text


def test_what_is_to_be_watched_is_told_and_the_rest_is_not() -> None:
    text = said(found())
    assert "\nlength: Answers became shorter.\n" in text
    assert "\nWATCH variety: Answers became alike. Do so.\n" in text
    assert "+1 point" not in text


def test_a_judge_that_is_fooled_is_called_so() -> None:
    judge = found()["judge"]
    tricks = [{"name": "listed", "above": figure(0.5), "beside": {}}]
    text = " ".join(said(found(judge=judge | {"tricks": tricks})).split())
    assert "FOOLED by listed" in text
    assert "below half for all" not in text


def test_the_invitation_is_a_command_that_can_be_typed(tmp_path: Path) -> None:
    folder = tmp_path / "my runs"
    text = said(found(), folder)
    assert f"{program()} rate ppo-or-sft-1a2b --workspace '{folder}'" in text
    assert "20 blind pairs" in text
    after = text[text.index("data of your own") :]
    assert re.findall(r"(init|import|run) ", after) == ["init", "import", "import", "run"]
    # Comparisons alone leave nothing to imitate: the first stage asks for answers.
    assert "my-answers.jsonl" in after
    assert "my-pairs.jsonl" in after


def test_who_judged_is_shown_and_not_invited() -> None:
    blind = {
        "policy": "ppo",
        "versus": "sft",
        "share": figure(0.7),
        "judgements": 20,
        "raters": 1,
        "ties": 3,
    }
    text = said(found(blind=blind))
    assert "people, blind: ppo before sft in 70.0% [60.0%, 80.0%] of 20 judgements" in text
    assert "judge 20 blind pairs" not in text


def test_a_run_without_an_evaluation_tells_what_there_is() -> None:
    bare = dict.fromkeys(("evaluation", "reward_model", "judge", "truth", "invitation"))
    text = said(found(**bare, alarms=[], agreement=[], arms=[]))
    assert text.startswith("stages took")
    assert "data of your own" in text


def test_text_of_others_is_no_markup() -> None:
    text = said(found(arms=[arm("sft", "[red]x[/red]", "start")]))
    assert "[red]x[/red]" in text


def test_a_result_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    for body in (None, "{", "[]"):
        if body is not None:
            path.write_text(body)
        with pytest.raises(WorkspaceError, match="cannot be read"):
            read_result(path)
    path.write_text(json.dumps(found()))
    assert read_result(path)["run"] == {"after": "ppo"}
