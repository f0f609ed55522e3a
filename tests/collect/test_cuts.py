"""What may be shown: by hand, and that nothing below k follows whatever is added and subtracted."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.collect.cuts import Cuts, cut_all
from accord.collect.questions import NOT_TOLD, OTHERS, Questions
from accord.core.errors import ConfigError
from tests.collect.asked import answers, questions

FIELD = questions(("field", ("law", "art", "trade")))


def sizes(found: Cuts, question: str = "field") -> dict[str, int]:
    return {name: len(members) for name, members in found.shown[question].items()}


def cut(asked: Questions = FIELD, **groups: int) -> dict[str, int]:
    profiles = answers("field", **groups)
    told = {name: said for name, said in profiles.items() if said["field"] != "none"}
    return sizes(cut_all(told, profiles, asked))


def test_by_hand() -> None:
    assert cut(law=6, art=5) == {"law": 6, "art": 5}
    assert cut(law=6, art=5, none=5) == {"law": 6, "art": 5, NOT_TOLD: 5}
    # Four are too few; what is left over would be theirs, so the smallest group joins them.
    assert cut(law=9, art=6, trade=4) == {"law": 9, OTHERS: 10}
    assert cut(law=9, art=6, trade=3, none=2) == {"law": 9, "art": 6, OTHERS: 5}
    assert cut(law=9, art=6, none=1) == {"law": 9, OTHERS: 7}
    # One group alone: what lies outside of it is nobody, and everybody would be known.
    assert cut(law=20) == {}
    assert cut(law=20, art=4) == {}
    assert cut(law=4, art=4, trade=4) == {}
    assert cut() == {}
    assert cut(questions(("field", ("law", "art")), k=7), law=7, art=6) == {}


def test_two_questions_that_differ_by_few_are_not_both_shown() -> None:
    """Everybody in law is from the north, and so are two more: the difference would be those."""
    told = {f"r{n}": {"field": "law" if n < 10 else "art"} for n in range(20)}
    for n in range(20):
        told[f"r{n}"]["region"] = "north" if n < 12 else "south"
    found = cut_all(told, told, questions())
    assert sizes(found) == {"law": 10, "art": 10}
    assert sizes(found, "region") == {}
    turned = questions(("region", ("north", "south")), ("field", ("law", "art", "trade")))
    found = cut_all(told, told, turned)
    assert sizes(found, "region") == {"north": 12, "south": 8}
    assert sizes(found) == {}


def test_two_questions_that_lie_across_are_both_shown() -> None:
    """Nothing that sums can give is smaller than a group, though only three are in both."""
    told = {
        f"r{n}": {"field": "law" if n < 6 else "art", "region": ("north", "south")[n % 2]}
        for n in range(12)
    }
    found = cut_all(told, told, questions())
    assert sizes(found) == {"law": 6, "art": 6}
    assert sizes(found, "region") == {"north": 6, "south": 6}


def test_a_union_of_groups_that_is_almost_a_union_of_others_is_seen() -> None:
    """a or b is almost x or y: each alone lies across, together they differ by one rater."""
    told = {}
    for n in range(24):
        told[f"r{n}"] = {"one": "ab"[n % 2] if n < 12 else "c", "two": "xy"[n // 6 % 2]}
        if n >= 11:
            told[f"r{n}"]["two"] = "z"
    asked = questions(("one", "abc"), ("two", "xyz"))
    found = cut_all(told, told, asked)
    assert sizes(found, "one") == {"a": 6, "b": 6, "c": 12}
    assert "z" not in found.shown["two"]


def test_a_group_that_is_not_shown_is_refused_without_its_size() -> None:
    said = []
    for trade in (0, 1, 4):
        told = answers("field", law=9, art=6, trade=trade)
        found = cut_all(told, told, FIELD)
        assert found.group("field", "law") == {f"law{n}" for n in range(9)}
        with pytest.raises(ConfigError, match="fewer than 5") as caught:
            found.group("field", "trade")
        said.append((caught.value.what, caught.value.got))
    assert said[0] == said[1] == said[2]


def test_a_figure_of_some_raters_needs_the_rule_among_them() -> None:
    told = answers("field", law=8, art=8)
    found = cut_all(told, told, FIELD)
    assert sizes(found.among([*list(told)[:6], *list(told)[8:14]])) == {"law": 6, "art": 6}
    assert sizes(found.among([*list(told)[:4], *list(told)[8:]])) == {}
    assert sizes(found.among([])) == {}


POOLS = st.lists(
    st.tuples(*(st.sampled_from([*"abcd"[:width], ""]) for width in (4, 3, 2))), max_size=60
)


@settings(max_examples=300)
@given(pool=POOLS, k=st.integers(5, 7), seed=st.integers(0, 2**32 - 1))
def test_no_sum_of_shown_groups_is_of_fewer_than_k(
    pool: list[tuple[str, str, str]], k: int, seed: int
) -> None:
    names = ("one", "two", "three")
    told = {
        f"r{n}": {name: value for name, value in zip(names, said, strict=True) if value}
        for n, said in enumerate(pool)
    }
    asked = questions(("one", "abcd"), ("two", "abc"), ("three", "ab"), k=k)
    found = cut_all(told, told, asked)
    rows = []
    for groups in found.shown.values():
        assert len(groups) != 1
        if groups:
            assert frozenset().union(*groups.values()) == frozenset(told)
            assert sum(map(len, groups.values())) == len(told)
        rows += [[float(rater in members) for rater in told] for members in groups.values()]
    if not rows:
        return
    vectors = np.array(rows)
    assert vectors.sum(axis=1).min() >= k
    rng = np.random.default_rng(seed)
    weights = rng.integers(-2, 3, size=(4000, len(rows)))
    support = (weights @ vectors != 0).sum(axis=1)
    assert support[support > 0].min(initial=k) >= k


@settings(max_examples=150)
@given(pool=POOLS, seed=st.integers(0, 2**32 - 1))
def test_quarantine_leaves_no_sum_of_fewer_than_k(
    pool: list[tuple[str, str, str]], seed: int
) -> None:
    """Neither among those whom figures are of, nor among those whom sizes count; and whoever is in
    quarantine, the sizes of a group that is shown are those of everybody who said so."""
    names = ("one", "two", "three")
    told = {
        f"r{n}": {name: value for name, value in zip(names, said, strict=True) if value}
        for n, said in enumerate(pool)
    }
    rng = np.random.default_rng(seed)
    used = [rater for rater in told if rng.random() < 0.8]
    asked = questions(("one", "abcd"), ("two", "abc"), ("three", "ab"))
    found = cut_all(told, told, asked, counted=used)
    rows = []
    for name, groups in found.shown.items():
        for group, members in groups.items():
            rows.append([float(rater in members) for rater in told])
            assert sum(rater in members for rater in used) >= 5
            if group not in (OTHERS, NOT_TOLD):
                assert members == {r for r, said in told.items() if said.get(name) == group}
    if not rows:
        return
    vectors = np.array(rows)
    both = {"everybody": vectors, "used": vectors[:, [list(told).index(rater) for rater in used]]}
    for seen in both.values():
        weights = rng.integers(-2, 3, size=(2000, len(rows)))
        support = (weights @ seen != 0).sum(axis=1)
        assert support[support > 0].min(initial=5) >= 5
    # The same division where nobody else is there: it follows from those who are used, and sizes.
    assert found.among(used).shown.keys() == found.shown.keys()
    for name, groups in found.among(used).shown.items():
        assert set(groups) == set(found.shown[name])


@settings(max_examples=100)
@given(pool=POOLS)
def test_every_union_differs_from_every_union_of_another_question(
    pool: list[tuple[str, str, str]],
) -> None:
    """All of them, one by one."""
    told = {f"r{n}": {"one": said[0] or "a", "two": said[1] or "b"} for n, said in enumerate(pool)}
    found = cut_all(told, told, questions(("one", "abcd"), ("two", "abc")))
    unions = []
    for groups in found.shown.values():
        members = list(groups.values())
        unions.append(
            [
                frozenset().union(*some)
                for size in range(1, len(members))
                for some in combinations(members, size)
            ]
        )
    for one in unions[0]:
        for other in unions[1]:
            assert len(one ^ other) >= 5
