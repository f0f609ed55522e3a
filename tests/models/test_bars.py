"""Transformers' progress bars are off inside, and afterwards as they were."""

from __future__ import annotations

import contextlib

import pytest
from transformers.utils import logging

from accord.models.bars import no_bars


@pytest.mark.parametrize("shown", [True, False])
def test_bars_come_back_only_where_they_were(shown: bool) -> None:
    before = logging.is_progress_bar_enabled()
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
    try:
        with contextlib.suppress(KeyError), no_bars():
            assert not logging.is_progress_bar_enabled()
            raise KeyError  # what goes wrong inside does not leave them off
        assert logging.is_progress_bar_enabled() is shown
    finally:
        (logging.enable_progress_bar if before else logging.disable_progress_bar)()
