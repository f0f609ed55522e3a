"""Why a row cannot be used by a stage. Loads no torch."""

from __future__ import annotations

from enum import StrEnum


class Why(StrEnum):
    """Why a row cannot be used."""

    TOO_LONG = "too long"
    SAYS_STOP = "says the stop token"
    REFUSED = "refused by the chat template"
    WEIGHTLESS = "weighs nothing"
    OTHER_CRITERION = "about a criterion that is not learned"
    """What is about one criterion says nothing of the answer as a whole, nor of another one."""
    SCORED_TOO_LONG = "too long for the reward model"
    """A reward model with a tokenizer of its own reads prompt and answer in its own tokens."""
    SCORED_SAYS_STOP = "says the reward model's stop token"
    SCORED_REFUSED = "refused by the reward model's chat template"


BY_SCORER = (Why.SCORED_TOO_LONG, Why.SCORED_SAYS_STOP, Why.SCORED_REFUSED)
"""Reasons that lie with the reward model, not with the policy."""
