"""Sampling: `decode` with one answer a prompt, `shared` with several.

Both sides sample at temperature 1 from the whole vocabulary, nothing ends an answer early, and
weights are in the machine's dtype. Decode only is the time of all new tokens less that of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from accord.core.types import SamplingSettings
from accord.models.backbone import Backbone
from accord.models.role import Role
from accord.rollout.engine import TorchSampler
from bench import peers, workloads
from bench.measure import Lap, Runner, Workload, now
from bench.workloads import Setting

OURS = "accord"


def decode(setting: Setting) -> Iterator[Workload]:
    """One workload a batch size."""
    sizes = setting.sizes
    for batch in sizes.batches:
        yield _workload(
            setting,
            f"decode, batch {batch}",
            workloads.prompts(setting, batch, sizes.prompt_tokens),
            n=1,
            new=sizes.new_tokens,
        )


def shared(setting: Setting) -> Iterator[Workload]:
    """Several answers to each of a few long prompts."""
    sizes = setting.sizes
    yield _workload(
        setting,
        f"shared prompts, {sizes.shared_prompts} x {sizes.shared_samples}",
        workloads.prompts(setting, sizes.shared_prompts, sizes.shared_tokens),
        n=sizes.shared_samples,
        new=sizes.shared_new,
    )


def _workload(
    setting: Setting, name: str, prompts: list[list[int]], *, n: int, new: int
) -> Workload:
    rows = len(prompts) * n
    theirs = peers.generators(setting, prompts, n)
    runners: dict[str, Runner] = {OURS: _timed(_accord(setting, prompts, n), new)}
    runners |= {peer: _timed(sample, new) for peer, sample in theirs.items()}
    return Workload(
        name=name,
        about=f"{len(prompts)} prompts of {len(prompts[0])} tokens, {n} answers each of {new}",
        runners=runners,
        ours=OURS,
        peers=tuple(theirs),
        tokens={"decode only": rows * (new - 1), "end to end": rows * new},
        warm=True,
    )


def _accord(setting: Setting, prompts: list[list[int]], n: int) -> Callable[[int], None]:
    backbone = Backbone.load(setting.folder, machine=setting.machine)
    sampler = TorchSampler(Role(backbone), stop_ids=[])

    def sample(new: int) -> None:
        said = sampler.sample(prompts, n=n, settings=SamplingSettings(max_tokens=new), seed=0)
        assert all(len(answer.tokens) == new for group in said for answer in group)

    return sample


def _timed(sample: Callable[[int], None], new: int) -> Runner:
    def lap() -> Lap:
        start = now()
        sample(1)
        middle = now()
        sample(new)
        whole = now() - middle
        return Lap(seconds={"decode only": whole - (middle - start), "end to end": whole})

    return lap
