"""One family of errors: what went wrong, what was got, where, and what to do about it.

Exit codes (the command line's contract): 0 done, 1 a defect of Accord's, 2 a cause outside it
(input, settings, data, disk, network, divergence), 3 gate failed, 4 gate inconclusive.
"""

from __future__ import annotations

from pathlib import Path


class AccordError(Exception):
    """Root of every error that Accord raises on purpose.

    `what` is one sentence; `got` the offending value; `where` a file:line, row or field; `do` the
    next action for the reader. Parts that are not known are left out of the message.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        got: object | None = None,
        where: str | Path | None = None,
        do: str | None = None,
    ) -> None:
        self.what, self.got, self.where, self.do = what, got, where, do
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.got is not None:
            lines.append(f"  got:   {self.got}")
        if self.where is not None:
            lines.append(f"  where: {self.where}")
        if self.do is not None:
            lines.append(f"  do:    {self.do}")
        return "\n".join(lines)


class ConfigError(AccordError, ValueError):
    """A setting, flag or file of settings that cannot be used."""


class DataError(AccordError, ValueError):
    """A row, column or file of data that cannot be used."""


class TemplateError(AccordError, ValueError):
    """A chat template that would train or sample the wrong tokens."""


class ModelError(AccordError, ValueError):
    """A model, adapter or tokenizer that cannot be loaded or does not fit."""


class WorkspaceError(AccordError, OSError):
    """A workspace folder that is missing, locked, damaged, unwritable or full."""


class StoreError(AccordError, OSError):
    """A database that cannot be reached, read or written, or that a newer Accord made."""


class ConflictError(AccordError, ValueError):
    """A submission that contradicts what was accepted before; nothing was changed."""


class DownloadError(AccordError, OSError):
    """Something to be fetched that could not be, or arrived different from what was promised."""


class ExhaustedError(AccordError, MemoryError):
    """Memory of the machine or its GPU that ran out."""


class DivergenceError(AccordError, ArithmeticError):
    """A loss, reward or gradient that is no longer a finite number.

    `batch` holds the offending rows in plain JSON values, so that the runner can save them.
    """

    def __init__(
        self,
        what: str,
        *,
        batch: object | None = None,
        got: object | None = None,
        where: str | Path | None = None,
        do: str | None = None,
    ) -> None:
        super().__init__(what, got=got, where=where, do=do)
        self.batch = batch


class InterruptedRun(AccordError):
    """A run that someone stopped between two steps; its state is saved."""


class InvariantError(AccordError, AssertionError):
    """A promise that Accord makes to itself did not hold: a defect, never the user's fault."""

    exit_code = 1
