"""`accord erase`: take words and names back; what goes and what stays is shown before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import sqlalchemy as sa
import tyro
from sqlalchemy import Connection

from accord.cli.commands import Options
from accord.cli.drafts import drafts_of
from accord.cli.flags import parse
from accord.cli.judged import only_one_with_prefix
from accord.cli.session import find_workspace
from accord.cli.sheets import printable
from accord.collect.erasure import (
    Copy,
    Text,
    answers_to,
    copies,
    explanations,
    mentions,
    reason_in,
    standing_on,
    text_called,
    texts_by,
    written_by,
)
from accord.collect.people import person_called
from accord.core.errors import ConfigError
from accord.pipeline.logbook import open_log
from accord.pipeline.workspace import Workspace
from accord.store.database import Database
from accord.store.erasing import (
    RATER_ERASED,
    Part,
    erase_parts,
    erase_rater,
    parts_of_rater,
)
from accord.store.log import event_at
from accord.store.registry import all_raters
from accord.store.tables import events, raters

MOST_FOUND = 50
"""Places that `find` lists."""
SHOWN = 60
"""Characters of a text that are shown before it is erased."""
SURE = "erase"
"""What is typed to go on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Erase:
    """Flags of `accord erase`."""

    what: Annotated[Literal["rater", "prompt", "response", "reason", "find"], tyro.conf.Positional]
    """rater: who somebody is. prompt, response: its words. reason: what somebody wrote beside a
    judgement or decision. find: nothing; lists where words stand."""
    which: Annotated[str, tyro.conf.Positional]
    """A rater's name or pseudonym; the id of a prompt or response; the number of a reason's event;
    the words to find. The first letters of a pseudonym or id are enough."""
    why: str = ""
    """The reason; kept in the log for ever, so name nobody in it."""
    words: bool = False
    """Of a rater: also all that they wrote."""
    verdicts: bool = False
    """Of a rater: also all that they judged."""
    responses: bool = False
    """Of a prompt: also the words of every response to it."""
    yes: bool = False
    """Do it without asking: for scripts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What would be erased, in words, and the way to do it."""

    title: str
    name: str
    """Who it is, for eyes at a terminal alone."""
    goes: Sequence[str]
    stays: Sequence[str]
    shown: frozenset[str] = frozenset()
    """Tasks that show what goes."""
    texts: frozenset[str] = frozenset()
    """Responses that go."""
    rater: str | None = None
    """Whose verdicts go."""
    whose: str | None = None
    """Whose drafts go: who was erased hands nothing in any more."""
    act: Callable[[Database], tuple[int, int]]
    """Does it; how many parts went, and the last event of the erasure."""


def main(words: Sequence[str], options: Options) -> int:
    """Show what goes, ask, erase, and give a receipt."""
    about = "Take words and names back. The log still verifies: it holds that there was something."
    asked = parse(Erase, words, command="erase", about=about)
    _check(asked)
    workspace = find_workspace(options)
    with open_log(workspace) as database:
        if asked.what == "find":
            return _find(database, asked.which)
        with database.read() as connection:
            plan = _PLANS[asked.what](connection, asked)
        made = copies(
            workspace.artifacts.glob("*"), rater=plan.rater, shown=plan.shown, texts=plan.texts
        )
        drafts = drafts_of(workspace, rater=plan.whose, tasks=plan.shown)
        print(_preview(plan, made, drafts, named=not asked.yes))
        if not asked.yes and not _agreed():
            print("nothing was erased")
            return 0
        count, seq = plan.act(database)
        print(_receipt(database, plan, count, seq))
    for line in [*_left_to_do(workspace, made), *_removed(drafts)]:
        print(line)
    return 0


def _check(asked: Erase) -> None:
    """Refuse flags that would do nothing, and an erasure without a reason."""
    of_rater = ("--words", asked.words), ("--verdicts", asked.verdicts)
    of_prompt = (("--responses", asked.responses),)
    for owner, flags in (("rater", of_rater), ("prompt", of_prompt)):
        for flag, given in flags:
            if given and asked.what != owner:
                raise ConfigError(
                    f"{flag} belongs to `accord erase {owner}`", got=f"erase {asked.what} {flag}"
                )
    if not asked.which.strip():
        raise ConfigError("nothing was named", got=repr(asked.which), do="accord erase WHAT WHICH")
    if asked.what != "find" and not asked.why.strip():
        raise ConfigError(
            "an erasure needs a reason", do='give one without names: --why "asked us to"'
        )


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(
            "nothing was erased: there is nobody to ask",
            do="read what would go and what stays; --yes does it without asking",
        )
    try:
        return input(f"This cannot be undone. Type {SURE} to go on: ").strip() == SURE
    except EOFError:
        return False


# ---- what would go -------------------------------------------------------------------------------


def _rater(connection: Connection, asked: Erase) -> Plan:
    found = person_called(connection, asked.which.strip())
    rater = found or only_one_with_prefix(asked.which.strip(), all_raters(connection))
    kind = connection.execute(sa.select(raters.c.kind).where(raters.c.id == rater)).scalar_one()
    has = parts_of_rater(connection, rater)
    # What they wrote of themselves is found twice.
    words = set(has.words) - set(has.decided)
    flagged = (
        (asked.words, len(words), "texts they wrote", "--words"),
        (asked.verdicts, len(has.verdicts), "judgements they gave", "--verdicts"),
    )
    goes = [f"{len(has.private)} parts of who they are: name and profile"]
    if has.decided:
        goes.append(f"{len(has.decided)} reasons that were given for decisions about them")
    goes += [f"{count} {what}" for on, count, what, _ in flagged if on]
    stays = [
        f"{count} {what}, under a pseudonym that leads nowhere ({flag} erases them too)"
        for on, count, what, flag in flagged
        if not on and count
    ]
    stays.append("what was decided about them, quarantine included; they can rate no more")
    # Frozen sets hold no names: they concern those alone whose words or verdicts go.
    wrote = written_by(connection, rater) if asked.words else frozenset()
    texts = texts_by(connection, rater) if asked.words else frozenset()

    def act(database: Database) -> tuple[int, int]:
        count = erase_rater(
            database, rater, words=asked.words, verdicts=asked.verdicts, why=asked.why.strip()
        )
        with database.read() as connection:
            ended = sa.select(sa.func.max(events.c.seq)).where(
                events.c.type == RATER_ERASED, events.c.subject == rater
            )
            return count, int(connection.execute(ended).scalar_one())

    name = asked.which.strip() if found else ""
    title = f"rater {rater} ({kind})"
    judge = rater if asked.verdicts else None
    return Plan(
        title=title,
        name=name,
        goes=goes,
        stays=stays,
        rater=judge,
        whose=rater,
        shown=wrote,
        texts=texts,
        act=act,
    )


def _prompt(connection: Connection, asked: Erase) -> Plan:
    prompt = text_called(connection, "prompt", asked.which.strip())
    answers = answers_to(connection, prompt.id)
    texts = [prompt, *answers] if asked.responses else [prompt]
    goes = [f"{len(answers)} responses to it: their words"] if asked.responses else []
    stays = []
    if answers and not asked.responses:
        stays = [f"{len(answers)} responses to it, which may repeat it (--responses erases them)"]
    return _of_text(connection, asked, texts, goes=goes, stays=stays)


def _response(connection: Connection, asked: Erase) -> Plan:
    found = text_called(connection, "response", asked.which.strip())
    return _of_text(connection, asked, [found], stays=["its prompt"])


def _of_text(
    connection: Connection,
    asked: Erase,
    texts: Sequence[Text],
    *,
    goes: Sequence[str] = (),
    stays: Sequence[str] = (),
) -> Plan:
    text = texts[0]
    stand = standing_on(connection, text)
    first = "its words" if text.words is not None else "its words were erased before"
    about = (
        f"{stand.judgements} judgements of {len(stand.tasks)} tasks that show it: they count in "
        "`accord agreement`, no more set is frozen from them, and nobody is asked again"
    )
    taught = explanations(connection, stand.tasks)
    if taught:
        goes = [*goes, f"what {len(taught)} lessons that show it say of it"]
    wrote = f"from {text.source}" if text.kind == "prompt" else f"by {text.source}"
    return Plan(
        title=f"{text.kind} {text.id} ({wrote})",
        name=_short(text.words or ""),
        goes=[first, *goes],
        stays=[*stays, *([about] if stand.tasks else [])],
        shown=stand.tasks,
        texts=frozenset(one.id for one in texts if one.kind == "response"),
        act=_eraser(asked, [*(one.part for one in texts), *taught]),
    )


def _reason(connection: Connection, asked: Erase) -> Plan:
    given = asked.which.strip()
    if not given.isascii() or not given.isdecimal():
        raise ConfigError(
            "a reason is named by the number of its event",
            got=given,
            do="`accord erase find WORDS` lists them; a rater's receipt has it too",
        )
    part = reason_in(connection, int(given))
    event = event_at(connection, part[0])
    return Plan(
        title=f"the reason in event {event.seq} ({event.type} by {event.actor})",
        name="",
        goes=["the reason in own words"],
        stays=["what was judged or decided"],
        act=_eraser(asked, [part]),
    )


def _eraser(asked: Erase, parts: Sequence[Part]) -> Callable[[Database], tuple[int, int]]:
    def act(database: Database) -> tuple[int, int]:
        done = erase_parts(database, parts, why=asked.why.strip())
        return len(done), max(done)

    return act


_PLANS: Mapping[str, Callable[[Connection, Erase], Plan]] = {
    "rater": _rater,
    "prompt": _prompt,
    "response": _response,
    "reason": _reason,
}


# ---- what is said --------------------------------------------------------------------------------


def _preview(plan: Plan, made: Sequence[Copy], drafts: Sequence[Path], *, named: bool) -> str:
    told = f": {plan.name}" if named and plan.name else ""
    lines = [plan.title + told]
    lines += [f"  goes   {line}" for line in plan.goes]
    if drafts:
        lines.append(f"  goes   {len(drafts)} drafts in this workspace, begun and not handed in")
    lines += [f"  stays  {line}" for line in plan.stays]
    lines.append("  stays  number, time and digest of every event, so that the log still verifies")
    for copy in made:
        rows = "it cannot be read" if copy.rows is None else f"{copy.rows} rows of it"
        lines.append(f"  out of reach  the frozen set {copy.folder.name}: {rows}")
    lines.append(
        "  out of reach  whatever was copied before: imported files and sets, exports, backups, "
        "models trained on it"
    )
    return "\n".join(lines)


def _receipt(database: Database, plan: Plan, count: int, seq: int) -> str:
    with database.read() as connection:
        event = event_at(connection, seq)
    return (
        f"erased: {count} parts of {plan.title}\n"
        f"receipt: event {event.seq}, {event.time}, hash {event.hash}\n"
        "`accord verify` shows that nothing else was touched"
    )


def _left_to_do(workspace: Workspace, made: Sequence[Copy]) -> list[str]:
    """What only a person can do now."""
    kinds = ("preferences", "demonstrations")
    pointed = [one.folder.name for kind in kinds for one in workspace.datasets(kind)]
    return [
        f"left to you: {copy.folder} was frozen before; "
        + ("freeze again, then delete it" if copy.folder.name in pointed else "delete it")
        for copy in made
    ]


def _removed(drafts: Sequence[Path]) -> list[str]:
    """Remove drafts; those that cannot be removed are left to a person."""
    left = []
    for path in drafts:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            left.append(f"left to you: the draft {path} cannot be removed ({error.strerror})")
    return left


def _find(database: Database, words: str) -> int:
    count = 0
    with database.read() as connection:
        for count, found in enumerate(mentions(connection, words), start=1):
            if count <= MOST_FOUND:
                print(f"{found.what} {found.name}  {printable(found.excerpt)}")
    if count > MOST_FOUND:
        print(f"and {count - MOST_FOUND} more places")
    if not count:
        print("nobody's words hold this; names of people and guidelines are not looked through")
    return 0


def _short(words: str) -> str:
    """The beginning of a text, on one line, safe to print."""
    line = " ".join(printable(words).split())
    return line if len(line) <= SHOWN else line[:SHOWN] + "..."
