"""Every command there is: its name, group, one line and module. Importing loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `accord.cli.MODULE` has its `main(words, options)`."""

    name: str
    group: str
    summary: str
    module: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What every command takes."""

    command: str
    workspace: Path | None = None
    """The folder named by --workspace; None means the nearest one."""
    quiet: bool = False
    debug: bool = False


_START, _RUN, _LOOK, _SINGLE = "Start", "The whole pipeline", "Look", "One stage, any setting"
_JUDGE = "Judgements"

COMMANDS: tuple[Command, ...] = (
    Command(
        "quickstart", _START, "Run the whole loop on film reviews in a new folder", "quickstart"
    ),
    Command("init", _START, "Make a workspace that explains itself", "init"),
    Command("import", _START, "Bring a file of your own data in", "importing"),
    Command("campaign", _JUDGE, "Ask people about answers: prompts, tasks, raters", "campaign"),
    Command("rate", _JUDGE, "Judge blind answers in the terminal, or write some", "rate"),
    Command("label", _JUDGE, "Let simulated people or a rule judge a campaign", "label"),
    Command("agreement", _JUDGE, "How far raters agree, and what that allows", "agreement"),
    Command("raters", _JUDGE, "Whom to believe, and what changes without somebody", "raters"),
    Command("freeze", _JUDGE, "Make what was said a data set to train on", "freeze"),
    Command("export", _JUDGE, "Write a data set to a file, for Accord or TRL", "exporting"),
    Command("verify", _JUDGE, "Check that nothing people said was changed", "verify"),
    Command("erase", _JUDGE, "Take words and names back; the log still verifies", "erase"),
    Command("doctor", _RUN, "Prove on your model and data what fails in silence", "doctor"),
    Command("run", _RUN, "Make everything that is not up to date", "run"),
    Command("resume", _RUN, "Go on with the last run where it stopped", "resume"),
    Command("status", _RUN, "Show what is done, stale or waiting, and why", "status"),
    Command("sample", _LOOK, "Ask a trained policy something", "sample"),
    Command("chat", _LOOK, "Talk with a policy, or with two side by side", "chat"),
    Command("report", _LOOK, "Write report.html from what was run", "report"),
    Command("pretrain", _SINGLE, "Next-token prediction from scratch", "stage"),
    Command("sft", _SINGLE, "Supervised fine-tuning on demonstrations", "stage"),
    Command("top", _SINGLE, "Fine-tune on the best demonstrations alone", "stage"),
    Command("compare", _SINGLE, "Let simulated raters compare answers", "stage"),
    Command("judge", _SINGLE, "Make a grader of rated responses, to evaluate by", "stage"),
    Command("reward", _SINGLE, "Train the reward model on comparisons", "stage"),
    Command("ppo", _SINGLE, "Optimise the policy against the reward model", "stage"),
    Command("grpo", _SINGLE, "The same without a critic, among answers to a prompt", "stage"),
    Command("rloo", _SINGLE, "The same, each answer against the others' mean", "stage"),
    Command("reinforce", _SINGLE, "The same without critic or group: REINFORCE++", "stage"),
    Command("online_dpo", _SINGLE, "As dpo, on pairs of the policy's own answers", "stage"),
    Command("rejection", _SINGLE, "Imitate the best of several answers by score", "stage"),
    Command("dpo", _SINGLE, "Align the policy on comparisons directly", "stage"),
    Command("ipo", _SINGLE, "As dpo, to a lead that is bounded", "stage"),
    Command("kto", _SINGLE, "Align the policy on answers called good or bad", "stage"),
    Command("orpo", _SINGLE, "As dpo, by odds and without a reference", "stage"),
    Command("simpo", _SINGLE, "As dpo, by likelihood a token, without a reference", "stage"),
    Command("distilled", _SINGLE, "As dpo, to the leads that the reward model gives", "stage"),
    Command("eval", _SINGLE, "Compare all policies on held-out prompts", "stage"),
)

BY_NAME: dict[str, Command] = {command.name: command for command in COMMANDS}

OPTIONS_HELP = """\
Every command takes:
  -w, --workspace DIR  the workspace (default: the nearest with an accord.toml)
  -q, --quiet          one plain line a step instead of a progress bar
      --debug          show the traceback of an error"""


def overview() -> str:
    """The grouped help of `accord`."""
    lines = [
        "From people's judgement to a language model that follows it.",
        "",
        "usage: accord COMMAND [OPTIONS]     accord COMMAND --help explains every option",
    ]
    group = ""
    for command in COMMANDS:
        if command.group != group:
            group = command.group
            lines += ["", f"{group}:"]
        lines.append(f"  {command.name:<11} {command.summary}")
    lines += ["", OPTIONS_HELP, "      --version        show Accord's version"]
    return "\n".join(lines)
