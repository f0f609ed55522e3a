"""Which loss DPO's settings ask of a pair of answers, and what may stand beside which."""

from __future__ import annotations

from enum import StrEnum

from accord.core.errors import ConfigError


class PairLoss(StrEnum):
    """What is asked of a pair's implicit rewards; formulas are in `accord.objectives`."""

    SIGMOID = "sigmoid"
    """The log-odds that the better answer wins: DPO, and CPO without a reference."""
    HINGE = "hinge"
    """A lead of 1/beta nats and no more (Zhao et al. 2023, arXiv:2305.10425): SLiC without a
    reference."""
    EXO = "exo"
    """DPO's divergence the other way round (Ji et al. 2024, arXiv:2402.00856)."""
    NCA = "nca"
    """Each answer told from noise of the reference (Chen et al. 2024, arXiv:2402.05369)."""
    BCO = "bco"
    """Good answers told from bad ones, around their mean (Jung et al. 2024, arXiv:2404.04656)."""
    SPPO = "sppo"
    """Each answer's log-ratio is its chance to win less 1/2, over beta (Wu et al. 2024,
    arXiv:2405.00675)."""
    APO_ZERO = "apo_zero"
    """Better answers up, worse ones down (D'Oosterlinck et al. 2024, arXiv:2408.06266)."""
    APO_DOWN = "apo_down"
    """Both down, worse ones faster (the same paper)."""


WITH_MARGIN = (PairLoss.SIGMOID, PairLoss.HINGE)
"""Losses in which a comparison's margin has a place; the same can do without a reference."""
SMOOTHED = (PairLoss.SIGMOID, PairLoss.EXO)
"""Losses that take a share of labels to be wrong."""


def check_parts(
    *,
    loss: PairLoss,
    smoothing: float,
    robust: bool,
    margin: float,
    strength_margin: float,
    reference_free: bool,
    dpop: float,
) -> None:
    """Raise ConfigError for settings that have no meaning together."""
    named = f'loss = "{loss}"'
    plain = loss is PairLoss.SIGMOID and not robust and smoothing == 0 and not reference_free
    for wrong, what, got, do in (
        (
            loss is PairLoss.EXO and smoothing == 0,
            "smoothing must be above 0 with EXO: the logarithm of a clear label is infinite",
            f"{named} with smoothing = 0",
            "set smoothing to a number such as 0.001, the paper's",
        ),
        (
            smoothing > 0 and loss not in SMOOTHED,
            "smoothing has no place in this loss",
            f"smoothing = {smoothing:g} with {named}",
            'leave smoothing at 0, or set loss to "sigmoid" or "exo"',
        ),
        (
            robust and loss is not PairLoss.SIGMOID,
            "robust is a form of DPO's own loss",
            f"robust = true with {named}",
            'leave robust out, or set loss = "sigmoid"',
        ),
        (
            strength_margin > 0 and loss not in WITH_MARGIN,
            "strength_margin has no place in this loss: it asks for no lead that could be more",
            f"strength_margin = {strength_margin:g} with {named}",
            'leave strength_margin at 0, or set loss to "sigmoid" or "hinge"',
        ),
        (
            margin not in (0, 1) and loss not in WITH_MARGIN,
            "margin has no place in this loss: it asks for no lead that could be more",
            f"margin = {margin:g} with {named}",
            'leave margin out, or set loss to "sigmoid" or "hinge"',
        ),
        (
            reference_free and (loss not in WITH_MARGIN or robust),
            "reference_free belongs to the plain sigmoid (CPO) and the hinge (SLiC)",
            f"reference_free = true with {named}{' and robust = true' if robust else ''}",
            'set reference_free = false, or loss to "sigmoid" or "hinge" without robust',
        ),
        (
            dpop > 0 and not plain,
            "dpop is a fine inside DPO's plain loss",
            f"dpop = {dpop:g} beside another loss, smoothing, robust or reference_free",
            "leave dpop at 0, or take the others out",
        ),
    ):
        if wrong:
            raise ConfigError(what, got=got, do=do)
