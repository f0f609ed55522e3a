"""Accord: from people's judgement to a language model that follows it, and back."""

__version__ = "0.1.0"
