"""Lineage keys: what decides whether an artifact is the one that is asked for.

The key covers the stage's name, kind, seed and resolved config, the code, and the keys of its
inputs. The machine is kept apart: where it alone differs, an artifact stays good (`--strict`
rebuilds it).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import accord
from accord.core.hashing import digest, file_digest, plain
from accord.core.machine import Machine
from accord.pipeline.artifact import Manifest
from accord.pipeline.stage import Stage

KEY_DIGITS = 16


@cache
def code_identity() -> str:
    """The package's version; in a checkout, with the digest of the sources behind it."""
    package = Path(accord.__file__).parent
    checkout = package.parent.name == "src" and (package.parents[1] / "pyproject.toml").is_file()
    if not checkout:
        return accord.__version__
    sha = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            sha.update(f"{path.relative_to(package).as_posix()} {file_digest(path)}\n".encode())
    return f"{accord.__version__}+source.{sha.hexdigest()[:KEY_DIGITS]}"


def lineage_key(stage: Stage, inputs: Mapping[str, str], *, code: str) -> str:
    """16 hexadecimal digits; `inputs` maps each input's name to its key."""
    parts = {
        "name": stage.name,
        "kind": stage.kind,
        "seed": stage.seed,
        "config": stage.config,
        "code": code,
        "inputs": {name: inputs[name] for name in stage.inputs},
    }
    return digest(parts)[:KEY_DIGITS]


CHOSEN = ("device", "dtype", "threads", "micro_batch_tokens")
"""What accord.toml or the environment can choose on one and the same machine."""


def machine_told(before: Machine, now: Machine) -> str:
    """What an artifact was made on or with, where that is not the machine of today; else empty."""
    moved = machine_changes(before, now)
    if not moved:
        return ""
    if all(fact.partition(" ")[0] in CHOSEN for fact in moved):
        return f"made with other settings of the machine ({', '.join(moved)})"
    return f"made on another machine ({', '.join(moved)})"


def machine_changes(before: Machine, now: Machine) -> tuple[str, ...]:
    """`field before -> now` for every field that differs."""
    return tuple(
        f"{field.name} {getattr(before, field.name)} -> {getattr(now, field.name)}"
        for field in dataclasses.fields(Machine)
        if getattr(before, field.name) != getattr(now, field.name)
    )


def changes(
    made: Manifest, stage: Stage, inputs: Mapping[str, str], *, code: str
) -> tuple[str, ...]:
    """Why an artifact made earlier is not the one asked for now, one short reason each."""
    # A stage's own settings are told by the names that its flags have.
    found = _differences("", made.config, plain(stage.config))
    reasons = [reason.removeprefix("own.") for reason in found]
    if made.seed != stage.seed:
        reasons.append(f"seed {made.seed} -> {stage.seed}")
    if made.code != code:
        reasons.append("accord's code changed")
    for name in stage.inputs:
        if name not in made.inputs:
            reasons.append(f"new input {name}")
        elif made.inputs[name].key != inputs[name]:
            reasons.append(f"input {name} changed")
    reasons.extend(f"input {name} gone" for name in made.inputs if name not in stage.inputs)
    return tuple(reasons)


def _differences(path: str, before: object, now: object) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in sorted({*before, *now}):
            inner = f"{path}.{name}" if path else str(name)
            yield from _differences(inner, before.get(name), now.get(name))
    elif before != now:
        yield f"{path} {before} -> {now}"
