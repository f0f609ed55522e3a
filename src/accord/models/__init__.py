"""Weights, adapters, heads and the log-probabilities they give."""
