"""A judge as a value: what it reads, what it says, how it is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from accord.core.errors import ConfigError, ModelError
from accord.core.types import Conversation, Message, Speaker
from accord.models.tiny import make_tiny
from accord.rewards.judge import FACTS_FILE, WEIGHTS_FILE, RatingJudge, alone, signs
from accord.text.tokenized import Tokenized
from tests.models.workshop import perturb
from tests.rewards.opinions import opinions, reader, taught


@pytest.fixture(scope="module")
def judge(tiny_folder: Path) -> RatingJudge:
    return taught(tiny_folder)


def test_a_grade_is_what_the_module_says(judge: RatingJudge) -> None:
    texts, _ = opinions(30, seed=7)
    found = judge.grade([*texts, "great great great great great great"])
    expected = found.written * found.rating + (1 - found.written) * judge.lowest
    assert found.grade == pytest.approx(expected)
    assert found.doubt == pytest.approx(1 - found.written)
    assert ((found.written >= 0) & (found.written <= 1)).all()
    assert found.grade[-1] < judge.lowest + 0.5
    asked = [Conversation.of("What do you say?")] * len(texts)
    assert judge(asked, texts) == pytest.approx(found.grade[:-1].tolist())
    with pytest.raises(ValueError, match="argument"):
        judge(asked, texts[:-1])


def test_an_opening_is_judged_with_the_answer(judge: RatingJudge) -> None:
    asked = Conversation.of("What do you say?")
    opened = Conversation((*asked.messages, Message(role=Speaker.OPENING, content="The film is")))
    assert opened.opening == "The film is"
    assert judge([opened], [" superb."]) == judge([asked], ["The film is superb."])


def test_company_and_adapters_change_no_grade(tiny_folder: Path) -> None:
    """Grades come from the frozen weights alone, whatever is read in the same batch."""
    judge = taught(tiny_folder, count=120)
    texts, _ = opinions(9, seed=8)
    found = judge.grade(texts)
    one_by_one = [float(judge.grade([text]).grade[0]) for text in texts]
    assert found.grade == pytest.approx(one_by_one, abs=1e-4)
    judge.backbone.add_adapter("policy", rank=4, alpha=8, seed=0)
    perturb(judge.backbone, "policy", seed=0)
    judge.backbone.activate(("policy",))
    assert np.array_equal(judge.grade(texts).grade, found.grade)


def test_the_masked_tokens_are_what_is_judged(judge: RatingJudge) -> None:
    """What follows the mask is not read, and log-probabilities are of the masked tokens."""
    text = opinions(1, seed=9)[0][0]
    row = alone(judge.tokenizer, text)
    assert judge.tokenizer.decode([i for i, m in zip(row.ids, row.mask, strict=True) if m]) == text
    more = Tokenized((*row.ids, 5, 6, 7), (*row.mask, False, False, False))
    found = judge.grade_rows([row, more], [text, text])
    assert found.grade[0] == pytest.approx(found.grade[1], abs=1e-5)
    assert found.tokens.tolist() == [sum(row.mask)] * 2
    assert found.logp_per_token[0] == pytest.approx(found.logp_per_token[1], abs=1e-5)
    # A model that was never trained knows next to nothing of the next token.
    vocabulary = judge.backbone.head.out_features
    assert found.logp_per_token[0] == pytest.approx(-np.log(vocabulary), abs=0.5)


def test_silence_gets_the_lowest_grade(judge: RatingJudge) -> None:
    text = opinions(1, seed=9)[0][0]
    found = judge.grade(["", text, ""])
    assert found.grade[[0, 2]].tolist() == [judge.lowest] * 2
    assert found.grade[1] == pytest.approx(float(judge.grade([text]).grade[0]), abs=1e-4)
    assert found.tokens[[0, 2]].tolist() == [0, 0]
    assert np.isfinite(found.logp_per_token).all()
    assert len(judge.grade([]).grade) == 0


def test_a_text_beyond_the_context_is_refused(judge: RatingJudge) -> None:
    with pytest.raises(ConfigError, match="context"):
        judge.grade(["great " * judge.backbone.context])


def test_signs_by_hand() -> None:
    found = signs("A film, a film, a film!", [-1.0, -3.0, -0.25, -9.0])
    assert found[0] == pytest.approx(-3.3125)
    assert found[4:8] == pytest.approx([4, 0.25, 0.25, -4.625 + 2.0])
    assert found[8] == pytest.approx(np.log(7))
    assert found[9:] == pytest.approx([4 / 6, 3 / 5, 2 / 4])
    assert np.isfinite(signs("...", [-2.0])).all()


def test_a_kept_judge_says_the_same(judge: RatingJudge, tmp_path: Path) -> None:
    texts, _ = opinions(9, seed=8)
    assert len(judge.save(tmp_path)) == 64
    again = RatingJudge.load(tmp_path, backbone=judge.backbone, tokenizer=judge.tokenizer)
    assert np.array_equal(again.grade(texts).grade, judge.grade(texts).grade)
    assert again.tricks == judge.tricks
    assert sorted(path.name for path in tmp_path.iterdir()) == [FACTS_FILE, WEIGHTS_FILE]


def test_another_base_is_refused(judge: RatingJudge, tmp_path: Path) -> None:
    judge.save(tmp_path)
    make_tiny(tmp_path / "other", seed=1)
    backbone, tokenizer = reader(tmp_path / "other")
    with pytest.raises(ModelError, match="another base"):
        RatingJudge.load(tmp_path, backbone=backbone, tokenizer=tokenizer)


@pytest.mark.parametrize("broken", ["facts", "fact", "weights", "tokenizer"])
def test_a_broken_judge_is_refused(judge: RatingJudge, tmp_path: Path, broken: str) -> None:
    judge.save(tmp_path)
    facts = json.loads((tmp_path / FACTS_FILE).read_text())
    match broken:
        case "facts":
            (tmp_path / FACTS_FILE).write_text("{")
        case "fact":
            del facts["lowest"]
            (tmp_path / FACTS_FILE).write_text(json.dumps(facts))
        case "weights":
            (tmp_path / WEIGHTS_FILE).write_bytes(b"no tensors")
        case "tokenizer":
            (tmp_path / FACTS_FILE).write_text(json.dumps(facts | {"tokenizer": "other"}))
    with pytest.raises(ModelError, match="another tokenizer" if broken == "tokenizer" else "read"):
        RatingJudge.load(tmp_path, backbone=judge.backbone, tokenizer=judge.tokenizer)
