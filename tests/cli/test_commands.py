"""The command line without torch: help, flags, errors, init, import, status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import accord as package
from accord.algorithms.settings import DPOConfig, KLEstimator, PairLoss
from accord.algorithms.settings.ppo import KLSettings
from accord.cli.commands import BY_NAME, COMMANDS, overview
from accord.cli.flags import parse
from accord.cli.importing import Import
from accord.cli.main import main
from accord.core.errors import InterruptedRun, InvariantError
from accord.pipeline.config import STAGES
from tests.cli.small import SMALL, environment
from tests.forked import accord

HEAVY = ("torch", "transformers", "pyarrow", "matplotlib", "tyro", "rich", "numpy")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def workspace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace for one's own data, entered."""
    assert main(["init", "ws"]) == 0
    monkeypatch.chdir(folder / "ws")
    return folder / "ws"


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pairs(n: int = 40) -> list[dict[str, object]]:
    return [
        {"prompt": f"Name a colour, take {i}.", "chosen": "Blue.", "rejected": f"No, {i}."}
        for i in range(n)
    ]


def test_overview_is_grouped_and_complete() -> None:
    text = overview()
    for command in COMMANDS:
        assert f"  {command.name}" in text
        assert command.summary in text
        assert f"{command.group}:" in text
    for flag in ("--workspace", "--quiet", "--debug", "--version"):
        assert flag in text


def test_every_stage_has_a_command() -> None:
    """Messages name them: "reward needs compare: `accord compare`"."""
    assert [name for name in STAGES if BY_NAME[name].module != "stage"] == []


def test_help_is_fast_and_loads_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; from accord.cli import main; code = main([]); "
        f"print([n for n in {HEAVY!r} if n in sys.modules], code)"
    )
    command = [sys.executable, "-c", program]
    best = 60.0
    for _ in range(3):
        begun = time.perf_counter()
        told = subprocess.check_output(command, env=environment(), cwd=tmp_path, text=True)
        best = min(best, time.perf_counter() - begun)
        assert told.endswith("[] 0\n")
    assert best < 0.3


def test_status_and_settings_load_no_torch(workspace: Path) -> None:
    program = (
        "import sys; from accord.cli import main; code = main(['status']); "
        "print([n for n in ('torch', 'transformers') if n in sys.modules], code)"
    )
    told = subprocess.check_output(
        [sys.executable, "-c", program], env=environment(), cwd=workspace, text=True
    )
    assert told.endswith("[] 0\n")


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_command_explains_itself(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert f"accord {name}" in told
    assert "--workspace DIR" in told


def test_stage_flags_are_the_fields_with_their_docstrings(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["ppo", "--help"])
    told = " ".join(capsys.readouterr().out.replace("\u2502", " ").split())
    assert "--kl.coefficient FLOAT Price of one nat of per-token KL, in score." in told
    assert "--optimizer.learning-rate" in told
    assert "(default: 40)" in told


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"accord {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pppo"], "did you mean `accord ppo`?"),
        (["--sted"], "no such option"),
        (["-w"], "needs a folder"),
        (["status"], "accord init"),
        (["status", "-w", "nowhere"], "no workspace"),
        (["run", "--workspace=nowhere"], "no workspace"),
        (["init", "ws", "--recipe", "tyni"], "smollm2, tiny"),
        (["import", "none.jsonl"], "no such file"),
        (["sample"], "nothing is asked"),
    ],
)
def test_mistakes_are_one_message_and_exit_2(
    folder: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert out == ""
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ppo", "--stpes", "3"], "did you mean --steps?"),
        (["ppo", "--kl.coeficient=3"], "did you mean --kl.coefficient?"),
        (["ppo", "--steps", "three"], "--steps takes a whole number\n  got:   three\n"),
        (["ppo", "--steps", "0"], "steps must be at least 1\n  got:   0\n"),
        (["ppo", "--kl.budget", "much"], "--kl.budget takes a number or none\n  got:   much\n"),
        (["ppo", "--kl.budget"], "--kl.budget needs a value"),
        (["dpo", "--loss", "hinges"], "did you mean hinge? use one of sigmoid, hinge, exo, nca,"),
        (["dpo", "--loss", "exo"], "smoothing must be above 0 with EXO"),
        (["dpo", "--loss", "ipo"], "it is a command, `accord ipo`; or use one of sigmoid,"),
        (["dpo", "--loss", "bco_pair"], "did you mean bco?"),
        (["grpo", "--epsilon", "0.2"], "did you mean --clip?"),
        (["orpo", "--beta", "1"], "did you mean --lam?"),
        (["rloo", "--baseline"], "do:    `accord rloo --help` lists every option\n"),
        (["cpo"], "it is `accord dpo --reference-free --nll 1`: docs/algorithms/cpo.md"),
        (["dpo", "--epochs", "0"], "epochs must be greater than 0"),
        (["run", "--too", "sft"], "did you mean --to?"),
        (["status", "--all"], "no such option\n  got:   --all\n  where: accord status\n"),
        (["init"], "a word is missing: PATH"),
        (["init", "a", "b"], "a word too many\n  got:   b\n"),
        (["export", "films", "--to", "films.jsonl"], "no such option\n  got:   --to\n"),
        (["export", "films", "f", "g"], "a word too many\n  got:   g\n"),
        (["import", "f", "--part", "movie"], "did you mean movies? use one of editorials, movies,"),
        (["import", "f", "--unit", "promt"], "did you mean prompt? use one of prompt, response"),
    ],
)
def test_wrong_flags_exit_2(
    workspace: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert told in err
    assert "  do:    " in err
    assert out == ""
    assert not (workspace / "artifacts").exists()


@pytest.mark.parametrize("name", BY_NAME)
def test_help_ends_its_lines_between_words(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_full_disk_is_no_defect(workspace: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "accord.cli", "status"],
            cwd=workspace,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: something could not be written")
    assert done.stderr.count("error") == 1
    assert "Exception ignored" not in done.stderr


def test_a_name_of_two_words_may_be_joined_as_flags_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = []
    for name in ("online_dpo", "online-dpo"):
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert "--round-steps" in told[0]
    assert main(["online-dop"]) == 2
    error = capsys.readouterr().err
    assert "online-dop" in error
    assert "accord online_dpo" in error


def test_imported_sets_beside_the_tiny_world_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "ws", "--recipe", "tiny"]) == 0
    monkeypatch.chdir(folder / "ws")
    write_rows(folder / "own.jsonl", pairs(20))
    assert main(["import", "../own.jsonl"]) == 0
    capsys.readouterr()
    assert main(["status"]) == 0
    assert "not read: the tiny world gives the data" in capsys.readouterr().out
    settings = Path("accord.toml")
    settings.write_text(settings.read_text() + '\n[data]\npreferences = ["own"]\n')
    assert main(["status"]) == 2
    assert "the tiny world gives the data" in capsys.readouterr().err


@pytest.mark.parametrize("loss", [loss for loss in PairLoss if loss is not PairLoss.EXO])
def test_every_loss_of_a_pair_is_a_flag(loss: PairLoss) -> None:
    """By the word that `accord.toml` has; EXO's wants its smoothing beside it."""
    assert parse(DPOConfig, ["--loss", loss.value], command="dpo", about="").loss is loss
    exo = parse(DPOConfig, ["--loss", "exo", "--smoothing", "0.01"], command="dpo", about="")
    assert exo.loss is PairLoss.EXO
    asked = parse(KLSettings, ["--estimator", "k2"], command="x", about="")
    assert asked.estimator is KLEstimator.K2


def test_no_value_is_written_as_in_the_settings(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("none", "None"):
        assert parse(KLSettings, ["--budget", word], command="x", about="").budget is None
    assert parse(KLSettings, ["--budget", "2"], command="x", about="").budget == 2.0
    asked = parse(Import, ["f", "--name", "none"], command="import", about="")
    assert asked.name == "none"
    with pytest.raises(SystemExit):
        main(["ppo", "--help"])
    told = capsys.readouterr().out
    assert "--kl.budget FLOAT|none" in told
    assert "{None}" not in told
    assert "--strict" in told.partition("options")[2]


def test_unknown_key_has_file_and_line(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "accord.toml").write_text('recipe = "tiny"\n[ppo]\nstpes = 3\n')
    assert main(["run"]) == 2
    err = capsys.readouterr().err
    assert f"{workspace / 'accord.toml'}:3" in err
    assert "did you mean 'steps'?" in err
    assert not (workspace / "artifacts").exists()


def test_defects_exit_1_and_show_their_trace_on_demand(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(words, options):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("accord.cli.status.main", broken)
    assert main(["status"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("defect: ZeroDivisionError: a defect")
    assert "Traceback" not in err
    assert main(["--debug", "status"]) == 1
    assert "Traceback" in capsys.readouterr().err

    def promise(words, options):
        raise InvariantError("KL is not 0 at step 0")

    monkeypatch.setattr("accord.cli.status.main", promise)
    assert main(["status"]) == 1


def test_a_stop_that_was_asked_for_is_no_error(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(words, options):
        raise InterruptedRun(
            "stopped at step 11 of sft", got="its state is saved", do="`accord resume` goes on"
        )

    monkeypatch.setattr("accord.cli.status.main", stopped)
    assert main(["status"]) == 2
    told = "stopped at step 11 of sft; its state is saved: `accord resume` goes on\n"
    assert capsys.readouterr().err == told


def test_missing_extra_is_named(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(words, options):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("accord.cli.status.main", broken)
    assert main(["status"]) == 2
    assert 'pip install "accord[train]"' in capsys.readouterr().err


def test_import_then_status(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*pairs(), {"prompt": "Name a colour.", "chosen": "", "rejected": "No."}]
    path = write_rows(workspace / "mine.jsonl", rows)
    assert main(["import", str(path), "--name", "colours"]) == 0
    told = capsys.readouterr().out
    assert "41 rows read" in told
    assert "40 preferences as 'colours'" in told
    assert "1 left out" in told
    assert json.loads((workspace / "data" / "colours.json").read_text()).keys() == {"preferences"}
    assert list((workspace / "artifacts").rglob("*.parquet"))
    assert main(["status"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "preferences/colours" in told
    assert "no demonstrations were imported: accord import FILE" in told
    assert "reward waiting" in told or "reward ready" in told


def test_imports_of_one_name_replace_each_other(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(workspace / "a.jsonl", pairs())
    write_rows(workspace / "b.jsonl", pairs(30))
    for name in ("a", "b"):
        assert main(["import", f"{name}.jsonl", "--name", "colours"]) == 0
    assert main(["import", "a.jsonl", "--name", "colours"]) == 0
    assert "(known already)" in capsys.readouterr().out
    assert len(list((workspace / "data").iterdir())) == 1
    assert len(list((workspace / "artifacts").iterdir())) == 2


def test_another_kind_of_the_same_name_stays(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what is replaced is named by its digest."""
    write_rows(workspace / "choices.jsonl", pairs())
    write_rows(workspace / "answers.jsonl", [{"prompt": "Why?", "response": "Because."}])
    main(["import", "choices.jsonl", "--name", "mine"])
    pointer = workspace / "data" / "mine.json"
    first = json.loads(pointer.read_text())["preferences"]["digest"]
    capsys.readouterr()
    main(["import", "answers.jsonl", "--name", "mine"])
    told = capsys.readouterr().out
    assert f"the preferences imported as 'mine' before stay, digest {first[:16]}" in told
    assert json.loads(pointer.read_text()).keys() == {"preferences", "demonstrations"}
    write_rows(workspace / "choices.jsonl", pairs(30))
    main(["import", "choices.jsonl", "--name", "mine"])
    told = capsys.readouterr().out
    assert f"the preferences imported as 'mine' before are replaced, digest {first[:16]}" in told
    assert "the demonstrations imported as 'mine' before stay" in told
    main(["import", "choices.jsonl", "--name", "mine"])
    assert "replaced" not in capsys.readouterr().out
    pointer.write_text("{")
    assert main(["import", "choices.jsonl", "--name", "mine"]) == 0


def test_every_row_that_was_read_is_told(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one between two splits; rows read = rows kept + rows told."""
    write_rows(workspace / "a.jsonl", [*pairs(), {"prompt": "Why?"}, {"question": "Why?"}])
    write_rows(
        workspace / "b.jsonl",
        [{**pair, "chosen": f"Blue {i}."} for i, pair in enumerate(pairs(60))],
    )
    for words in (["a.jsonl"], ["b.jsonl", "--unit", "response", "--dev", "0.4"]):
        assert main(["import", *words]) == 0
        told = capsys.readouterr().out
        read = int(re.match(r"\S+: (\d+) rows read", told)[1])
        kept = sum(map(int, re.findall(r"^  (\d+) (?:preferences|prompts) as", told, re.MULTILINE)))
        out = sum(map(int, re.findall(r"^  (\d+) left out", told, re.MULTILINE)))
        assert read == kept + out
        assert out > 0
    assert "left out: their responses fall into different splits" in told


def test_an_empty_split_is_told(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"prompt": "A review.", "response": f"Number {i}."} for i in range(50)]
    write_rows(workspace / "one.jsonl", rows)
    assert main(["import", "one.jsonl", "--test", "0.1"]) == 0
    told = capsys.readouterr().out
    where = "the prompt's words decide where a row goes, and none went there"
    assert f"nothing is held out for dev, though --dev 0.1 asks for it: {where}" in told
    assert f"nothing is held out for test, though --test 0.1 asks for it: {where}" in told
    assert main(["import", "one.jsonl", "--dev", "0.9999"]) == 0
    assert "nothing is left to train on" in capsys.readouterr().out
    assert main(["import", "one.jsonl", "--dev", "0"]) == 0
    assert "nothing" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([".", "--name", "x"], "do:    name one file in it: mine.jsonl"),
        (["empty"], "do:    name a file"),
        (["none.jsonl"], "do:    check its name"),
        (["mine.jsonl", "--dev", "1.5"], "do:    give the share"),
        (["mine.jsonl", "--dev", "0.6", "--test", "0.6"], "do:    lower one"),
        (["rows.jsonl"], "do:    write one JSON object a line"),
    ],
)
def test_what_cannot_be_imported_says_what_to_do(
    workspace: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "empty").mkdir()
    write_rows(workspace / "mine.jsonl", pairs(4))
    write_rows(workspace / "rows.jsonl", [])
    assert main(["import", *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "got:" in err


def test_import_of_unusable_rows_leaves_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(workspace / "mine.jsonl", [{"question": "Why?", "answer": "Because."}])
    assert main(["import", "mine.jsonl"]) == 2
    assert "columns" in capsys.readouterr().err
    assert list((workspace / "data").iterdir()) == []
    assert list((workspace / "artifacts").iterdir()) == []


def test_run_without_data_asks_for_it(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["run"], ["sft"], ["run", "--to", "sft"]):
        assert main(command) == 2
        err = capsys.readouterr().err
        assert "accord import FILE" in err
        assert 'take "sft" out of `stages`' in err


def test_comparisons_alone_need_no_sft(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the error says, works."""
    write_rows(workspace / "mine.jsonl", pairs())
    assert main(["import", "mine.jsonl"]) == 0
    assert main(["run"]) == 2
    assert 'take "sft" out of `stages`' in capsys.readouterr().err
    settings = workspace / "accord.toml"
    stages = 'stages = ["reward", "ppo", "dpo", "eval"]\n'
    settings.write_text(stages + 'recipe = "smollm2"\n')
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert "no demonstrations" not in told
    assert (
        len(re.findall(r"^(?:reward|ppo|dpo|eval) +waiting +[0-9a-f]{16}", told, re.MULTILINE)) == 4
    )


def test_nothing_to_resume_report_or_ask(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "accord.toml").write_text(SMALL)
    for words, told in (
        (["resume"], "nothing was run"),
        (["report"], "nothing to report"),
        (["sample", "Hello?"], "no policy to ask"),
        (["sample", "Hello?", "--stage", "reward"], "no policy"),
        (["sample", "Hello?", "--stage", "ppo-0"], "no such artifact"),
    ):
        assert main(words) == 2
        assert told in capsys.readouterr().err


def test_workspace_flag_works_from_anywhere(tmp_path: Path) -> None:
    assert accord("init", "ws", "--recipe", "tiny", cwd=tmp_path).returncode == 0
    for words in (["-w", "ws", "status"], ["status", "--workspace", "ws"]):
        done = accord(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "pretrain" in done.stdout
