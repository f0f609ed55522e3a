"""Intervals, calibration and baselines, on numpy and scipy."""
