"""The loop of a conversation: lines of a pipe and keys of a terminal, with policies of no model."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from accord.cli.chatting import HELP, Chat
from accord.cli.dialogue import Dialogue
from accord.cli.keys import TypedLines, pressed_keys
from accord.cli.main import main
from accord.cli.talk import Talk
from accord.core.errors import AccordError
from accord.core.types import SamplingSettings
from tests.cli.partners import Parrot
from tests.cli.small import ROOT, environment
from tests.cli.terminal import CONTROL_C, CONTROL_D, READY, Screen, command, plain
from tests.interrupting import heard

PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.cli.test_chatting import chat
sys.exit(chat(sys.argv[1:]))
"""
SAVED = "chat.jsonl"
Piped = Callable[..., tuple[int, str, str]]
UP = "\x1b[A"


def chat(words: list[str]) -> int:
    """`accord chat` with policies of no model: their names, and `--save` for a file."""
    names = [word for word in words if not word.startswith("--")]
    save = Path(SAVED) if "--save" in words else None
    settings = SamplingSettings(max_tokens=10)
    talk = Talk([Parrot(name) for name in names], names, settings=settings, seed=0)
    try:
        with pressed_keys() as keys:
            dialogue = Dialogue(Console(file=sys.stdout, highlight=False), keys)
            Chat(talk, dialogue, sources=names, save=save, quiet="--quiet" in words).run()
    except AccordError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


@pytest.fixture
def piped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Piped:
    """`piped(lines, *words)`: exit code, standard output and errors of a chat whose messages come
    through a pipe."""
    monkeypatch.chdir(tmp_path)

    def piped(typed: str | bytes, *words: str) -> tuple[int, str, str]:
        raw = typed.encode() if isinstance(typed, str) else typed
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
        code = chat(list(words))
        return code, *capsys.readouterr()

    return piped


@contextmanager
def seated(folder: Path, *words: str, columns: int = 80) -> Iterator[Screen]:
    """A chat in a terminal, waiting for a message."""
    with command(folder, *words, columns=columns, program=chat) as screen:
        screen.until(READY)
        yield screen


def told(screen: Screen, line: str) -> str:
    """What is shown between a line that somebody types and the next prompt, as it reads."""
    screen.press(f"{line}\n")
    return plain(screen.until(READY))


def saved(folder: Path, name: str = SAVED) -> list[list[str]]:
    """Words of the messages of each conversation that was saved."""
    rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    return [[message["content"] for message in row["messages"]] for row in rows]


def test_each_line_of_a_pipe_is_a_message(piped: Piped) -> None:
    code, out, err = piped("one\n\n//two\n/back\n/again\nthree", "ann")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [lines[0], lines[2], lines[4]] == ["> one", "> /two", "taken back: /two"]
    assert lines[1].startswith("ann ")
    assert lines[1].endswith(" one")
    assert lines[5].endswith(" one")
    assert lines[5] != lines[1]
    assert lines[6] == "> three"
    assert len(lines) == 8
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("one\n/agian\ntwo\n", "did you mean /again?"),
        ("/keep 1\n", "there is nothing to choose"),
        ("/back\n", "nothing was said yet"),
        ("one\n/save\n", "/save needs a file"),
        ("one\n/save chat.txt\n", "must show in its ending"),
        ("/temperature warm\n", "a temperature is a number"),
        ("/temperature -1\n", "at least 0"),
        ("silence\n/save chat.jsonl\n", "empty response"),
        ("x" * 999, "this message does not fit"),
        (b"caf\xe9\n", "not UTF-8"),
    ],
)
def test_the_first_error_of_a_pipe_ends_it(
    piped: Piped, tmp_path: Path, typed: str | bytes, why: str
) -> None:
    code, out, err = piped(typed, "ann")
    assert code == 2
    assert why in err
    assert "Traceback" not in err
    assert "two" not in out
    assert list(tmp_path.iterdir()) == []


def test_what_was_said_before_an_error_or_the_end_is_saved(piped: Piped, tmp_path: Path) -> None:
    for typed, code in (("one\n/nowhere\n", 2), ("one\n", 0)):
        (tmp_path / SAVED).unlink(missing_ok=True)
        assert piped(typed, "ann", "--save")[0] == code
        assert saved(tmp_path)[0][0] == "one"
    code, _, err = piped("two\n", "ann", "--save")
    assert code == 2
    assert "something of this name already" in err
    assert saved(tmp_path)[0][0] == "one"
    (tmp_path / SAVED).unlink()
    assert "was not written" in piped("", "ann", "--save")[1]
    assert not (tmp_path / SAVED).exists()


def test_what_is_saved_is_imported_as_demonstrations(
    piped: Piped, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "a \\ tab\tand \N{SNOWMAN}"
    typed = f"/system be kind\n{odd}\ntwo\n/save both.jsonl\n/keep 2\n/save one.jsonl\n"
    code, out, err = piped(typed, "ann", "bob")
    assert code == 0, err
    assert "both.jsonl: 2 conversations of 2 turns" in out
    assert "both go on from what bob said" in out
    assert main(["init", "ws"]) == 0
    for name, count in (("both", 2), ("one", 1)):
        assert main(["import", f"{name}.jsonl", "-w", "ws", "--dev", "0"]) == 0
        assert f"{count} demonstrations as '{name}'" in capsys.readouterr().out
        assert main(["export", name, f"again-{name}.jsonl", "-w", "ws"]) == 0
        assert sorted(saved(tmp_path, f"again-{name}.jsonl")) == sorted(
            saved(tmp_path, f"{name}.jsonl")
        )
    (bob,) = saved(tmp_path, "one.jsonl")
    assert bob[:2] == ["be kind", odd]
    assert [text.split()[0] for text in bob[2::2]] == ["bob", "bob"]


def test_words_of_one_policy_appear_as_they_come(tmp_path: Path) -> None:
    with seated(tmp_path, "ann") as screen:
        screen.press("wait\n")
        screen.until("...")
        shown = screen.until(" wait")  # while the answer is still made
        assert "\x1b[Kann" in shown
        screen.press(CONTROL_C)
        assert "given up, and nothing changed" in plain(screen.until(READY))
        assert "ann" in told(screen, "hello")
        assert "cut [cut at --max-tokens]" in told(screen, "cut")
        assert "[nothing]" in told(screen, "silence")
        screen.press(CONTROL_D)
        screen.end()


def test_nothing_appears_before_its_end_where_it_is_to_be_quiet(tmp_path: Path) -> None:
    with seated(tmp_path, "ann", "--quiet") as screen:
        screen.press("hello\n")
        shown = screen.until(READY)
        assert "..." not in shown
        assert plain(shown).count("ann") == 1
        screen.press("/quit\n")
        screen.end()


def test_two_answer_beside_one_another_each_with_its_own_history(tmp_path: Path) -> None:
    with seated(tmp_path, "ann", "bob", columns=100) as screen:
        first = told(screen, "one")
        assert any("1 ann" in line and "2 bob" in line for line in first.splitlines())
        assert any(line.count(" one") == 2 for line in first.splitlines())
        assert "both go on from what bob said" in told(screen, "/keep 2")
        assert "/keep takes the number of an answer: 3" in told(screen, "/keep 3")
        told(screen, "two")
        assert "2 conversations of 2 turns" in told(screen, f"/save {SAVED}")
        screen.press(CONTROL_D)
        screen.end()
    of_ann, of_bob = saved(tmp_path)
    assert of_ann[:3] == of_bob[:3]
    assert of_ann[1].startswith("bob ")
    assert of_ann[3].startswith("ann ")
    assert of_bob[3].startswith("bob ")


def test_two_answer_one_below_the_other_on_a_narrow_terminal(tmp_path: Path) -> None:
    with seated(tmp_path, "ann", "bob", columns=99) as screen:
        lines = told(screen, "one").splitlines()
        first = next(at for at, line in enumerate(lines) if line.endswith("1 ann:"))
        assert lines[first + 1].startswith("ann ")
        assert lines[first + 2] == "2 bob:"
        screen.press("wait\n")
        screen.until("ann ... 3 words")
        screen.press(CONTROL_C)
        screen.until("given up")
        screen.until(READY)
        assert "taken back: one" in told(screen, "/back")
        screen.press(CONTROL_D)
        screen.end()


def test_an_error_at_a_terminal_is_told_and_the_chat_goes_on(tmp_path: Path) -> None:
    with seated(tmp_path, "ann") as screen:
        assert "did you mean /again?" in told(screen, "/agian")
        assert "nothing was said yet" in told(screen, "/again")
        assert "this message does not fit" in told(screen, "x" * 995)
        told(screen, "y" * 600)
        assert "/new forgets the conversation" in told(screen, "z" * 600)
        assert "forgotten" in told(screen, "/new")
        assert "zzz" in told(screen, "z" * 600)
        assert "its end may be missing" in told(screen, "w" * 5000)
        assert "temperature 0.7" in told(screen, "/temperature 0.7")
        assert "temperature 0.7" in told(screen, "/temperature")
        assert "/again" in told(screen, "/help")
        screen.press(CONTROL_D)
        screen.end()


def test_at_temperature_0_again_says_that_nothing_changes(tmp_path: Path) -> None:
    with seated(tmp_path, "ann") as screen:
        told(screen, "/temperature 0")
        told(screen, "one")
        assert "always the same" in told(screen, "/again")
        told(screen, "/temperature 1")
        assert "always the same" not in told(screen, "/again")
        screen.press(CONTROL_D)
        screen.end()


def test_lines_that_are_pasted_together_are_one_message(tmp_path: Path) -> None:
    with seated(tmp_path, "ann") as screen:
        screen.press("first\nsecond\n\nthird")
        screen.until(READY)
        screen.press("\n")  # as somebody who pasted would; there is nothing in it
        screen.until(READY)
        told(screen, f"{UP}typed")
        told(screen, f"/save {SAVED}")
        screen.press(CONTROL_D)
        screen.end()
    (row,) = saved(tmp_path)
    assert row[::2] == ["first\nsecond\n\nthird", "typed"]


def test_control_c_at_the_prompt_drops_the_line_and_not_the_chat(tmp_path: Path) -> None:
    with seated(tmp_path, "ann") as screen:
        screen.press("half a")
        screen.until("half a")
        screen.press(CONTROL_C)
        assert "Ctrl-D or /quit ends" in screen.until(READY)
        told(screen, "one")
        told(screen, f"/save {SAVED}")
        screen.press(CONTROL_D)
        screen.end()
    assert saved(tmp_path)[0][0] == "one"


def test_a_conversation_that_cannot_be_saved_in_the_end_is_not_lost(tmp_path: Path) -> None:
    with seated(tmp_path, "ann", "--save") as screen:
        told(screen, "one")
        (tmp_path / SAVED).write_text("somebody else's\n")
        screen.press(CONTROL_D)
        assert "the conversation is still here" in screen.until(READY)
        told(screen, "/save elsewhere.jsonl")
        screen.press(CONTROL_D)
        screen.end()
    assert (tmp_path / SAVED).read_text() == "somebody else's\n"
    assert saved(tmp_path, "elsewhere.jsonl")[0][0] == "one"


def test_control_c_ends_a_pipe_and_keeps_what_was_said(tmp_path: Path) -> None:
    with heard():
        running = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "ann", "--save"],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert running.stdin is not None
    assert running.stdout is not None
    with running:
        running.stdin.write("one\nwait\nthree\n")
        running.stdin.flush()
        while "> wait" not in running.stdout.readline():
            pass
        running.send_signal(2)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 2
    assert "1 message of it answered" in err
    assert "three" not in out
    assert saved(tmp_path)[0][0] == "one"


def test_help_lists_every_command() -> None:
    from rich.console import Console

    out = io.StringIO()
    talk = Talk([], [], settings=SamplingSettings(), seed=0)
    loop = Chat(talk, Dialogue(Console(file=out), TypedLines(io.StringIO())), sources=[])
    assert all(name in HELP for name in (*loop._acts, "/quit"))
    assert max(map(len, HELP.splitlines())) < 80


def test_the_line_to_be_copied_is_whole_and_names_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    console = Console(file=out, highlight=False, width=60)
    talk = Talk([Parrot("ann")], ["ann"], settings=SamplingSettings(max_tokens=10), seed=0)
    keys = TypedLines(io.StringIO("one\n/save my chat.jsonl\n/system be kind\n"))
    here = tmp_path / "my ws"
    Chat(talk, Dialogue(console, keys), sources=["ann"], workspace=here).run()
    assert "accord import 'my chat.jsonl' --workspace 'my ws'\n" in out.getvalue()
    assert "be kind; a new conversation" in out.getvalue()
