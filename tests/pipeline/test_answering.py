"""Finished policies in memory together: they answer as each does alone, on one copy of the base."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from accord.core.errors import ConfigError
from accord.core.types import Conversation, SamplingSettings
from tests.cli.small import SMALL
from tests.e2e.small import make, run
from tests.pipeline.toy import MACHINE

pytest.importorskip("torch")

from accord.pipeline.answering import Voice, find_policies, load_voices, names_of
from accord.pipeline.artifact import Artifact
from accord.pipeline.workspace import Workspace

pytestmark = pytest.mark.slow
ASKED = [Conversation.of(f"Tell me about the {animal}.") for animal in ("fox", "hen", "cat")]
SETTINGS = SamplingSettings(max_tokens=24)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a base, two SFT policies of different seeds, and one whose weights all
    trained."""
    folder = make(tmp_path_factory.mktemp("answering") / "ws", SMALL)
    run(folder, "run", "--to", "sft")
    run(folder, "sft", "--seed", "1", "--optimizer.learning-rate", "0.02")
    run(folder, "sft", "--adapter.rank", "0", "--optimizer.learning-rate", "0.002")
    return Workspace(folder)


def policies(workspace: Workspace) -> list[Artifact]:
    """Every artifact that can answer: pretrained, and the three of SFT."""
    names = sorted(path.name for path in workspace.artifacts.iterdir())
    return find_policies(
        workspace, (), [n for n in names if n.split("-")[0] in ("pretrain", "sft")]
    )


def said(voice: Voice, seed: int = 0) -> list[str]:
    groups = voice.respond(ASKED, settings=SETTINGS, n=2, seed=seed)
    return [answer.text for group in groups for answer in group]


def test_together_they_say_what_each_says_alone(trained: Workspace) -> None:
    chosen = policies(trained)
    assert len(chosen) == 4
    alone = [said(Voice(trained, policy, MACHINE)) for policy in chosen]
    assert len({tuple(texts) for texts in alone}) == 4
    voices = load_voices(trained, chosen, MACHINE)
    assert [said(voice) for voice in voices] == alone
    assert [said(voice) for voice in reversed(voices)] == alone[::-1]
    assert len({voice.digest for voice in voices}) == 4


def test_the_weights_of_the_base_are_read_once(trained: Workspace) -> None:
    voices = load_voices(trained, policies(trained), MACHINE)
    bases = {id(voice._role.backbone) for voice in voices}
    whole = [voice for voice in voices if not voice._role.adapters]
    assert len(bases) == 2  # the base, and the one whose weights all trained
    assert len(whole) == 2


def test_answers_are_heard_as_they_grow_and_may_be_given_up(trained: Workspace) -> None:
    first, second, *_ = load_voices(trained, policies(trained), MACHINE)
    before = said(first), said(second)
    heard: list[list[str]] = []

    def listen(texts: Sequence[str]) -> None:
        heard.append(list(texts))
        if len(heard) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        second.respond(ASKED[:1], settings=SETTINGS, n=1, seed=0, watch=listen)
    assert len(heard) == 5
    assert (said(first), said(second)) == before
    heard.clear()
    ((answer,),) = second.respond(
        ASKED[:1], settings=SETTINGS, n=1, seed=0, watch=lambda texts: heard.append(list(texts))
    )
    assert answer.text == before[1][0]
    assert heard[-1] == [answer.text]
    assert len(heard) == len(answer.tokens)


def test_a_policy_has_the_name_of_its_stage_unless_two_have_it(trained: Workspace) -> None:
    pretrain, first, second, _ = policies(trained)
    assert names_of([pretrain, first]) == ["pretrain", "sft"]
    assert names_of([first, pretrain, second]) == [
        f"sft-{first.key}",
        "pretrain",
        f"sft-{second.key}",
    ]


def test_one_policy_under_two_names_is_refused(trained: Workspace) -> None:
    newest = max(
        (policy for policy in policies(trained) if policy.name == "sft"),
        key=lambda policy: policy.manifest.ended,
    )
    with pytest.raises(ConfigError, match="named twice") as caught:
        find_policies(trained, (), ["pretrain", "sft", f"sft-{newest.key}"])
    assert caught.value.got == f"sft-{newest.key}"
    with pytest.raises(ConfigError, match="this is no policy"):
        find_policies(trained, (), ["sft", "reward"])
