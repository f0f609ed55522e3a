"""Conversations with several policies: whose history is whose, and which numbers are drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accord.cli.talk import Talk, Turn
from accord.core.errors import ConfigError, DataError
from accord.core.types import Message, SamplingSettings, Speaker
from tests.cli.partners import Parrot

SETTINGS = SamplingSettings(max_tokens=10)


def talk(*partners: Parrot, seed: int = 0, system: str | None = None) -> Talk:
    names = [partner.name for partner in partners]
    return Talk(partners, names, settings=SETTINGS, seed=seed, system=system)


def texts(partner: Parrot) -> list[str]:
    """Words of what a policy was asked last."""
    return [message.content for message in partner.asked[-1].messages]


def test_each_goes_on_with_its_own_history() -> None:
    ann, bob = Parrot("ann"), Parrot("bob")
    both = talk(ann, bob)
    first = both.say("one")
    both.say("two")
    assert texts(ann) == ["one", first[0].text, "two"]
    assert texts(bob) == ["one", first[1].text, "two"]
    assert first[0].text.startswith("ann")
    assert first[1].text.startswith("bob")


def test_all_policies_draw_with_the_same_numbers_and_turns_with_others() -> None:
    ann, bob = Parrot("ann"), Parrot("bob")
    both = talk(ann, bob)
    for message in ("one", "one", "one"):
        both.say(message)
    assert ann.seeds == bob.seeds
    assert len(set(ann.seeds)) == 3
    other = Parrot("other")
    talk(other, seed=1).say("one")
    assert other.seeds[0] not in ann.seeds


def test_the_same_seed_and_messages_give_the_same_and_again_moves_on() -> None:
    first, second = Parrot("p"), Parrot("p")
    one, two = talk(first), talk(second)
    for each in (one, two):
        each.say("one")
        each.again()
        each.again()
        each.say("two")
    assert first.seeds == second.seeds
    assert len(set(first.seeds)) == 4
    assert one.histories == two.histories
    assert one.turns == 2
    assert texts(first)[-1] == "two"
    one.back()
    assert one.say("two").pop().text == two.histories[0][-1].answer
    one.back()
    one.again()  # of the first message, which had three answers
    assert first.seeds[-1] not in first.seeds[:-1]


def test_again_takes_the_place_of_the_last_answer() -> None:
    ann, bob = Parrot("ann"), Parrot("bob")
    both = talk(ann, bob)
    both.say("one")
    both.say("two")
    before = both.histories
    said = both.again()
    assert [history[:-1] for history in both.histories] == [history[:-1] for history in before]
    assert [history[-1] for history in both.histories] == [Turn("two", one.text) for one in said]
    assert both.histories != before


def test_keep_makes_one_history_that_of_all() -> None:
    ann, bob = Parrot("ann"), Parrot("bob")
    both = talk(ann, bob)
    both.say("one")
    kept = both.say("two")[1].text
    both.keep(1)
    both.say("three")
    assert texts(ann) == texts(bob)
    assert texts(ann)[3] == kept
    assert len(both.demonstrations(["a", "b"])) == 2  # they differ again
    both.keep(0)
    (row,) = both.demonstrations(["a", "b"])
    assert row.source == "chat with a and b"
    assert [message.content for message in row.conversation.messages][::2] == [
        "one",
        "two",
        "three",
    ]


def test_back_takes_turns_back_until_there_is_none() -> None:
    ann = Parrot("ann")
    one = talk(ann)
    one.say("one")
    one.say("two")
    assert one.back() == "two"
    one.say("three")
    assert "two" not in texts(ann)
    one.back()
    one.back()
    for act in (one.back, one.again, lambda: one.keep(0), lambda: one.demonstrations(["a"])):
        with pytest.raises(ConfigError, match="nothing was said"):
            act()


def test_the_system_message_counts_from_when_it_is_set() -> None:
    ann = Parrot("ann")
    one = talk(ann, system="be kind")
    assert "be kind" in one.say("one")[0].text
    one.system = None
    assert "be kind" not in one.say("two")[0].text
    one.system = "be brief"
    one.say("three")
    assert ann.asked[-1].messages[0] == Message(role=Speaker.SYSTEM, content="be brief")
    (row,) = one.demonstrations(["a"])
    assert row.conversation.messages[0].content == "be brief"
    one.forget()
    assert one.turns == 0
    one.say("four")
    assert texts(ann) == ["be brief", "four"]


def test_answers_that_are_given_up_leave_everything_as_it_was() -> None:
    ann, bob = Parrot("ann"), Parrot("bob")
    both = talk(ann, bob)
    both.say("one")
    before = both.histories

    def stop(name: str, _: str) -> None:
        if name == "bob":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        both.say("two", stop)
    assert both.histories == before
    assert both.turns == 1
    given_up = ann.seeds[-1]
    assert both.again()[0].text.endswith("two")  # the message that has no answer
    assert ann.seeds[-1] == given_up
    with pytest.raises(KeyboardInterrupt):
        both.again(stop)
    assert both.histories[0][-1].message == "two"
    with pytest.raises(KeyboardInterrupt):
        both.say("three", stop)
    assert both.back() == "two"
    assert both.again()[0].text.endswith("one")


def test_what_no_longer_fits_says_whose_and_what_to_do() -> None:
    ann, bob = Parrot("ann"), Parrot("bob", room=60)
    both = talk(ann, bob)
    with pytest.raises(
        DataError, match="this message does not fit the context of the model of bob"
    ):
        both.say("x" * 51)
    assert not ann.asked  # nobody answers where one cannot
    both.say("x" * 30)
    before = both.histories
    with pytest.raises(DataError, match="no longer fits") as caught:
        both.say("more")
    assert "/new" in str(caught.value.do)
    assert "with 10 left for the answer" in str(caught.value.got)
    assert both.histories == before
    both.settings = replace(both.settings, max_tokens=1)
    both.back()
    both.say("shorter")


def test_an_empty_answer_is_not_worth_imitating() -> None:
    one = talk(Parrot("ann"))
    one.say("silence")
    with pytest.raises(DataError, match="empty response"):
        one.demonstrations(["a"])


def test_another_system_message_is_another_conversation() -> None:
    ann = Parrot("ann")
    alone = talk(ann, system="be kind")
    assert not alone.address("be short")  # nothing was said under the other
    alone.say("one")
    assert not alone.address("be short")
    alone.say("two")
    assert alone.turns == 2
    assert alone.address("be rude")
    assert alone.turns == 0
    alone.say("three")
    (saved,) = alone.demonstrations(["ann"])
    words = [message.content for message in saved.conversation.messages]
    assert words[:2] == ["be rude", "three"]
    assert len(words) == 3
    assert alone.address(None)
    alone.say("four")
    assert texts(ann) == ["four"]
