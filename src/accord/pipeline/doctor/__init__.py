"""Looks at a stage's own model and data for what goes wrong in silence, before it is trained.

The fast part reads files and tokenises rows: it runs before every training stage, and a check that
fails stops the stage. The rest runs the model, and belongs to `accord doctor`. Importing loads no
torch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from accord.pipeline.doctor import leaks, policy, readiness, reward, rows
from accord.pipeline.doctor.check import Check as Check
from accord.pipeline.doctor.check import Finding as Finding
from accord.pipeline.doctor.check import NotThere as NotThere
from accord.pipeline.doctor.check import Outcome as Outcome
from accord.pipeline.doctor.check import PreflightError as PreflightError
from accord.pipeline.doctor.check import Result as Result
from accord.pipeline.doctor.check import examine as examine
from accord.pipeline.doctor.patient import Patient as Patient
from accord.pipeline.stage import StageContext

FAST: tuple[Check, ...] = (*rows.CHECKS, *leaks.CHECKS, *policy.FAST)
"""What needs no weights in memory: seconds at most."""
MODEL: tuple[Check, ...] = (*policy.CHECKS, *reward.CHECKS, *readiness.CHECKS)
"""What runs the model."""


def preflight(context: StageContext, stage: str) -> str:
    """The fast part for a stage that is about to train; what to tell, in one line.

    Raises PreflightError where a check fails.
    """
    begun = time.perf_counter()
    patient = Patient(context, stage, fetch=True)
    results = [examine(check, patient) for check in FAST]
    if wrong := [result for result in results if result.failed]:
        raise refusal(stage, wrong)
    counts = Counter(result.finding.outcome for result in results)
    spared = counts[Outcome.NOT_APPLICABLE]
    more = f", {spared} not applicable" if spared else ""
    took = time.perf_counter() - begun
    return f"doctor: {counts[Outcome.PASSED]} checks before {stage} passed{more} ({took:.1f} s)"


def refusal(stage: str, wrong: Sequence[Result]) -> PreflightError:
    """The error that names every check that failed, and what to do about the first."""
    listed = "\n         ".join(f"{one.check.name}: {one.finding.told}" for one in wrong)
    return PreflightError(
        f"the doctor stops {stage} before it trains",
        got=listed,
        do=f"{wrong[0].finding.do}; `accord doctor` shows a batch and all checks",
    )
