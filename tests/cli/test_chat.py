"""`accord chat` and `accord sample --against` with real policies of the tiny world."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from accord.cli.main import main
from tests.cli.small import SMALL
from tests.cli.terminal import CONTROL_C, CONTROL_D, READY, command, plain
from tests.e2e.small import make, run

pytest.importorskip("torch")
pytestmark = pytest.mark.slow
FOX = "Tell me about the fox."


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a pretrained policy and one of SFT."""
    folder = make(tmp_path_factory.mktemp("chat") / "ws", SMALL)
    run(folder, "run", "--to", "sft")
    return folder


@pytest.fixture
def workspace(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command that ends well prints."""
    capsys.readouterr()
    assert main(words) == 0
    return capsys.readouterr().out


def chat(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: str, *flags: str
) -> str:
    """What `accord chat` prints for the lines of a pipe."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    return told(capsys, "chat", "--max-tokens", "16", *flags)


def blocks(shown: str) -> dict[str, str]:
    """What stands under each name."""
    parts = re.split(r"^([\w-]+(?: \(\d of \d\))?):\n", shown, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_two_policies_say_what_each_says_alone(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", FOX, "--max-tokens", "12", "--seed", "5"]
    alone = {name: told(capsys, *words, "--stage", name) for name in ("sft", "pretrain")}
    both = told(capsys, *words, "--stage", "sft", "--against", "pretrain")
    assert blocks(both) == alone
    assert alone["sft"] != alone["pretrain"]


def test_answers_of_one_number_stand_together(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", FOX, "And you?", "--n", "2", "--max-tokens", "8", "--against", "pretrain"]
    shown = told(capsys, *words)
    assert re.findall(r"^> .*", shown, re.MULTILINE) == [f"> {FOX}", "> And you?"]
    names = re.findall(r"^(\w+ \(\d of 2\)):$", shown, re.MULTILINE)
    assert names == ["sft (1 of 2)", "pretrain (1 of 2)", "sft (2 of 2)", "pretrain (2 of 2)"] * 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["sample", FOX, "--against", "sft"], "this policy is named twice"),
        (["sample", FOX, "--against", "reward"], "this is no policy"),
        (["sample", FOX, "--against", "pretrain", "ppo"], "there is no ppo yet"),
        (["sample", "--against", "pretrain", FOX], "put it before --against"),
        (["chat", "--against", "sft"], "this policy is named twice"),
        (["chat", "--stage", "nothing"], "this is no policy"),
        (["chat", "--against", "sft-0"], "no such artifact"),
        (["chat", "--agianst", "sft"], "did you mean --against?"),
        (["chat", "--top-p", "2"], "top_p must lie in (0, 1]"),
        (["chat", "--max-tokens", "0"], "max_tokens must be at least 1"),
        (["chat", "--save", "accord.toml"], "must show in its ending"),
        (["chat", "--save", "nowhere/chat.jsonl"], "no such folder"),
        (["chat", "hello"], "a word too many"),
    ],
)
def test_what_cannot_be_asked_is_one_error(
    workspace: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert why in err
    assert err.startswith("error: ")
    assert out == ""


def test_a_chat_is_the_same_with_the_same_seed_and_is_imported(
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = f"{FOX}\n/again\nAnd the hen?\n"
    flags = ["--against", "pretrain", "--system", "Be brief."]
    shown = chat(monkeypatch, capsys, lines, *flags, "--save", str(tmp_path / "a.jsonl"))
    assert shown.count("1 sft:") == shown.count("2 pretrain:") == 3
    chat(monkeypatch, capsys, lines, *flags, "--save", str(tmp_path / "b.jsonl"))
    first = (tmp_path / "a.jsonl").read_text()
    assert first == (tmp_path / "b.jsonl").read_text()
    rows = [json.loads(line) for line in first.splitlines()]
    assert [[m["role"] for m in row["messages"]] for row in rows] == [
        ["system", "user", "assistant", "user", "assistant"]
    ] * 2
    assert [row["source"].split("-")[0] for row in rows] == ["chat with sft", "chat with pretrain"]
    chat(monkeypatch, capsys, lines, *flags, "--seed", "1", "--save", str(tmp_path / "c.jsonl"))
    assert first != (tmp_path / "c.jsonl").read_text()
    out = told(capsys, "import", str(tmp_path / "a.jsonl"), "--dev", "0")
    assert "2 demonstrations as 'a': 2 train" in out


def test_a_full_context_says_what_to_do(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{FOX}\n" * 40))
    assert main(["chat", "--max-tokens", "60"]) == 2
    out, err = capsys.readouterr()
    assert out.count(f"> {FOX}") > 2
    assert "the conversation no longer fits" in err
    assert "/back takes its last turn back" in err


def test_a_conversation_at_a_real_terminal(workspace: Path, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    flags = ("chat", "--against", "pretrain", "--max-tokens", "30")
    with command(workspace, *flags, "--save", str(file), columns=100) as screen:
        screen.until("/help lists what can be typed")
        screen.until(READY)
        screen.press(f"{FOX}\n")
        shown = plain(screen.until(READY))
        assert any("1 sft" in line and "2 pretrain" in line for line in shown.splitlines())
        screen.press("/keep 2\n")
        screen.until("both go on from what pretrain said")
        screen.until(READY)
        screen.press("And the hen?\n")
        screen.until(READY)
        screen.press("/back\n")
        screen.until("taken back: And the hen?")
        screen.until(READY)
        screen.press(CONTROL_D)
        screen.until("1 conversation of 1 turn")
        screen.end()
    (row,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"]


def test_control_c_gives_up_an_answer_of_a_real_policy(workspace: Path) -> None:
    with command(workspace, "chat", "--stage", "pretrain", "--max-tokens", "400") as screen:
        screen.until(READY)
        for _ in range(60):  # an answer may be over before the key arrives
            screen.press(f"{FOX}\n")
            screen.until("...")
            screen.press(CONTROL_C)
            shown = screen.until(READY)
            if "given up" in shown:
                break
            if "/quit ends" not in shown:
                screen.until("/quit ends")
                screen.until(READY)
        else:
            pytest.fail(screen.shown)
        screen.press("/again\n")
        screen.until(READY)
        screen.press(CONTROL_D)
        screen.end()
