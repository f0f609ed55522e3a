"""What every test shares: reproducible property tests, and a complete mode that skips nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import hypothesis
import pytest

pytest_plugins = ("tests.databases",)

# What runs in the background of a shell has been told to ignore Ctrl-C, and tells its children so.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile(
    "accord", deadline=None, derandomize=True, max_examples=50, print_blob=True
)
hypothesis.settings.load_profile("accord")

ALL = os.environ.get("ACCORD_TEST_ALL") == "1"
"""Where set, a test that would be skipped for want of a tool or a package fails instead.

Two things are excused: hardware that a machine may lack (the marker `hardware`), and public data
that is not shipped, as long as nobody says by ACCORD_DATA where it lies.
"""
NO_DATA = not os.environ.get("ACCORD_DATA")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    if NO_DATA and "ACCORD_DATA" in reason:
        return
    report.outcome = "failed"
    report.longrepr = f"ACCORD_TEST_ALL=1 leaves nothing out, but this was: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    excused = item.get_closest_marker("hardware") is not None or hasattr(report, "wasxfail")
    if ALL and report.skipped and not excused:
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if ALL and report.skipped:
        _refuse_skip(report)
    return report
