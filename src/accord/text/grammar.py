"""The tiny world: a seeded grammar of short English about animals and places.

It gives text to pretrain on, prompts to answer and demonstrations of mixed quality, so that a small
model can go through every stage in seconds and be judged by a known truth (`accord.rewards.gold`).
It is a test bench, not a data set about anything: nothing learned here carries over to real text.

Every function is a pure function of its seed: a shorter list is the head of a longer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from random import Random
from typing import NamedTuple

from accord.core.errors import DataError
from accord.core.types import Conversation, Demonstration, Prompt, Speaker


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ANIMALS = _words("fox hare bear crow deer wolf duck cat dog hen goat mole frog swan mouse bee")
PLACES = _words("lake hill wood barn pond cave farm road river mill tree gate")
NOUNS = frozenset(ANIMALS + PLACES)

_ADJECTIVES = {
    "kind": _words("kind gentle warm bright good"),
    "rude": _words("dumb foul lazy mean bad"),
    "plain": _words("grey small young tall quiet"),
}
_ACTIONS = {
    "kind": _words("helps loves thanks"),
    "rude": _words("bites mocks hates"),
    "plain": _words("sees finds hears"),
}
_MOVES = _words("sleeps runs sings waits walks rests")
_WHERE = _words("near by in")
KIND = frozenset(_ADJECTIVES["kind"] + _ACTIONS["kind"])
RUDE = frozenset(_ADJECTIVES["rude"] + _ACTIONS["rude"])

_TAGS = {
    "D": ("the", "a"),
    "J": tuple(word for words in _ADJECTIVES.values() for word in words),
    "N": ANIMALS + PLACES,
    "I": _MOVES,
    "T": tuple(word for words in _ACTIONS.values() for word in words),
    "P": _WHERE,
    "B": ("is",),
    "V": ("very",),
    "C": ("and",),
    "E": ("there",),
    "W": ("who", "where"),
}
_TAG = {word: tag for tag, words in _TAGS.items() for word in words}
_NOUN_PHRASE = "DJ{0,2}N"
_CLAUSE = f"{_NOUN_PHRASE}(?:I(?:P{_NOUN_PHRASE})?|T{_NOUN_PHRASE}|BV?J)"
_STATEMENT = re.compile(f"{_CLAUSE}(?:C{_CLAUSE})?|EB{_NOUN_PHRASE}P{_NOUN_PHRASE}")
_QUESTION = re.compile(f"WT{_NOUN_PHRASE}|WB{_NOUN_PHRASE}|WIP{_NOUN_PHRASE}")
_SENTENCE = re.compile(r"[^.?!]*[.?!]|[^.?!]+$")
_ASKING = (
    "Tell me about the {animal} and the {place}.",
    "What of the {animal} by the {place}?",
    "Talk about the {place} and the {animal}.",
)


class Topic(NamedTuple):
    """What a prompt asks about."""

    animal: str
    place: str


class Style(StrEnum):
    """How the writer of a demonstration answers."""

    KIND = "kind"
    PLAIN = "plain"
    RUDE = "rude"
    AWAY = "away"
    """Plain, but about something else than what was asked."""
    AGAIN = "again"
    """Says the same sentence twice or more."""
    BROKEN = "broken"
    """Plain, with words dropped or out of order."""


SHARES: tuple[tuple[Style, float], ...] = (
    (Style.KIND, 0.20),
    (Style.PLAIN, 0.25),
    (Style.RUDE, 0.20),
    (Style.AWAY, 0.15),
    (Style.AGAIN, 0.12),
    (Style.BROKEN, 0.08),
)
"""How often each style writes a demonstration."""


def topics(*, held_out: bool) -> tuple[Topic, ...]:
    """Every pair of an animal and a place on one side of the split.

    A quarter of the pairs is held out. Each animal and each place is on both sides, so that a
    held-out prompt is a new combination of words that were all seen.
    """
    return tuple(
        Topic(animal, place)
        for i, animal in enumerate(ANIMALS)
        for j, place in enumerate(PLACES)
        if ((i + j) % 4 == 0) is held_out
    )


def prompts(seed: int, n: int, *, held_out: bool = False) -> list[Prompt]:
    """`n` different prompts in an order drawn from `seed`.

    No animal and place asked about together with `held_out=True` are asked about together in any
    other prompt, nor in the title of a document. Raises DataError where fewer than `n` prompts
    exist on that side.
    """
    all_of_them = [
        Conversation.of(words.format(animal=topic.animal, place=topic.place))
        for topic in topics(held_out=held_out)
        for words in _ASKING
    ]
    if not 0 <= n <= len(all_of_them):
        raise DataError(
            "the tiny world does not have that many prompts",
            got=n,
            do=f"ask for at most {len(all_of_them)}",
        )
    side = "held out" if held_out else "train"
    Random(f"accord grammar prompts {side} {seed}").shuffle(all_of_them)
    source = f"grammar:{side.replace(' ', '-')}"
    return [Prompt(conversation=item, source=source) for item in all_of_them[:n]]


def demonstrations(seed: int, n: int, *, held_out: bool = False) -> list[Demonstration]:
    """`n` answered prompts in styles drawn by `SHARES`: some kind, some rude, some off the topic.

    The prompts go round in a seeded order, so that n may exceed their number.
    """
    count = len(_ASKING) * len(topics(held_out=held_out))
    asked = prompts(seed, count, held_out=held_out)
    rows = []
    for i in range(n):
        conversation = asked[i % count].conversation
        rng = Random(f"accord grammar demonstration {held_out} {seed} {i}")
        style = rng.choices([s for s, _ in SHARES], [share for _, share in SHARES])[0]
        text = answer(rng, topic_of(conversation), style)
        rows.append(
            Demonstration(conversation=conversation.answered(text), source=f"grammar:{style}")
        )
    return rows


def documents(seed: int, n: int) -> list[str]:
    """`n` texts of one to three paragraphs: titled tales, questions with answers, lists of facts.

    They hold sentence kinds that no answer needs (questions, two clauses, "there is"), and every
    wording of a prompt.
    """
    return [_document(Random(f"accord grammar document {seed} {i}")) for i in range(n)]


def answer(rng: Random, topic: Topic | None, style: Style) -> str:
    """An answer of 2 to 4 sentences in `style`; a topic of None is drawn."""
    told = topic or _draw_topic(rng)
    if style is Style.AWAY:
        told = _other_topic(rng, told)
    tone = style.value if style in (Style.KIND, Style.RUDE) else "plain"
    sentences = [_about(rng, told, tone, k) for k in range(rng.choice((2, 3, 3, 4)))]
    if style is Style.AGAIN:
        sentences[1:] = [rng.choice(sentences[:1] * 3 + sentences) for _ in sentences[1:]]
        sentences[-1] = sentences[0]
    if style is Style.BROKEN:
        broken = rng.sample(range(len(sentences)), k=rng.choice((1, 1, 2)))
        sentences = [_break(rng, s) if k in broken else s for k, s in enumerate(sentences)]
    return " ".join(sentences)


def topic_of(conversation: Conversation) -> Topic | None:
    """The first animal and the first place of the last user message; None without both."""
    asked = [m.content for m in conversation.messages if m.role is Speaker.USER]
    words = words_of(asked[-1]) if asked else []
    animal = next((w for w in words if w in ANIMALS), None)
    place = next((w for w in words if w in PLACES), None)
    return Topic(animal, place) if animal and place else None


def sentences_of(text: str) -> list[str]:
    """The sentences of `text`, each with its closing mark; an unfinished tail is one without."""
    return [found.strip() for found in _SENTENCE.findall(text) if found.strip()]


def words_of(text: str) -> list[str]:
    """The words of `text` in lower case, in order; anything but a-z parts words."""
    return re.findall(r"[a-z]+", text.lower())


def parses(sentence: str) -> bool:
    """Whether the grammar can say `sentence`: known words in a known order, a capital, a mark.

    Adjectives stand before the noun (at most two) or after "is"; a clause may be joined to another
    by "and"; questions end with "?", all else with ".".
    """
    if not re.fullmatch(r"[A-Z][a-z]*(?: [a-z]+)*[.?]", sentence):
        return False
    tags = "".join(_TAG.get(word, "?") for word in words_of(sentence))
    shape = _QUESTION if sentence.endswith("?") else _STATEMENT
    return shape.fullmatch(tags) is not None


def lexicon() -> tuple[str, ...]:
    """Every word of the tiny world in alphabetical order, prompts included."""
    asking = words_of(" ".join(words.format(animal="", place="") for words in _ASKING))
    return tuple(sorted({*_TAG, *asking}))


def _draw_topic(rng: Random) -> Topic:
    return rng.choice(topics(held_out=False))


def _other_topic(rng: Random, asked: Topic) -> Topic:
    animal = rng.choice([a for a in ANIMALS if a != asked.animal])
    place = rng.choice([p for p in PLACES if p != asked.place])
    return Topic(animal, place)


def _noun_phrase(rng: Random, noun: str, tone: str, chance: float) -> str:
    if rng.random() < chance:
        return f"the {rng.choice(_ADJECTIVES[tone])} {noun}"
    return f"the {noun}"


def _mix(rng: Random, tone: str) -> str:
    """The tone of one sentence: nobody keeps a tone all the time."""
    draw = rng.random()
    if tone != "plain":
        return tone if draw < 0.68 else "plain"
    return "kind" if draw < 0.10 else "rude" if draw < 0.20 else "plain"


def _about(rng: Random, topic: Topic, tone: str, position: int) -> str:
    """Sentence number `position` (from 0) of a text; the first mostly joins animal and place."""
    tone = _mix(rng, tone)
    who = _noun_phrase(rng, topic.animal, tone, 0.35)
    kind = rng.choices(
        ("move", "act", "be"), ((5, 2, 2), (3, 4, 2), (1, 3, 4), (1, 3, 4))[position]
    )[0]
    if kind == "move":
        place = topic.place if rng.random() < 0.85 else rng.choice(PLACES)
        return _say(f"{who} {rng.choice(_MOVES)} {rng.choice(_WHERE)} the {place}")
    if kind == "act":
        other = _noun_phrase(rng, rng.choice(ANIMALS), tone, 0.2)
        return _say(f"{who} {rng.choice(_ACTIONS[tone])} {other}")
    noun = topic.animal if rng.random() < 0.6 else topic.place
    very = "very " if rng.random() < 0.3 else ""
    return _say(f"the {noun} is {very}{rng.choice(_ADJECTIVES[tone])}")


def _break(rng: Random, sentence: str) -> str:
    """`sentence` with two neighbouring words swapped or one dropped until it no longer parses."""
    while True:
        words = sentence[:-1].lower().split()
        at = rng.randrange(len(words) - 1)
        if rng.random() < 0.5:
            words[at], words[at + 1] = words[at + 1], words[at]
        else:
            del words[at]
        broken = _say(" ".join(words))
        if not parses(broken):
            return broken


def _say(clause: str) -> str:
    return clause[0].upper() + clause[1:] + "."


def _document(rng: Random) -> str:
    topic = _draw_topic(rng)
    write = rng.choice((_tale, _tale, _tale, _dialogue, _facts))
    return "\n".join(write(rng, topic))


def _tale(rng: Random, topic: Topic) -> Iterator[str]:
    if rng.random() < 0.7:
        yield rng.choice(_ASKING).format(animal=topic.animal, place=topic.place)
    tone = rng.choice(("kind", "rude", "plain"))
    for _ in range(rng.choice((1, 1, 2))):
        count = rng.choice((2, 3, 4))
        yield " ".join(_about(rng, topic, tone, min(k, 3)) for k in range(count))


def _dialogue(rng: Random, topic: Topic) -> Iterator[str]:
    for _ in range(rng.choice((2, 3))):
        tone = rng.choice(("kind", "rude", "plain"))
        action, other = rng.choice(_ACTIONS[tone]), rng.choice(ANIMALS)
        if rng.random() < 0.5:
            yield f"Who {action} the {other}? The {topic.animal} {action} the {other}."
        else:
            told = (
                f"The {topic.animal} {rng.choice(_MOVES)} {rng.choice(_WHERE)} the {topic.place}."
            )
            yield f"Where is the {topic.animal}? {told}"


def _facts(rng: Random, topic: Topic) -> Iterator[str]:
    for _ in range(rng.choice((2, 3))):
        tone = rng.choice(("kind", "rude", "plain"))
        adjective, where = rng.choice(_ADJECTIVES[tone]), rng.choice(_WHERE)
        first = f"There is a {adjective} {topic.animal} {where} the {topic.place}."
        move, action = rng.choice(_MOVES), rng.choice(_ACTIONS[tone])
        other = rng.choice(ANIMALS)
        second = f"The {topic.animal} {move} and the {other} {action} the {topic.animal}."
        yield rng.choice((first, second, f"{first} {second}"))
