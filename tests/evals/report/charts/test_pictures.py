from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.evals.report.charts import intervals, lineage, svg
from accord.evals.report.charts.curves import MOST_DRAWN, Limit, Series, line_chart, thin
from accord.evals.report.charts.reliability import reliability
from accord.evals.report.data import Bin

VALUES = st.one_of(st.floats(-1e5, 1e5, allow_subnormal=False), st.just(math.nan))


def _parse(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def _numbers(picture: ElementTree.Element) -> list[float]:
    found = [float(v) for e in picture.iter() for k, v in e.items() if k in {"x", "y", "cx", "cy"}]
    paths = [v for e in picture.iter() for k, v in e.items() if k == "d"]
    return found + [float(n) for d in paths for n in re.findall(r"-?\d+(?:\.\d+)?", d)]


def _chart(*values: float, unit: str = "nats", limits: tuple[Limit, ...] = ()) -> str:
    points = tuple((float(step), value) for step, value in enumerate(values))
    return line_chart([Series("loss", points)], label="a chart", unit=unit, limits=limits)


@given(st.lists(VALUES, min_size=1, max_size=40))
def test_a_line_chart_is_well_formed_and_finite_whatever_the_values(values: list[float]) -> None:
    drawn = _chart(*values)
    if all(math.isnan(value) for value in values):
        assert drawn == ""
        return
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert all(-20 <= number <= 420 for number in _numbers(_parse(drawn)))


def test_higher_values_are_drawn_higher_at_their_place() -> None:
    picture = _parse(_chart(0.0, 1.0))
    path = next(e.get("d") for e in picture.iter() if e.get("class") == "line s0")
    (x0, y0), (x1, y1) = [tuple(map(float, p.split())) for p in path[1:].split("L")]  # type: ignore[index]
    assert x0 < x1
    assert y1 < y0


def test_a_gap_breaks_the_line() -> None:
    path = next(
        e.get("d", "")
        for e in _parse(_chart(1, 2, math.nan, 3, 4)).iter()
        if e.get("class") == "line s0"
    )
    assert (path.count("M"), path.count("L")) == (2, 2)


def test_axes_are_named_and_hover_says_the_value() -> None:
    texts = [e.text for e in _parse(_chart(1.0, 2.0)).iter() if e.tag == "text"]
    assert {"step", "nats"} <= set(texts)
    titles = [e.text for e in _parse(_chart(1.0, 2.0)).iter() if e.tag == "title"]
    assert titles == ["step 0: loss 1.00\xa0nats", "step 1: loss 2.00\xa0nats"]


def test_several_lines_are_named_and_differ_by_more_than_colour() -> None:
    lines = [Series(name, ((0, 1), (1, 2))) for name in ("trained", "held out")]
    picture = _parse(line_chart(lines, label="two", unit="share"))
    texts = [e.text for e in picture.iter() if e.tag == "text"]
    assert {"trained", "held out"} <= set(texts)
    styles = {e.get("class") for e in picture.iter() if (e.get("class") or "").startswith("line")}
    assert styles == {"line s0", "line s1"}


def test_a_limit_is_inside_the_picture_and_named() -> None:
    picture = _parse(_chart(1.0, 2.0, limits=(Limit("budget", 8.0),)))
    assert "budget 8" in [e.text for e in picture.iter() if e.tag == "text"]
    assert all(-20 <= number <= 420 for number in _numbers(picture))


@given(st.lists(st.floats(-100, 100), min_size=21, max_size=90))
def test_thinning_keeps_every_extreme_and_the_order(values: list[float]) -> None:
    points = [(float(step), value) for step, value in enumerate(values)]
    kept = thin(points, 20)
    assert len(kept) <= 22
    assert min(v for _, v in kept) == min(values)
    assert max(v for _, v in kept) == max(values)
    assert [x for x, _ in kept] == sorted({x for x, _ in kept})
    assert set(kept) <= set(points)


def test_short_lines_are_not_thinned() -> None:
    points = [(float(step), 0.0) for step in range(MOST_DRAWN)]
    assert thin(points) == points


def test_thinning_keeps_gaps_as_gaps() -> None:
    points = [(float(step), math.nan if step == 777 else 1.0) for step in range(2000)]
    assert sum(math.isnan(value) for _, value in thin(points)) == 1


def test_forest_puts_interval_ends_around_the_dot() -> None:
    row = intervals.Row("ppo", 1.0, 0.5, 2.0, "1.00")
    drawn = intervals.forest([row], label="f", axis="gold", unit="gold", marks=(intervals.zero(),))
    picture = _parse(drawn)
    dot = next(e for e in picture.iter() if e.tag == "circle")
    path = next(
        e.get("d", "") for e in picture.iter() if (e.get("class") or "").startswith("range")
    )
    low, high = re.match(r"M([\d.]+) [\d.]+H([\d.]+)", path).groups()  # type: ignore[union-attr]
    assert float(low) < float(dot.get("cx", "0")) < float(high)
    assert "no change" in [e.text for e in picture.iter() if e.tag == "text"]


def test_marks_of_a_forest_cross_no_words() -> None:
    rows = [intervals.Row("a name that is long", 0.6, None, None, "0.61") for _ in range(4)]
    marks = (intervals.Mark("coin", 0.5), intervals.Mark("best possible", 0.7))
    drawn = intervals.forest(rows, label="f", axis="accuracy", unit="share", marks=marks)
    picture = list(_parse(drawn).iter())
    lines = [e.get("d", "") for e in picture if e.get("class") == "limit"]
    pieces = [
        (float(start), float(end))
        for line in lines
        for start, end in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", line)
    ]
    named = [e for e in picture if e.tag == "text" and e.text in ("a name that is long", "0.61")]
    assert len(pieces) == 2 * (1 + len(rows))
    assert len(named) == 2 * len(rows)
    for base in (float(e.get("y", "0")) for e in named):  # words of 12 pixels on their base line
        assert not [(a, b) for a, b in pieces if a < base + 3 and b > base - 11]


def test_an_axis_of_shares_ends_at_all() -> None:
    row = intervals.Row("ppo", 0.998, 0.99, 1.0, "99.8 %")
    drawn = intervals.forest([row], label="f", axis="per cent", unit="share", marks=())
    said = [e.text or "" for e in _parse(drawn).iter() if e.tag == "text"]
    ticks = [float(text.removesuffix(" %")) for text in said if re.fullmatch(r"[\d.]+ %", text)]
    assert max(ticks) == 100.0
    x = [float(e.get("cx", "0")) for e in _parse(drawn).iter() if e.tag == "circle"]
    assert x[0] < intervals.WIDTH - intervals.RIGHT


def test_forest_without_an_interval_draws_only_the_dot() -> None:
    row = intervals.Row("ppo", 1.0, None, None, "1.00")
    drawn = intervals.forest([row], label="f", axis="gold", unit="gold", marks=())
    assert "range" not in drawn


def test_bars_are_in_proportion() -> None:
    rows = [intervals.Bar(name, value, "") for name, value in (("a", 4.0), ("b", 2.0), ("c", 0.0))]
    picture = _parse(intervals.bars(rows, label="b", axis="s"))
    widths = [
        float(e.get("width", "0"))
        for e in picture.iter()
        if (e.get("class") or "").startswith("bar")
    ]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.1)
    assert widths[2] == 1.0


def test_reliability_puts_a_perfect_bin_on_the_diagonal() -> None:
    drawn = reliability([Bin(predicted=0.25, observed=0.25, count=9)], label="r")
    picture = _parse(drawn)
    diagonal = next(e.get("d", "") for e in picture.iter() if e.get("class") == "limit")
    x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", diagonal))
    dot = next(e for e in picture.iter() if e.tag == "circle")
    part = (float(dot.get("cx", "0")) - x0) / (x1 - x0)
    assert part == pytest.approx(0.25, abs=0.01)
    assert (float(dot.get("cy", "0")) - y0) / (y1 - y0) == pytest.approx(part, abs=0.01)


def test_lineage_draws_one_arc_an_input() -> None:
    nodes = [
        lineage.Node("data", "rows", (), source=True),
        lineage.Node("sft", "policy", ("data",), source=False),
        lineage.Node("ppo", "policy", ("sft", "data"), source=False),
    ]
    titles = [e.text for e in _parse(lineage.graph(nodes, label="l")).iter() if e.tag == "title"]
    assert [t for t in titles if "is an input of" in str(t)] == [
        "data is an input of sft",
        "sft is an input of ppo",
        "data is an input of ppo",
    ]


def test_words_of_a_picture_are_escaped() -> None:
    drawn = svg.picture(svg.words('<b>"&', x=1, y=2), width=9, height=9, label='"><script>')
    picture = _parse(drawn)
    assert [e.tag for e in picture.iter()] == ["svg", "text"]
    assert picture.get("aria-label") == '"><script>'
