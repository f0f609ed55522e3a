"""Memory that ran out, in words a user can act on. Loads no torch."""

from __future__ import annotations

from types import TracebackType

from accord.core.errors import AccordError, ExhaustedError
from accord.core.machine import Machine


def explain(error: BaseException, machine: Machine) -> ExhaustedError | None:
    """The ExhaustedError that says what to change; None for another matter.

    torch tells of a full GPU by a class of its own and of a full main memory by a RuntimeError
    whose text names its allocator.
    """
    on_gpu = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    if not (on_gpu or isinstance(error, MemoryError) or "can't allocate memory" in str(error)):
        return None
    return ExhaustedError(
        f"the memory of {'the GPU' if on_gpu else 'this machine'} ran out",
        got=str(error).partition("\n")[0] or type(error).__name__,
        do=f"lower micro_batch_tokens in accord.toml (now {machine.micro_batch_tokens}), or the "
        "batch and max_tokens of the stage where its answers are too many to sample at once; "
        "then run again: nothing finished was lost",
    )


class Roomy:
    """Turns memory that runs out inside a `with` into one clear ExhaustedError."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, RuntimeError | MemoryError) and not isinstance(error, AccordError):
            told = explain(error, self._machine)
            if told is not None:
                raise told from error
