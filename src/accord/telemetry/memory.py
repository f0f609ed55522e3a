"""How much memory this process has needed."""

from __future__ import annotations

import re
import resource
from pathlib import Path


def peak_memory() -> float:
    """Largest resident memory of this process so far, GiB.

    Linux tells it for this program alone; `getrusage` also counts what the parent held before it
    became this program, and is used where there is no /proc.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        told = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if told:
            return int(told.group(1)) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
