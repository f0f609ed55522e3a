"""A small log with everything in it, for the tests that damage it."""

from __future__ import annotations

from pathlib import Path

from accord.core.types import Conversation, Prompt, Response, StopReason
from accord.store.checkpoints import sign_checkpoint
from accord.store.database import Database
from accord.store.judgements import Judgement, Verdict, submit, withdraw
from accord.store.keys import SigningKey
from accord.store.registry import add_prompt, add_response, publish_guideline, register_rater

SIGNED_AT = (8, 19, 30)
"""Sizes at which the log is signed; four events come after."""
EVENTS = 34


def fill(database: Database, key: SigningKey) -> list[str]:
    """34 events: a guideline, raters, prompts, responses, judgements and corrections.

    Returns the raters' pseudonyms.
    """
    raters: list[str] = []
    with database.write() as connection:
        publish_guideline(connection, "v1", "Prefer what is true.")
        for name in ("Ada", "Grace"):
            identity = {"name": name, "mail": f"{name}@example.org"}
            raters.append(register_rater(connection, kind="human", identity=identity))
        prompt = add_prompt(connection, Prompt(conversation=Conversation.of("Which is heavier?")))
        ids = tuple(
            add_response(
                connection,
                prompt,
                Response(prompt_id=prompt, text=f"Answer {n}.", stop=StopReason.STOP, policy="p"),
            )
            for n in range(2)
        )
    for number in range(EVENTS - 6):
        rater = raters[number % 2]
        with database.write() as connection:
            _say(connection, number, rater, ids)
            if number + 7 in SIGNED_AT:
                sign_checkpoint(connection, key)
    return raters


def _say(connection: object, number: int, rater: str, ids: tuple[str, ...]) -> None:
    said = Judgement(
        rater=rater,
        responses=ids,
        verdict=Verdict.RANKING if number % 3 else Verdict.TIE,
        tiers=(0, 1) if number % 3 else (0, 0),
        strength=1 + number % 4 if number % 3 else None,
        rationale=f"Because of reason {number}." if number % 2 else None,
        shown=(1, 0),
        order_seed=number,
        guideline="v1",
        policies=("p", "p"),
        seconds=3.5 + number,
    )
    # Judgement 10 corrects the one two before, 14 takes it back, both of the same rater.
    if number == 14:
        withdraw(connection, 17, rater=rater, key="k14")  # type: ignore[arg-type]
        return
    corrects = 15 if number == 10 else None
    submit(connection, said, key=f"k{number}", corrects=corrects)  # type: ignore[arg-type]


def key_in(folder: Path) -> SigningKey:
    """The key that signs this log."""
    return SigningKey.load_or_make(folder / "key.pem")
