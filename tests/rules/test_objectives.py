"""Each objective is shown to be right in four ways, and the manual says by which tests."""

from __future__ import annotations

from docs.generate import KINDS, ROOT, objectives, objectives_page, tests


def test_every_objective_is_shown_in_four_ways() -> None:
    known = [one.name for one in objectives(ROOT)]
    shown = tests(ROOT, known)
    lacking = [f"{name}: {kind}" for name in known for kind in KINDS if (name, kind) not in shown]
    assert not lacking


def test_the_page_has_a_row_for_each() -> None:
    page = objectives_page(ROOT)
    known = objectives(ROOT)
    assert len(known) > 10
    for one in known:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{one.where}` |")]
        assert row.count("`test_") >= len(KINDS)
