from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from accord.evals.report.charts.plane import HEIGHT, LINE, WIDTH, Spot, plane

SPOTS = (Spot("SFT", 0.0, -0.2, -0.3, -0.1), Spot("PPO", 2.5, 0.5, 0.4, 0.6, "s1"))


def _drawn(spots: tuple[Spot, ...], trace: tuple[tuple[float, float], ...] = ()) -> str:
    return plane(spots, trace, label="what", x_name="root of KL", y_name="points")


def _heights(drawn: str) -> list[float]:
    return [float(y) for y in re.findall(r'<text [^>]*y="([\d.]+)" class="row-name"', drawn)]


def test_dots_intervals_labels_and_the_way_of_training() -> None:
    drawn = _drawn(SPOTS, ((0.0, -0.2), (1.0, 0.1), (2.0, 0.4)))
    assert drawn.count('class="step"') == 3
    assert len(re.findall(r'class="range s\d"', drawn)) == 2
    assert "PPO: 0.50 at 2.50 (interval 0.40 to 0.60)" in drawn
    assert "root of KL" in drawn


def test_a_point_alone_can_be_drawn() -> None:
    assert "<circle" in _drawn(SPOTS[:1])
    assert _drawn((), ((1.0, 1.0), (1.0, 1.0))).count('class="step"') == 2


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=10))
def test_labels_never_cover_each_other_and_stay_inside(values: list[float]) -> None:
    spots = tuple(Spot(f"arm {n}", n / 3, value) for n, value in enumerate(values))
    drawn = _drawn(spots)
    heights = sorted(_heights(drawn))
    assert len(heights) == len(values)
    assert all(b - a >= LINE - 0.2 for a, b in pairwise(heights))
    assert heights[-1] <= HEIGHT
    assert heights[0] >= LINE
    assert all(0 <= float(x) <= WIDTH for x in re.findall(r' x="([\d.]+)"', drawn))


def test_hostile_names_are_escaped() -> None:
    drawn = _drawn((Spot("<script>", 0, 0), Spot("b", 1, 1)))
    assert "<script>" not in drawn
