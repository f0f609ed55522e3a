"""What the tests of the report share: sample data, a page reader and a browser."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    """The module of this folder; tests are no package, so that no import statement finds it."""
    full = f"report_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    """Sample reports."""
    return _load("sample")


@pytest.fixture(scope="session")
def arms() -> ModuleType:
    """Sample reports of many arms."""
    return _load("arms")


@pytest.fixture(scope="session")
def page() -> ModuleType:
    """A strict reader of HTML."""
    return _load("page")


@pytest.fixture(scope="session")
def chrome() -> Iterator[object]:
    """A headless chromium for all browser tests."""
    module = _load("browser")
    if absent := module.missing():
        pytest.skip(absent)
    with module.browser() as session:
        yield session
