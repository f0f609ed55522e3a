"""Functions that return a full configuration; the only place that knows model names and budgets."""
