"""The engine: exact log-probabilities, reproducible answers, stops, limits, and its log line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from accord.core.errors import ConfigError, DataError
from accord.core.types import Completion, SamplingSettings, StopReason
from accord.models.ragged import Ragged
from accord.models.role import Role
from accord.rollout import engine, sampling
from accord.rollout.engine import TorchSampler
from accord.rollout.llama import LlamaDecoder
from accord.rollout.plain import PlainDecoder
from accord.text.tokenized import Tokenized
from tests.models.workshop import Folders, load, perturb, true_logits, with_adapters

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14], [15, 16, 17, 18]]
STOPS = range(40, 50)
"""Ten of 90 tokens: answers end at many lengths."""
LONG = SamplingSettings(max_tokens=12)


def sample(
    role: Role,
    *,
    n: int = 3,
    settings: SamplingSettings = LONG,
    seed: int = 1,
    fast: bool = True,
    rows: int = engine.ROWS,
    prompts: Sequence[Sequence[int]] = PROMPTS,
) -> list[list[Completion]]:
    sampler = TorchSampler(role, stop_ids=STOPS, fast=fast, rows=rows)
    return sampler.sample(prompts, n=n, settings=settings, seed=seed)


def tokens(said: list[list[Completion]]) -> list[list[tuple[int, ...]]]:
    return [[answer.tokens for answer in group] for group in said]


def logprobs(said: list[list[Completion]]) -> torch.Tensor:
    return torch.tensor([logp for group in said for answer in group for logp in answer.logprobs])


def trained(role: Role, said: list[list[Completion]], temperature: float = 1.0) -> torch.Tensor:
    """The trainer's log-probabilities of the answers."""
    batch = [
        Tokenized.answered(prompt, answer.tokens)
        for prompt, group in zip(PROMPTS, said, strict=True)
        for answer in group
    ]
    with torch.no_grad():
        return role.logprobs(Ragged.of(batch), temperature=temperature)[0]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("llama", {}), ("llama", {"tie_word_embeddings": True}), ("qwen2", {}), ("gpt2", {})],
)
def test_fast_plain_and_trainer_agree(
    folder_of: Folders, kind: str, settings: dict[str, object]
) -> None:
    role = Role(with_adapters(folder_of(kind, **settings), "sft", "ppo"), ("sft", "ppo"))
    fast, plain = sample(role), sample(role, fast=False)
    assert tokens(fast) == tokens(plain)
    torch.testing.assert_close(logprobs(fast), logprobs(plain), atol=2e-5, rtol=0)
    torch.testing.assert_close(logprobs(fast), trained(role, fast), atol=2e-5, rtol=0)
    lengths = {len(answer.tokens) for group in fast for answer in group}
    assert len(lengths) > 3


def test_bfloat16_agrees_within_its_rounding(folder_of: Folders) -> None:
    for train_all in (False, True):
        role = Role(load(folder_of("llama"), "bfloat16", train_all=train_all))
        for fast in (True, False):
            said = sample(role, fast=fast)
            gap = (logprobs(said) - trained(role, said)).abs()
            assert gap.mean().item() < 0.02
            assert gap.max().item() < 0.3


def test_bfloat16_adapters_that_have_grown_agree_as_well(folder_of: Folders) -> None:
    """Adapters added one after the other were a rounding each: .024 nats apart at a second step."""
    backbone = with_adapters(folder_of("llama"), "sft", "ppo", dtype="bfloat16")
    role = Role(backbone, ("sft", "ppo"))
    said = sample(role)
    gap = (logprobs(said) - trained(role, said)).abs()
    fresh = trained(Role(backbone, ("sft",)), said)
    assert gap.mean().item() < 0.002
    assert (fresh - trained(role, said)).abs().mean().item() > 0.1  # the adapter is heard


@pytest.mark.parametrize(
    "settings",
    [
        SamplingSettings(max_tokens=12, temperature=0.7),
        SamplingSettings(max_tokens=12, temperature=1.4, top_k=7, top_p=0.8),
    ],
)
def test_logprobs_are_of_the_distribution_that_was_sampled(
    folder_of: Folders, settings: SamplingSettings
) -> None:
    role = Role(load(folder_of("llama")))
    said = sample(role, settings=settings)
    want = []
    for prompt, group in zip(PROMPTS, said, strict=True):
        for answer in group:
            (logits,) = true_logits(role.backbone, [(*prompt, *answer.tokens)])
            logp = sampling.truncated(logits, settings).log_softmax(-1)
            places = range(len(prompt) - 1, len(prompt) + len(answer.tokens) - 1)
            want += [logp[t, i] for t, i in zip(places, answer.tokens, strict=True)]
    torch.testing.assert_close(logprobs(said), torch.stack(want), atol=2e-5, rtol=0)
    if settings.top_k == 0:
        again = trained(role, said, settings.temperature)
        torch.testing.assert_close(logprobs(said), again, atol=2e-5, rtol=0)


def test_an_answer_ends_with_its_first_stop_token(folder_of: Folders) -> None:
    said = [answer for group in sample(Role(load(folder_of("llama"))), n=8) for answer in group]
    for answer in said:
        assert not set(answer.tokens[:-1]) & set(STOPS)
        assert (answer.tokens[-1] in STOPS) == (answer.stop is StopReason.STOP)
        assert len(answer.tokens) <= 12
        assert answer.stop is StopReason.STOP or len(answer.tokens) == 12
    assert {answer.stop for answer in said} == set(StopReason)
    # A stop token at the last place allowed is a stop.
    short = sample(Role(load(folder_of("llama"))), n=40, settings=SamplingSettings(max_tokens=1))
    reasons = {a.stop for group in short for a in group if a.tokens[0] in STOPS}
    assert reasons == {StopReason.STOP}


def test_seeds_reproduce_and_differ(folder_of: Folders) -> None:
    role = Role(load(folder_of("llama")))
    one = sample(role)
    assert sample(role) == one
    assert tokens(sample(role, seed=2)) != tokens(one)
    assert len({answer.tokens for group in one for answer in group}) > 9  # samples differ


@pytest.mark.parametrize("fast", [True, False])
def test_company_changes_no_answer(folder_of: Folders, fast: bool) -> None:
    """In few calls or many, with rows leaving or not: every row says the same."""
    role = Role(load(folder_of("llama")))
    together = sample(role, n=4, fast=fast)
    by_prompt = sample(role, n=4, rows=4, fast=fast)
    assert tokens(by_prompt) == tokens(together)
    torch.testing.assert_close(logprobs(by_prompt), logprobs(together), atol=2e-5, rtol=0)
    alone = sample(role, n=1, prompts=PROMPTS[:1], fast=fast)
    assert alone[0][0].tokens == together[0][0].tokens


@pytest.mark.parametrize(("rows", "room", "calls"), [(8, 4, 1), (8, 3, 2), (8, 1, 4), (2, 4, 2)])
def test_long_answers_are_sampled_fewer_at_once(
    folder_of: Folders, rows: int, room: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four prompts, one answer each; `room` rows of the longest prompt and answer."""
    prefilled: list[int] = []
    prefill = LlamaDecoder.prefill

    def counted(self: Any, prompts: Sequence[Sequence[int]], n: int, new: int) -> object:
        prefilled.append(len(prompts))
        return prefill(self, prompts, n, new)

    role = Role(load(folder_of("llama")))
    usual = sample(role, n=1)
    monkeypatch.setattr(LlamaDecoder, "prefill", counted)
    longest = max(len(prompt) for prompt in PROMPTS) + LONG.max_tokens
    monkeypatch.setattr(engine, "CACHED", room * longest)
    assert tokens(sample(role, n=1, rows=rows)) == tokens(usual)
    assert len(prefilled) == calls


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_dropping_finished_rows_changes_no_answer(
    folder_of: Folders, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = Role(load(folder_of("llama")))
    usual = sample(role, n=8)
    monkeypatch.setattr(engine, "SHRINK", share)  # 0: never; 1: whenever one has finished
    other = sample(role, n=8)
    assert tokens(other) == tokens(usual)
    torch.testing.assert_close(logprobs(other), logprobs(usual), atol=2e-5, rtol=0)


@pytest.mark.parametrize("fast", [True, False])
def test_a_prompt_is_prefilled_once_and_finished_rows_cost_nothing(
    folder_of: Folders, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = LlamaDecoder if fast else PlainDecoder
    prefilled: list[int] = []
    stepped: list[int] = []
    prefill, step = kind.prefill, kind.step

    def counted_prefill(self: Any, prompts: Sequence[Sequence[int]], n: int, new: int) -> object:
        prefilled.append(len(prompts))
        return prefill(self, prompts, n, new)

    def counted_step(self: Any, cache: Any, token_R: torch.Tensor) -> torch.Tensor:
        stepped.append(len(token_R))
        return step(self, cache, token_R)

    monkeypatch.setattr(kind, "prefill", counted_prefill)
    monkeypatch.setattr(kind, "step", counted_step)
    said = sample(Role(load(folder_of("llama"))), n=8, fast=fast)
    assert prefilled == [4]
    longest = max(len(answer.tokens) for group in said for answer in group)
    assert len(stepped) == longest - 1
    assert stepped[0] > stepped[-1]
    spoken = sum(len(answer.tokens) for group in said for answer in group)
    assert sum(stepped) < (spoken - 32) / engine.SHRINK + longest


def test_the_sampler_reads_the_weights_of_the_moment(tiny_folder: Path) -> None:
    backbone = load(tiny_folder)
    backbone.add_adapter("sft", rank=4, alpha=8, seed=0)
    role = Role(backbone, ("sft",))
    sampler = TorchSampler(role, stop_ids=[1])
    before = sampler.sample(PROMPTS, n=2, settings=LONG, seed=0)
    perturb(backbone, "sft", seed=0)
    after = sampler.sample(PROMPTS, n=2, settings=LONG, seed=0)
    assert after != before
    torch.testing.assert_close(logprobs(after), trained(role, after), atol=2e-5, rtol=0)


def test_greedy_takes_transformers_own_choice(folder_of: Folders) -> None:
    role = Role(load(folder_of("llama")))
    said = sample(role, n=1, settings=SamplingSettings(max_tokens=6, temperature=0))
    for prompt, (answer,) in zip(PROMPTS, said, strict=True):
        ids = torch.tensor([prompt])
        theirs = role.backbone.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=6,
            do_sample=False,
            eos_token_id=list(STOPS),
            pad_token_id=0,
        )
        assert answer.tokens == tuple(theirs[0, len(prompt) :].tolist())
        assert set(answer.logprobs) == {0.0}


def test_what_cannot_be_sampled_is_refused(folder_of: Folders) -> None:
    role = Role(load(folder_of("llama")))
    with pytest.raises(DataError, match=r"(?s)no token.*prompt 1"):
        sample(role, prompts=[[1], []])
    with pytest.raises(ConfigError, match=r"(?s)do not fit.*53 \+ 12 tokens, context 64"):
        sample(role, prompts=[[1] * 53])
    assert len(sample(role, prompts=[[1] * 52])) == 1
    with pytest.raises(ConfigError, match="at least 1"):
        sample(role, n=0)
    assert sample(role, prompts=[]) == []


def test_the_log_says_which_decoder_samples(
    folder_of: Folders, caplog: pytest.LogCaptureFixture
) -> None:
    role, other = Role(load(folder_of("llama"))), Role(load(folder_of("gpt2")))
    with caplog.at_level(logging.INFO, "accord"):
        TorchSampler(role, stop_ids=[1])
        TorchSampler(role, stop_ids=[1], fast=False)
        TorchSampler(other, stop_ids=[1])
    assert [record.getMessage() for record in caplog.records] == [
        "sampling from llama by the fast decoder",
        "sampling from llama by the plain decoder",
        "sampling from gpt2 by the plain decoder",
    ]


def test_a_watch_hears_each_token_and_may_end_the_sampling(folder_of: Folders) -> None:
    role = Role(load(folder_of("llama")))
    sampler = TorchSampler(role, stop_ids=STOPS)
    undisturbed = tokens(sample(role))
    heard: list[list[list[int]]] = []

    def watch(rows: Sequence[Sequence[int]]) -> None:
        heard.append([list(row) for row in rows])
        if len(heard) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampler.sample(PROMPTS, n=3, settings=LONG, seed=1, watch=watch)
    assert [max(map(len, rows)) for rows in heard] == [1, 2, 3, 4]
    heard = []
    said = sampler.sample(PROMPTS[:1], n=3, settings=LONG, seed=1, watch=lambda rows: None)
    assert tokens(sample(role)) == undisturbed
    assert tokens(said) == undisturbed[:1]
