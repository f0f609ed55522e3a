"""Runs the benchmarks: `python bench/run.py`, or `--quick` to see only that everything works.

Prints a table and writes every lap to a JSON file. Nothing here passes or fails: a time is a fact
about one machine on one day, and the ratios of one run are what may be compared.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

if TYPE_CHECKING:
    from bench.measure import Result, Spread, Workload
    from bench.workloads import Setting

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("accord", "torch", "transformers", "trl", "peft")
Name = Literal["decode", "shared", "sft", "dpo", "rm"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is measured."""

    workloads: tuple[Name, ...] = ("decode", "shared", "sft", "dpo", "rm")
    """Which workloads, in this order."""
    rounds: int = 3
    """Times that each contestant is measured."""
    lora: bool = False
    """Train adapters of rank 16 in sft, dpo and rm, instead of all weights."""
    quick: bool = False
    """The tiny model and small sizes, one round: shows that everything runs, and no speed."""
    out: Path = ROOT / "build" / "bench.json"
    """Where every figure is written."""


def main() -> None:
    """Measure, print, write."""
    options = tyro.cli(Options, description=__doc__)
    sys.path.insert(0, str(ROOT))  # run as a file, only its own folder is searched
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as scratch:
        setting = _setting(options, Path(scratch))
        results = [
            _measured(workload, options)
            for name in options.workloads
            for workload in _factory(name)(setting)
        ]
        body = {
            "machine": asdict(setting.machine),
            "model": "tiny" if options.quick else "smollm2",
            "rounds": 1 if options.quick else options.rounds,
            "versions": {name: _version(name) for name in LIBRARIES},
            "workloads": [_record(result) for result in results],
        }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    _say(f"written: {options.out}")


def _setting(options: Options, scratch: Path) -> Setting:
    from accord.models.machine import prepare, resolve
    from accord.models.packages import smollm2_folder
    from accord.models.tiny import make_tiny
    from bench.workloads import Setting, Sizes

    machine = resolve()
    prepare(machine)
    if options.quick:
        make_tiny(scratch, seed=0)
        return Setting(folder=scratch, machine=machine, sizes=Sizes().quick(), lora=options.lora)
    return Setting(folder=smollm2_folder(), machine=machine, sizes=Sizes(), lora=options.lora)


def _factory(name: Name) -> Callable[[Setting], Iterator[Workload]]:
    from bench.decode import decode, shared
    from bench.dpo import dpo
    from bench.reward import rm
    from bench.sft import sft

    return {"decode": decode, "shared": shared, "sft": sft, "dpo": dpo, "rm": rm}[name]


def _measured(workload: Workload, options: Options) -> Result:
    from bench.measure import alternate

    result = alternate(workload, rounds=1 if options.quick else options.rounds, say=_say)
    print("\n".join(_table(result)), flush=True)
    return result


def _table(result: Result) -> Iterator[str]:
    workload = result.workload
    yield f"\n{workload.name}: {workload.about}"
    for figure, tokens in workload.tokens.items():
        for name, laps in result.laps.items():
            took = _spread(result, figure, name)
            memory = [lap.gib for lap in laps if lap.gib is not None]
            yield (
                f"  {figure:<12} {name:<32}"
                f" {took.median:8.3f} s ({took.low:.3f} to {took.high:.3f})"
                f" {tokens / took.median:8,.0f} tokens/s"
                + (f"  {max(memory):5.2f} GiB" if memory else "")
            )
        ratio = result.ratio(figure)
        if ratio is not None:
            yield (
                f"  {figure:<12} {workload.ours} against {result.fastest_peer(figure)}: "
                f"{ratio.median:.2f}x ({ratio.low:.2f} to {ratio.high:.2f})"
            )
    for name, laps in result.laps.items():
        if laps[0].losses:
            yield f"  losses       {name:<32} " + " ".join(f"{x:.4f}" for x in laps[0].losses)
    for why in workload.left_out:
        yield f"  left out: {why}"


def _record(result: Result) -> dict[str, Any]:
    workload = result.workload
    ratios = {figure: result.ratio(figure) for figure in workload.tokens}
    return {
        "name": workload.name,
        "about": workload.about,
        "tokens": dict(workload.tokens),
        "laps": {name: [asdict(lap) for lap in laps] for name, laps in result.laps.items()},
        "ratios": {
            figure: {"peer": result.fastest_peer(figure), **asdict(ratio)}
            for figure, ratio in ratios.items()
            if ratio is not None
        },
        "left_out": list(workload.left_out),
    }


def _spread(result: Result, figure: str, name: str) -> Spread:
    from bench.measure import spread

    return spread(result.seconds(figure, name))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
