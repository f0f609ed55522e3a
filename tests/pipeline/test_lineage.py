"""Lineage keys: what they depend on, and how a difference is told."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import accord
from accord.core.machine import Machine
from accord.pipeline.artifact import InputEntry, Manifest
from accord.pipeline.lineage import (
    changes,
    code_identity,
    lineage_key,
    machine_changes,
    machine_told,
)
from tests.pipeline.toy import MACHINE, WalkConfig, stages


def test_key_is_pinned() -> None:
    """Keys name folders on users' disks: a change of this value makes everything again."""
    first, second = stages()
    assert lineage_key(first, {}, code="1") == "3f368fd6a143f197"
    assert lineage_key(second, {"first": "a"}, code="1") == "f5f05953733ced08"


def test_key_depends_on_all_but_body_and_steps() -> None:
    first, _ = stages()
    key = lineage_key(first, {}, code="1")
    assert lineage_key(replace(first, steps=9, body=lambda c: iter(())), {}, code="1") == key
    others = [
        lineage_key(replace(first, name="other"), {}, code="1"),
        lineage_key(replace(first, kind="other"), {}, code="1"),
        lineage_key(replace(first, seed=1), {}, code="1"),
        lineage_key(replace(first, config=WalkConfig(size=65)), {}, code="1"),
        lineage_key(first, {}, code="2"),
        lineage_key(replace(first, inputs=("x",)), {"x": "a"}, code="1"),
        lineage_key(replace(first, inputs=("x",)), {"x": "b"}, code="1"),
    ]
    assert len({key, *others}) == 8


def test_checkout_is_known_by_its_sources() -> None:
    found = code_identity()
    assert found.startswith(f"{accord.__version__}+source.")
    assert len(found.rpartition(".")[2]) == 16


def test_installed_package_is_known_by_its_version(tmp_path: Path) -> None:
    package = Path(accord.__file__).parent
    (tmp_path / "accord").symlink_to(package)
    program = "from accord.pipeline.lineage import code_identity; print(code_identity())"
    told = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True, env={})
    assert told.strip() == accord.__version__


def manifest(**how: object) -> Manifest:
    return Manifest(
        name="second",
        kind="walk",
        key="k",
        code="1",
        seed=0,
        config={"steps": 40, "stride": 0.5, "size": 64},
        inputs={"first": InputEntry(key="a", digest="d")},
        machine=MACHINE,
        files={},
    )


def test_differences_are_told_by_field() -> None:
    _, second = stages()
    assert changes(manifest(), second, {"first": "a"}, code="1") == ()
    changed = replace(second, seed=2, config=WalkConfig(stride=1.0), inputs=("first", "x"))
    assert changes(manifest(), changed, {"first": "b", "x": "c"}, code="2") == (
        "stride 0.5 -> 1.0",
        "seed 0 -> 2",
        "accord's code changed",
        "input first changed",
        "new input x",
    )
    assert changes(manifest(), replace(second, inputs=()), {}, code="1") == ("input first gone",)


def test_a_stages_own_settings_have_the_names_of_its_flags() -> None:
    own = {"epochs": 0.2, "adapter": {"rank": 4}}
    made = replace(manifest(), config={"own": own, "gold": "none"})
    asked = {"own": {"epochs": 1.0, "adapter": {"rank": 8}}, "gold": "none"}
    stage = replace(stages()[1], config=asked)
    assert changes(made, stage, {"first": "a"}, code="1") == (
        "adapter.rank 4 -> 8",
        "epochs 0.2 -> 1.0",
    )


def test_a_changed_setting_is_not_told_as_another_machine() -> None:
    assert machine_told(MACHINE, MACHINE) == ""
    told = machine_told(MACHINE, replace(MACHINE, dtype="bfloat16"))
    assert told == "made with other settings of the machine (dtype float32 -> bfloat16)"
    told = machine_told(MACHINE, replace(MACHINE, dtype="bfloat16", cpu="AVX512"))
    assert told == "made on another machine (dtype float32 -> bfloat16, cpu any -> AVX512)"


def test_machines_differ_by_field() -> None:
    other = Machine(
        device="cuda", dtype="float32", threads=2, micro_batch_tokens=512, torch="none", cpu="any"
    )
    assert machine_changes(MACHINE, other) == ("device cpu -> cuda", "threads 1 -> 2")
    assert machine_changes(other, other) == ()
