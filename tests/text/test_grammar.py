"""The tiny world: seeds, the split, what parses and what does not."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.core.types import Conversation, Demonstration, Speaker
from accord.text import grammar


def said(row: Demonstration) -> str:
    return row.conversation.messages[-1].content


def asked(row: Demonstration) -> str:
    return row.conversation.messages[0].content


def test_the_lexicon_is_small_and_in_lower_case() -> None:
    words = grammar.lexicon()
    assert 60 <= len(words) <= 120
    assert all(word.isascii() and word.islower() and len(word) <= 8 for word in words)


def test_kind_and_rude_words_are_apart_and_belong_to_the_lexicon() -> None:
    assert not grammar.KIND & grammar.RUDE
    assert len(grammar.KIND) == len(grammar.RUDE)
    assert set(grammar.lexicon()) >= grammar.KIND | grammar.RUDE | grammar.NOUNS


def test_held_out_topics_are_new_pairs_of_seen_words() -> None:
    train, held = grammar.topics(held_out=False), grammar.topics(held_out=True)
    assert not set(train) & set(held)
    assert len(train) + len(held) == len(grammar.ANIMALS) * len(grammar.PLACES)
    for side in (train, held):
        assert {topic.animal for topic in side} == set(grammar.ANIMALS)
        assert {topic.place for topic in side} == set(grammar.PLACES)


def test_prompts_are_distinct_and_the_sides_are_disjoint() -> None:
    train, held = grammar.prompts(0, 432), grammar.prompts(0, 144, held_out=True)
    assert len({p.id for p in train}) == 432
    assert len({p.id for p in held}) == 144
    pairs = [{grammar.topic_of(p.conversation) for p in side} for side in (train, held)]
    assert not pairs[0] & pairs[1]
    assert {p.source for p in train} == {"grammar:train"}
    assert {p.source for p in held} == {"grammar:held-out"}


def test_more_prompts_than_there_are_is_refused_with_the_number() -> None:
    with pytest.raises(DataError, match="at most 144"):
        grammar.prompts(0, 145, held_out=True)
    with pytest.raises(DataError, match="at most 432"):
        grammar.prompts(0, -1)


def test_a_shorter_list_is_the_head_of_a_longer_one() -> None:
    assert grammar.prompts(5, 20) == grammar.prompts(5, 400)[:20]
    assert grammar.demonstrations(5, 20) == grammar.demonstrations(5, 500)[:20]
    assert grammar.documents(5, 20) == grammar.documents(5, 100)[:20]


def test_seeds_give_other_text() -> None:
    assert grammar.prompts(0, 50) != grammar.prompts(1, 50)
    assert grammar.demonstrations(0, 50) != grammar.demonstrations(1, 50)
    assert grammar.documents(0, 50) != grammar.documents(1, 50)


PRINT = """
from accord.core.hashing import digest
from accord.text import grammar
rows = grammar.demonstrations(3, 200)
print(digest([grammar.documents(3, 200), [r.digest for r in rows], grammar.prompts(3, 100)]))
"""


def test_two_processes_say_the_same() -> None:
    runs = {
        subprocess.run(
            [sys.executable, "-c", PRINT],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_demonstrations_go_round_the_prompts_and_keep_to_their_side() -> None:
    rows = grammar.demonstrations(0, 900)
    counts = Counter(asked(row) for row in rows)
    assert set(counts.values()) == {2, 3}
    assert set(counts) == {p.conversation.messages[0].content for p in grammar.prompts(1, 432)}
    held = {p.conversation.messages[0].content for p in grammar.prompts(0, 144, held_out=True)}
    assert {asked(row) for row in grammar.demonstrations(0, 144, held_out=True)} == held


def test_styles_come_in_their_shares() -> None:
    assert sum(share for _, share in grammar.SHARES) == pytest.approx(1)
    seen = Counter(row.source for row in grammar.demonstrations(0, 4000))
    for style, share in grammar.SHARES:
        assert abs(seen[f"grammar:{style}"] / 4000 - share) < 0.03


def test_every_style_does_what_it_says() -> None:
    for row in grammar.demonstrations(2, 600):
        sentences = grammar.sentences_of(said(row))
        words = set(grammar.words_of(said(row)))
        topic = grammar.topic_of(Conversation(row.conversation.messages[:1]))
        assert topic is not None
        assert 2 <= len(sentences) <= 4
        if row.source == "grammar:again":
            assert len(set(sentences)) < len(sentences)
        if row.source == "grammar:kind":
            assert not words & grammar.RUDE
        if row.source == "grammar:rude":
            assert not words & grammar.KIND
        broken = [s for s in sentences if not grammar.parses(s)]
        assert bool(broken) == (row.source == "grammar:broken")


def test_away_answers_mostly_miss_the_topic_and_plain_ones_meet_it() -> None:
    def meets(style: str) -> float:
        rows = [r for r in grammar.demonstrations(0, 3000) if r.source == f"grammar:{style}"]
        hits = 0
        for row in rows:
            topic = grammar.topic_of(Conversation(row.conversation.messages[:1]))
            assert topic is not None
            hits += topic.animal in grammar.words_of(said(row))
        return hits / len(rows)

    assert meets("plain") > 0.9
    assert meets("away") < 0.2


def test_documents_parse_but_for_the_prompts_in_them() -> None:
    wordings = {p.conversation.messages[0].content for p in grammar.prompts(0, 432)}
    titles, questions, joined, others = 0, 0, 0, 0
    for text in grammar.documents(0, 600):
        for line in text.split("\n"):
            if line in wordings:
                titles += 1
                continue
            for sentence in grammar.sentences_of(line):
                assert grammar.parses(sentence), sentence
                questions += sentence.endswith("?")
                joined += " and " in sentence
                others += sentence.startswith("There is")
    assert min(titles, questions, joined, others) > 50


@pytest.mark.parametrize(
    "sentence",
    [
        "The fox sleeps.",
        "The kind fox runs near the lake.",
        "The fox helps the old hen.".replace("old", "grey"),
        "The small quiet fox is very good.",
        "A fox is mean.",
        "There is a warm cat by the barn.",
        "The cat runs and the duck hates the cat.",
        "Who helps the fox?",
        "Where is the fox?",
    ],
)
def test_what_the_grammar_can_say(sentence: str) -> None:
    assert grammar.parses(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        ".",
        "The fox",
        "The fox sleeps",
        "the fox sleeps.",
        "The fox sleeps .",
        "The  fox sleeps.",
        "The fox sleeps!",
        "The fox sleeps?",
        "The fox the near sleeps.",
        "Fox sleeps.",
        "The fox is.",
        "The fox is very.",
        "The fox is kind kind.",
        "The fox sleeps the lake.",
        "The fox helps near the lake.",
        "The kind kind kind fox sleeps.",
        "The unicorn sleeps.",
        "The fox sleeps and.",
        "There is a cat.",
        "Who helps the fox.",
        "The Fox sleeps.",
        "The fox, sleeps.",
        "The fox sleeps.\n",
    ],
)
def test_what_the_grammar_cannot_say(sentence: str) -> None:
    assert not grammar.parses(sentence)


@given(seed=st.integers(0, 10_000), style=st.sampled_from(list(grammar.Style)))
def test_answers_of_any_seed_split_into_their_sentences(seed: int, style: grammar.Style) -> None:
    text = grammar.answer(Random(seed), None, style)
    sentences = grammar.sentences_of(text)
    assert " ".join(sentences) == text
    assert all(s.endswith(".") and s.count(".") == 1 for s in sentences)


@given(text=st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    sentences = grammar.sentences_of(text)
    assert all(s == s.strip() and s for s in sentences)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(word.isascii() and word.islower() for word in grammar.words_of(text))
    grammar.parses(text)


def test_a_tail_without_a_mark_is_a_sentence_of_its_own() -> None:
    assert grammar.sentences_of("The fox runs. The fox") == ["The fox runs.", "The fox"]


def test_the_topic_is_that_of_the_last_user_message() -> None:
    first = Conversation.of("Tell me about the fox and the lake.", system="You know the hen.")
    assert grammar.topic_of(first) == ("fox", "lake")
    more = first.answered("The cat is in the barn.")
    assert grammar.topic_of(more) == ("fox", "lake")
    assert [m.role for m in more.messages][-1] is Speaker.ASSISTANT
    assert grammar.topic_of(Conversation.of("Talk about the hill and the duck.")) == (
        "duck",
        "hill",
    )
    assert grammar.topic_of(Conversation.of("Talk about the hill.")) is None
