"""A text in front of whoever reviews it, key by key, until the review is handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rich.console import RenderableType

from accord.cli.dialogue import BACKS, Dialogue
from accord.cli.form import OWN_WORDS, ask_flag, ask_ratings, ask_reason, ask_skip
from accord.cli.keyed import KeyedForm
from accord.cli.text_sheets import text_task
from accord.collect.sheet import Opinion
from accord.collect.text_leases import TextLease
from accord.store.judgements import Verdict

REJECTS = (
    "wrong",
    "does not answer",
    "badly written",
    "unsafe",
    "not as the guidelines say",
    "other",
)
"""What may be wrong with a text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What was said so far. A value: each thing said gives a new one."""

    accepts: bool | None = None
    wrong: str | None = None
    ratings: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    rationale: str | None = None
    before: Review | None = field(default=None, repr=False)
    """What Backspace goes back to."""

    def told(self) -> str:
        """In a few words."""
        if self.accepts is None:
            said = []
        else:
            said = ["accept" if self.accepts else f"reject: {self.wrong}"]
        said += [f"{len(self.ratings)} rated"] if self.ratings else []
        said += [f"{len(self.flags)} flagged"] if self.flags else []
        return ", ".join(said + (["own words"] if self.rationale else []))


class ReviewForm(KeyedForm):
    """One text in front of one reviewer."""

    back = "Enter goes back to the text"

    def __init__(
        self,
        dialogue: Dialogue,
        lease: TextLease,
        *,
        heading: str,
        guide: RenderableType,
        again: bool = False,
    ) -> None:
        """`guide` are the guidelines; `again` for the last text, shown to be corrected."""
        super().__init__(dialogue, heading=heading, guide=guide, again=again)
        self._lease = lease
        self._now = Review()

    @property
    def begun(self) -> bool:
        """Whether something was said that would be lost."""
        return bool(self._now.told())

    @property
    def told(self) -> str:
        """What was handed in."""
        return self._now.told()

    def _shown(self) -> RenderableType:
        console = self._dialogue.console
        return text_task(console, self._lease, self._legend(), heading=self._heading)

    def _so_far(self) -> list[str]:
        return [self._now.told()]

    def _legend(self) -> list[str]:
        return [
            "a accept",
            "x reject",
            "s skip",
            "f flag",
            "r own words",
            "+ criteria",
            "u leave as it was" if self._again else "u undo the last",
            "? guidelines",
            "Backspace",
            "Enter hands in",
            "q end",
        ]

    def _handed_in(self) -> Opinion | None:
        now = self._now
        if now.accepts is None:
            # Between the lines of a pipe an Enter means nothing.
            if self._keys.live:
                self._dialogue.say("a accepts the text, x rejects it")
            return None
        # What is wrong with a text is said of it, as a flag is.
        wrong = () if now.wrong is None else (now.wrong,)
        return self._with(
            Opinion(
                verdict=Verdict.RANKING if now.accepts else Verdict.ALL_BAD,
                tiers=(0,) if now.accepts else None,
                flags=tuple((0, why) for why in dict.fromkeys((*wrong, *now.flags))),
            )
        )

    def _skipped(self) -> Opinion | None:
        if self._now.accepts is not None or self._now.ratings:
            drops = "this drops your answer"
        else:
            drops = "this skips it with what you said beside it" if self.begun else ""
        skip = ask_skip(self._dialogue, drops)
        if skip is None:
            return None
        words = skip.beside(self._now.rationale)
        self._now = replace(self._now, accepts=None, rationale=words)
        flags = tuple((0, why) for why in self._now.flags)
        return self._with(Opinion.skipped(skip.reason, flags=flags))

    def _with(self, said: Opinion) -> Opinion:
        return replace(
            said,
            ratings=self._now.ratings,
            rationale=self._now.rationale,
            seconds=round(self._seconds, 3),
            opened=self._opened,
        )

    def _change(self, key: str) -> None:
        now = replace(self._now, before=self._now)
        if key == "a":
            self._now = replace(now, accepts=True, wrong=None)
        elif key == "x":
            self._reject(now)
        elif key in ("f", "r", "+"):
            self._now = self._beside(key, now)
        elif key in BACKS:
            self._now = self._now.before or self._now
        elif key == "u":
            undoes = "leaves it as it was" if self._again else "undoes the last answer"
            self._dialogue.say(f"Backspace takes back what you said; u {undoes} after that")
        elif self._keys.live or not key.isspace():
            self._dialogue.say(f"{key!a} means nothing here")

    def _beside(self, key: str, now: Review) -> Review:
        """What is said beside the decision; as it was where nothing is."""
        if key == "f":
            why = ask_flag(self._dialogue, "flag it: why?")
            return self._now if why is None else replace(now, flags=(*now.flags, why))
        if key == "r":
            words = self._dialogue.words("in your own words, one line:")
            return replace(now, rationale=words) if words else self._now
        criteria, before = self._lease.criteria, dict(now.ratings)
        rated = ask_ratings(self._dialogue, criteria, ("this text",), before)
        return replace(now, ratings=rated) if rated != before else self._now

    def _reject(self, now: Review) -> None:
        wrong = ask_reason(self._dialogue, "what is wrong with it?", REJECTS)
        if wrong is None:
            return
        words = self._dialogue.words(OWN_WORDS)
        rationale = words or now.rationale
        self._now = replace(now, accepts=False, wrong=wrong, rationale=rationale)
