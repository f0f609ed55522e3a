"""Progress: the figures that matter, plain lines, bars."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from accord.core.metrics import BY_NAME
from accord.telemetry.terminal import MATTERS, Bars, Lines, clock, figures, terminal

PPO = {
    "loss": 0.1,
    "reward/score": 0.5,
    "kl/sequence": 2.25,
    "answer/length": 20.04,
    "policy/entropy": 1.5,
    "tokens_per_second": 1234.5,
}


def test_figures_are_declared_metrics() -> None:
    assert {name for name, _, _ in MATTERS} <= set(BY_NAME)


def test_in_rl_reward_and_kl_lead_and_the_loss_is_left_out() -> None:
    assert figures(PPO) == "reward 0.500  KL 2.25  length 20.0  entropy 1.50  tok/s 1,234"
    assert figures({"loss": 0.5, "preference/accuracy": 0.75}) == "loss 0.5000  accuracy 75.0%"
    assert figures({}) == ""


def test_of_group_methods_spread_and_gradient_are_shown() -> None:
    """Their loss is near 0 whatever happens."""
    row = {**PPO, "group/spread": 0.25, "grad_norm": 1.5}
    assert figures(row).startswith("reward 0.500  spread 0.250  gradient 1.500  KL 2.25")
    assert "gradient" not in figures({**PPO, "grad_norm": 1.5})


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (187, "3:07"), (3723, "1:02:03")],
)
def test_clock(seconds: float, told: str) -> None:
    assert clock(seconds) == told


def test_one_line_a_step_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with terminal(stream, quiet=False) as sink:
        sink.started("ppo", steps=None, done=0)
        sink.total(3)
        for step in (1, 2, 3):
            sink.row(step, {**PPO, "seconds": 0.25})
        sink.notice("something [important]")
        sink.ended("ppo", seconds=61)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "ppo: starts"
    assert lines[1].startswith("ppo 1/3  reward 0.500  KL 2.25")
    assert re.search(r"0\.25 s  \d+ s left$", lines[1])
    assert lines[4:] == ["note: something [important]", "ppo: done in 1:01"]
    assert len(lines) == 6


def test_lines_say_where_a_run_goes_on() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.started("sft", steps=10, done=6)
    lines.row(7, {"loss": 1.0})
    assert stream.getvalue().startswith("sft: goes on after step 6\nsft 7/10  loss 1.0000")


def test_quiet_has_no_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with terminal(io.StringIO(), quiet=True) as sink:
        assert isinstance(sink, Lines)
    with terminal(io.StringIO(), quiet=False) as sink:
        assert isinstance(sink, Bars)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize(("stage", "steps"), [("ppo", 40), ("pretrain", 1200)])
def test_a_narrow_terminal_cuts_neither_stage_nor_step_nor_time(
    width: int, stage: str, steps: int
) -> None:
    """The longest row there is; whole figures are left out instead."""
    stream = io.StringIO()
    bars = Bars(Console(file=stream, force_terminal=True, width=width, color_system=None))
    row = {name: -1234.5 for name, _, _ in MATTERS} | {"reward/score": -0.65}
    with bars.progress:
        bars.started(stage, steps=steps, done=0)
        bars.row(steps - 1, row)
        bars.progress.refresh()
        shown = [line for line in stream.getvalue().split("\r") if f"{steps - 1}/" in line][-1]
    assert stage in shown
    assert f"{steps - 1}/{steps}" in shown
    assert re.search(r"\d:\d\d:\d\d left +[-\d:]+", shown)
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    if width >= 80:
        assert "reward -0.650" in shown
    assert figures(row).endswith("tok/s -1,234")


def test_bar_moves_and_a_finished_stage_stays_as_a_line() -> None:
    stream = io.StringIO()
    bars = Bars(Console(file=stream, force_terminal=True, width=160, color_system=None))
    with bars.progress:
        bars.started("ppo", steps=None, done=0)
        bars.total(4)
        bars.row(2, PPO)
        bars.progress.refresh()
        assert "2/4" in stream.getvalue()
        assert "reward 0.500  KL 2.25" in stream.getvalue()
        bars.notice("a [bracket] stays")
        bars.ended("ppo", seconds=75)
        bars.started("dpo", steps=2, done=0)
        bars.ended("dpo", seconds=1)
    text = stream.getvalue()
    assert "a [bracket] stays" in text
    assert re.search(r"done ppo +1:15  reward 0.500  KL 2.25", text)
    last = text.rpartition("done dpo")[2]
    assert "2/4" not in last
    assert "reward" not in last
