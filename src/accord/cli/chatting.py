"""The loop of `accord chat`: somebody at a terminal, or lines of a pipe, talk with policies."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from rich.console import Console

from accord.cli.dialogue import Dialogue
from accord.cli.keys import stopped_later
from accord.cli.sheets import UNSHOWN, counted, printable
from accord.cli.side_by_side import ending, show, show_row
from accord.cli.talk import Talk, Watch
from accord.cli.typed import typed
from accord.cli.writing_form import LONGEST_LINE
from accord.collect.exporting import export_demonstrations
from accord.core.errors import AccordError, ConfigError, DataError, InterruptedRun
from accord.core.types import Response

HELP = """\
/again            another answer to the last message
/back             take the last turn back
/keep 1           both go on from what the first one said (2: the second)
/new              forget the conversation
/system TEXT      a new conversation under this system message; no TEXT: none
/temperature 0.7  how freely answers are drawn; 0 takes the likeliest token
/save FILE        keep the conversation, for `accord import`, in a new file
/help, /quit      Ctrl-C gives an answer up, Ctrl-D ends
//...             a message that begins with /"""
_SEQUENCE = re.compile("\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|O.)")
"""What an arrow or function key sends."""


class Chat:
    """One conversation, or several one after the other, from the first line to the last."""

    def __init__(
        self,
        talk: Talk,
        dialogue: Dialogue,
        *,
        sources: Sequence[str],
        save: Path | None = None,
        workspace: Path | None = None,
        quiet: bool = False,
    ) -> None:
        """`sources` names the policies in what is saved; `save` is the file for it at the end.

        `workspace` is the folder that was named with --workspace, if one was.
        """
        self._workspace = workspace
        self._talk, self._dialogue, self._sources = talk, dialogue, sources
        self._keys, self._console = dialogue.keys, dialogue.console
        self._save_to, self._quiet = save, quiet
        self._acts: dict[str, Callable[[str], None]] = {
            "/again": self._again,
            "/back": self._back,
            "/keep": self._keep,
            "/new": self._new,
            "/system": self._system,
            "/temperature": self._temperature,
            "/save": self._save,
            "/help": lambda _: self._dialogue.say(HELP, style="dim"),
        }

    def run(self) -> None:
        """Message after message, to /quit or the end of input.

        At a terminal an error is told and the chat goes on. In a pipe the first one ends it, as
        Ctrl-C does; what was said before is saved where that was asked for. Raises AccordError
        then, and where the conversation cannot be saved in the end.
        """
        while True:
            try:
                line = self._line()
                if line is None or line.strip().lower() == "/quit":
                    if self._closed():
                        return
                elif line.strip():
                    self._take(line)
            except KeyboardInterrupt:
                if not self._keys.live:
                    self._closed()
                    answered = f"{counted(self._talk.turns, 'message')} of it answered"
                    raise InterruptedRun(
                        "stopped", got=answered, do="the rest was not asked"
                    ) from None
                self._dialogue.say("Ctrl-D or /quit ends the chat")
            except AccordError as error:
                if not self._keys.live:
                    self._closed()
                    raise
                self._tell(error)

    def _line(self) -> str | None:
        """What is said next; None at the end."""
        if not self._keys.live:
            return self._piped()
        self._keys.forget()
        with self._keys.lent():  # before it is asked for: what is typed at once is seen, too
            self._dialogue.typed("")
            line = self._keys.whole_line()
        if line is None:
            self._console.file.write("\n")
            return None
        if len(line.encode()) >= LONGEST_LINE:
            raise DataError(
                "a terminal hands over no longer line",
                got=f"{LONGEST_LINE} bytes: its end may be missing",
                do="break it into several lines and paste them together, or pipe it",
            )
        rest = self._keys.pasted()
        if rest and not rest.endswith("\n"):
            self._console.file.write("\n")
        text = _SEQUENCE.sub("", f"{line}\n{rest}".removesuffix("\n"))
        return "".join(sign for sign in text if sign >= " " or sign in "\n\t")

    def _piped(self) -> str | None:
        try:
            line = self._keys.whole_line()
            if line is not None:
                line.encode()
        except UnicodeError as error:
            raise DataError("what comes in is not UTF-8", got=error) from None
        return line

    def _take(self, line: str) -> None:
        """One message or command."""
        if not line.startswith("/") or line.startswith("//"):
            message = line[line.startswith("//") :]
            if not self._keys.live:
                self._console.out(f"> {printable(message)}", highlight=False)
            self._answered(lambda watch: self._talk.say(message, watch))
            return
        name, _, rest = line.partition(" ")
        act = self._acts.get(name.strip().lower())
        if act is None:
            near = get_close_matches(name, [*self._acts, "/quit"], n=1)
            mean = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(
                "there is no such command",
                got=printable(name)[:40],
                do=f"{mean}/help lists them; a message that begins with / is written with //",
            )
        act(rest.strip())

    def _answered(self, ask: Callable[[Watch], list[Response]]) -> None:
        """Ask for answers and show them; Ctrl-C gives them up between two tokens."""
        names = self._talk.names
        answering = Answering(self._console, stream=len(names) == 1, quiet=self._quiet)
        try:
            with stopped_later() as stopped:

                def watch(name: str, text: str) -> None:
                    if stopped():
                        raise KeyboardInterrupt
                    answering.hear(name, text)

                said = ask(watch)
        except BaseException as error:
            answering.end()
            if not (isinstance(error, KeyboardInterrupt) and self._keys.live):
                raise
            self._dialogue.say("given up, and nothing changed; /again asks once more")
            return
        answering.end(said[0])
        if len(names) > 1:
            numbered = [f"{number} {name}" for number, name in enumerate(names, start=1)]
            show_row(self._console, numbered, said)

    def _again(self, _: str) -> None:
        before = self._talk.histories
        self._answered(self._talk.again)
        if self._talk.settings.temperature == 0 and self._talk.histories == before:
            self._dialogue.say("at temperature 0 an answer is always the same", style="dim")

    def _back(self, _: str) -> None:
        first, _, more = printable(self._talk.back()).partition("\n")
        cut = "..." if more or len(first) > 60 else ""
        self._dialogue.say(f"taken back: {first[:60]}{cut}", style="dim")

    def _keep(self, rest: str) -> None:
        names = self._talk.names
        if len(names) == 1:
            raise ConfigError(
                "one policy answers: there is nothing to choose", do="begin with --against"
            )
        choices = [str(number) for number in range(1, len(names) + 1)]
        if rest not in choices:
            raise ConfigError(
                "/keep takes the number of an answer", got=rest or "none", do=" or ".join(choices)
            )
        self._talk.keep(int(rest) - 1)
        self._dialogue.say(f"both go on from what {names[int(rest) - 1]} said", style="dim")

    def _new(self, _: str) -> None:
        self._talk.forget()
        self._dialogue.say("forgotten; a new conversation", style="dim")

    def _system(self, rest: str) -> None:
        began = self._talk.address(rest or None)
        told = "; a new conversation, for the one before had another" if began else ""
        self._dialogue.say(f"system message: {printable(rest) or 'none'}{told}", style="dim")

    def _temperature(self, rest: str) -> None:
        if rest:
            try:
                number = float(rest)
            except ValueError:
                raise ConfigError("a temperature is a number", got=printable(rest)) from None
            self._talk.settings = replace(self._talk.settings, temperature=number)
        self._dialogue.say(f"temperature {self._talk.settings.temperature:g}", style="dim")

    def _save(self, rest: str) -> None:
        if not rest:
            raise ConfigError("/save needs a file", do="/save chat.jsonl")
        self._write(Path(rest).expanduser())

    def _write(self, path: Path) -> None:
        rows = self._talk.demonstrations(self._sources)
        export_demonstrations(rows, path)
        told = (
            f"{path}: {counted(len(rows), 'conversation')} of {counted(self._talk.turns, 'turn')}"
        )
        if len(rows) > 1:
            told += ", one of each policy (/keep makes them one)"
        line = f"accord import {typed(path)}"
        if self._workspace is not None:
            line += f" --workspace {typed(self._workspace)}"
        self._dialogue.say(f"{told}; {line}", style="dim", unbroken=True)

    def _closed(self) -> bool:
        """Whether nothing is left to do; at a terminal, where it cannot be saved, they hear of it
        once and may save it elsewhere."""
        path, self._save_to = self._save_to, None
        if path is None:
            return True
        if not self._talk.turns:
            self._dialogue.say(f"nothing was said: {path} was not written", style="dim")
            return True
        try:
            self._write(path)
        except AccordError as error:
            if not self._keys.live:
                raise
            self._tell(error)
            self._dialogue.say("the conversation is still here: /save FILE, or /quit without it")
            return False
        return True

    def _tell(self, error: AccordError) -> None:
        got = f": {error.got}" if error.got is not None else ""
        where = f" ({error.where})" if error.where is not None else ""
        do = f"; {error.do}" if error.do else ""
        self._dialogue.say(printable(f"{error.what}{got}{where}{do}"))


class Answering:
    """What a terminal shows while answers are made: the words of one, how far several are."""

    def __init__(self, console: Console, *, stream: bool, quiet: bool) -> None:
        self._console, self._stream = console, stream
        self._seen = console.is_terminal and not quiet
        self._shown: str | None = None
        """The words that stand on the screen."""
        self._write("...")

    def hear(self, name: str, text: str) -> None:
        """An answer has come so far."""
        if not self._stream:
            told = f"{name} ... {counted(len(text.split()), 'word')}"
            self._write(f"\r\x1b[K{told[: self._console.width - 1]}")
            return
        # The end of a text may be half a sign, or half a line's end.
        safe, before = printable(text.rstrip(f"{UNSHOWN}\r")), self._shown or ""
        if safe and safe.startswith(before):
            self._write(("" if before else "\r\x1b[K") + safe[len(before) :])
            self._shown = safe

    def end(self, said: Response | None = None) -> None:
        """The one answer is there, or all were given up or are shown by somebody else."""
        before, self._shown = self._shown, None
        if not before:
            self._write("\r\x1b[K")
        if said is None or not self._stream:
            self._write("\n" if before else "")
            return
        text = printable(said.text)
        if self._seen and before and text.startswith(before):
            self._console.file.write(text[len(before) :])
            self._console.out(ending(said), style="dim", highlight=False)
            return
        self._write("\n" if before else "")
        show(self._console, said)

    def _write(self, text: str) -> None:
        if self._seen:
            self._console.file.write(text)
            self._console.file.flush()
