"""`make proof`: the film quickstart over seeds, and planted faults that must fail as predicted.

    python -m bench.proof [FOLDER] [--seeds 5] [--faults 2] [--workers N]

Each seed has a workspace of its own in FOLDER (default ./accord-proof) with all arms of `accord
quickstart --all`; each fault of a seed has another, with the artifacts that the fault does not
touch linked from the seed's. Runs are processes of their own, N at once (2 on a processor, which
they share out, 1 on a GPU), with a log each: two runs of one thread end sooner than one after the
other with two threads. Stopped and started again, it goes on where it was. The table is printed,
and everything is written to FOLDER/proof.json; it ends with 3 where a prediction failed.

Seeds differ in training, in what is sampled and in which prompts are asked. The split of the film
reviews, the texts that are used and the habits of the simulated raters are the same for all:
intervals over seeds say nothing about other texts or other raters.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from accord.cli.commands import Options
from accord.cli.films import bring_data, run_films
from accord.cli.session import Session, open_session
from accord.core.errors import AccordError
from accord.pipeline.artifact import METRICS
from accord.pipeline.runner import Outcome
from accord.pipeline.workspace import Workspace
from accord.stats import intervals
from accord.telemetry.rows import read
from accord.telemetry.terminal import clock
from bench.faults import FAULTS, PROMPTS, Fault, Figures, kl_of, policy_of

ROOT = Path(__file__).resolve().parents[1]
ARMS = ("sft told", "base told", "best of 4", "top", "dpo", "ppo")
DATA = ("base-", "films")
"""What every seed takes over from the first."""
MADE = (*DATA, "sft-", "judge-", "reward-", "round-")
"""What a fault's workspace takes over from its seed's; what the fault touches has another key."""
SETTINGS = f"""\
recipe = "films-all"
eval = {{ prompts = {PROMPTS} }}
"""
FIGURES = "figures.json"
"""What a run leaves in its workspace."""
FAILED = 3
"""How the program ends where a prediction did not come true."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One workspace of the proof: a seed's, or a fault's in a seed."""

    seed: int
    fault: Fault | None = None

    @property
    def name(self) -> str:
        """Of its folder, its log and `--only`."""
        fault = f"-{self.fault.name.replace(' ', '-')}" if self.fault else ""
        return f"seed-{self.seed}{fault}"


RUNS = {
    run.name: run
    for seed in range(100)
    for run in (Run(seed=seed), *(Run(seed=seed, fault=fault) for fault in FAULTS))
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What is to be run where, and the processes that run."""

    folder: Path
    seeds: int
    faulty: int
    """Seeds that faults are planted in."""
    workers: int
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)

    @property
    def runs(self) -> list[Run]:
        """Seeds first: the faults of one wait for it."""
        planted = [Run(seed=seed, fault=one) for seed in range(self.faulty) for one in FAULTS]
        return [*(Run(seed=seed) for seed in range(self.seeds)), *planted]

    def run(self) -> None:
        """Run everything; a run that ends with an error ends the others.

        Raises AccordError, which names the run and its log.
        """
        waiting, done, began = self.runs, set[Run](), time.monotonic()
        with ThreadPoolExecutor(self.workers) as pool:
            at_work: dict[Future[None], Run] = {}
            try:
                while waiting or at_work:
                    ready = [one for one in waiting if not one.fault or Run(seed=one.seed) in done]
                    for one in ready[: self.workers - len(at_work)]:
                        waiting.remove(one)
                        at_work[pool.submit(self._process, one)] = one
                    ended, _ = wait(at_work, return_when=FIRST_COMPLETED)
                    for future in ended:
                        one = at_work.pop(future)
                        future.result()
                        done.add(one)
                        spent = clock(time.monotonic() - began)
                        print(f"{one.name} is done: {len(done)} of {len(self.runs)}, {spent}")
                        self._write(time.monotonic() - began)
            finally:
                for process in self.running:
                    process.terminate()

    def _process(self, one: Run) -> None:
        log = self.folder / f"{one.name}.log"
        print(f"{one.name} begins; its log is {log}", flush=True)
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        # Threads that wait do not spin for long: `accord` sets the same for its commands.
        env = {"GOMP_SPINCOUNT": "10000", "OMP_NUM_THREADS": str(threads), **os.environ}
        words = [sys.executable, "-m", "bench.proof", str(self.folder), "--only", one.name]
        with log.open("ab") as out:
            process = subprocess.Popen(words, stdout=out, stderr=out, env=env, cwd=ROOT)
            self.running.add(process)
            code = process.wait()
            self.running.discard(process)
        if code:
            raise AccordError(
                "a run of the proof ended early",
                where=str(log),
                got=f"exit code {code}",
                do="read its log; started again, the proof goes on from there",
            )

    def figures(self) -> tuple[dict[int, Figures], dict[str, dict[int, Figures]]]:
        """What is done, by seed, and by fault and seed."""
        seeds: dict[int, Figures] = {}
        faults: dict[str, dict[int, Figures]] = {fault.name: {} for fault in FAULTS}
        for one in self.runs:
            found = self.folder / one.name / FIGURES
            if found.is_file():
                own = faults[one.fault.name] if one.fault else seeds
                own[one.seed] = json.loads(found.read_text())
        return seeds, faults

    def _write(self, seconds: float) -> None:
        seeds, faults = self.figures()
        body = {
            "seeds": seeds,
            "faults": faults,
            "workers": self.workers,
            "seconds_of_this_start": seconds,
        }
        (self.folder / "proof.json").write_text(json.dumps(body, indent=1) + "\n")


def main() -> int:
    """Run what is missing, print the table and write proof.json; 3 where a prediction failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("accord-proof"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--faults", type=int, default=2, help="seeds that faults are planted in")
    parser.add_argument("--workers", type=int, help="runs at once (default: 2, on a GPU 1)")
    parser.add_argument("--only", choices=RUNS, metavar="RUN", help="one run here, as seed-3")
    asked = parser.parse_args()
    if asked.only:
        make(RUNS[asked.only], asked.folder)
        return 0
    proof = Proof(
        folder=asked.folder.resolve(),
        seeds=asked.seeds,
        faulty=min(asked.faults, asked.seeds),
        workers=asked.workers or (1 if _on_gpu() else min(2, os.cpu_count() or 1)),
    )
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    proof.folder.mkdir(parents=True, exist_ok=True)
    bring(proof.folder)
    try:
        proof.run()
    except AccordError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    seeds, faults = proof.figures()
    print(table(seeds, faults))
    came = [_came(fault, seeds, faults) for fault in FAULTS]
    return 0 if all(all(one) for one in came) else FAILED


def _on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def bring(folder: Path) -> None:
    """The data that all seeds take from the first."""
    session = _session(folder / "seed-0", SETTINGS, 0, shared=None, takes=())
    bring_data(session)
    session.run(to="base")


def make(one: Run, folder: Path) -> None:
    """Make what this run lacks, and leave its figures in its workspace."""
    place = folder / one.name
    if one.fault is None:
        shared = folder / "seed-0" if one.seed else None
        session = _session(place, SETTINGS, one.seed, shared=shared, takes=DATA)
        found = _figures(run_films(session))
    else:
        seed = folder / Run(seed=one.seed).name
        session = _session(place, one.fault.settings, one.seed, shared=seed, takes=MADE)
        found = _faulty(one.fault, session)
    begun = place / f".{FIGURES}"
    begun.write_text(json.dumps(found, indent=1) + "\n")
    begun.rename(place / FIGURES)


def _faulty(fault: Fault, session: Session) -> dict[str, Any]:
    """The faulty run's figures, or the error that it ended with."""
    fault.prepare(session.workspace)
    try:
        return _figures(session.run())
    except AccordError as error:
        print(f"{session.workspace.root}: {error}", file=sys.stderr)
        return {"error": str(error)}


def _came(
    fault: Fault, seeds: Mapping[int, Figures], faults: Mapping[str, Mapping[int, Figures]]
) -> list[bool]:
    """By seed; a run that ended with an error did not fail as predicted."""
    runs = faults.get(fault.name, {})
    return ["error" not in bad and fault.came(seeds[seed], bad) for seed, bad in runs.items()]


def _session(
    place: Path, settings: str, seed: int, *, shared: Path | None, takes: Sequence[str]
) -> Session:
    """A workspace with these settings, and what it takes over from another one."""
    if not (place / "accord.toml").is_file():
        Workspace.create(place, "films-all")
    (place / "accord.toml").write_text(f"seed = {seed}\n{settings}")
    if shared is not None:
        for folder in sorted((shared / "artifacts").iterdir()):
            if folder.name.startswith(tuple(takes)):
                _link(folder, place / "artifacts" / folder.name)
        for pointer in (shared / "data").glob("*.json"):
            if pointer.name.startswith(tuple(takes)):
                shutil.copy(pointer, place / "data" / pointer.name)
    return open_session(Options(command="proof", workspace=place))


def _link(folder: Path, there: Path) -> None:
    """The same files under another name; whole, or not there."""
    if not there.exists():
        begun = there.with_name(f".{there.name}")
        shutil.rmtree(begun, ignore_errors=True)
        shutil.copytree(folder, begun, copy_function=os.link)
        begun.rename(there)


def _figures(outcomes: list[Outcome]) -> dict[str, Any]:
    made = {one.stage: one.artifact for one in outcomes}
    rows = read(made["ppo"].folder / METRICS)
    return {
        "evaluation": made["eval"].manifest.figures["evaluation"],
        "audit": made["reward"].manifest.figures["audit"],
        "curve": [
            {"kl": row["kl/sequence"], "gold": row["reward/gold"], "score": row["reward/score"]}
            for row in rows
        ],
        "machine": str(made["eval"].manifest.machine),
        "seconds": {name: artifact.manifest.seconds for name, artifact in made.items()},
    }


def table(seeds: Mapping[int, Figures], faults: Mapping[str, Mapping[int, Figures]]) -> str:
    """Changes of the judge's grade over seeds, and what became of each fault, as Markdown."""
    lines = [
        "| arm | grade, change from SFT | by seed | KL, nats | distinct-2 of SFT's | log-prob. |",
        "|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        runs = [one["evaluation"] for one in seeds.values() if arm in one["evaluation"]["changes"]]
        if not runs:
            continue
        gains = [run["changes"][arm]["gold"]["value"] for run in runs]
        mine = [run["policies"][arm] for run in runs]
        start = [run["policies"][run["before"]] for run in runs]
        kl = np.mean([one["kl"]["value"] for one in mine])
        pairs = list(zip(mine, start, strict=True))
        kept = np.mean([one["distinct"]["value"] / sft["distinct"]["value"] for one, sft in pairs])
        logp = [one["start_logp"]["value"] - sft["start_logp"]["value"] for one, sft in pairs]
        by_seed = " ".join(f"{gain:+.2f}" for gain in gains)
        lines.append(
            f"| {arm} | {_over_seeds(gains)} | {by_seed} | {kl:.1f} | {kept:.0%} | "
            f"{np.mean(logp):+.2f} |"
        )
    lines += [
        "",
        "| fault | predicted | came true | PPO's grade by seed (unplanted) | KL (unplanted) |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        planted = faults.get(fault.name, {})
        came = _came(fault, seeds, faults)
        cells = [
            " ".join(
                "error" if "error" in bad else f"{show(bad):+.2f} ({show(seeds[seed]):+.2f})"
                for seed, bad in planted.items()
            )
            for show in (lambda found: policy_of(found, "gold")["value"], kl_of)
        ]
        lines.append(
            f"| {fault.name} | {fault.predicted} | {sum(came)} of {len(came)} | "
            f"{' | '.join(cells)} |"
        )
    return "\n".join(lines)


def _over_seeds(gains: list[float]) -> str:
    if len(gains) < 2:
        return f"{gains[0]:+.2f}"
    found = intervals.mean(gains)
    return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


if __name__ == "__main__":
    sys.exit(main())
