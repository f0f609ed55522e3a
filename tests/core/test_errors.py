"""Errors: what, got, where, do; one family; exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.core import errors
from accord.core.errors import (
    AccordError,
    ConfigError,
    ConflictError,
    DataError,
    DivergenceError,
    DownloadError,
    InvariantError,
    ModelError,
    StoreError,
    TemplateError,
    WorkspaceError,
)


def test_every_part_has_its_line() -> None:
    error = ConfigError("too small", got=0, where=Path("accord.toml:3"), do="raise it")
    assert str(error).splitlines() == [
        "too small",
        "  got:   0",
        "  where: accord.toml:3",
        "  do:    raise it",
    ]


def test_unknown_parts_are_left_out() -> None:
    assert str(DataError("no row")) == "no row"
    assert str(DataError("no row", do="add one")) == "no row\n  do:    add one"


def test_a_false_value_is_still_shown() -> None:
    assert str(ConfigError("x", got=False)) == "x\n  got:   False"
    assert str(ConfigError("x", got="")) == "x\n  got:   "


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConfigError, ValueError),
        (DataError, ValueError),
        (TemplateError, ValueError),
        (ModelError, ValueError),
        (WorkspaceError, OSError),
        (StoreError, OSError),
        (ConflictError, ValueError),
        (DownloadError, OSError),
        (DivergenceError, ArithmeticError),
        (InvariantError, AssertionError),
    ],
)
def test_family_and_builtin(kind: type[AccordError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="it broke") as caught:
        raise kind("it broke", got=3)
    assert isinstance(caught.value, AccordError)
    assert str(caught.value) == "it broke\n  got:   3"


def test_only_a_broken_promise_is_our_defect() -> None:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, AccordError)]
    assert {kind.__name__ for kind in kinds if kind.exit_code == 1} == {"InvariantError"}
    assert {kind.exit_code for kind in kinds} == {1, 2}


def test_a_divergence_keeps_its_batch() -> None:
    error = DivergenceError("NaN", batch=[{"prompt": "a"}], got="nan")
    assert error.batch == [{"prompt": "a"}]
    assert str(error) == "NaN\n  got:   nan"
