"""What people call the arms of an evaluation, and what stands for the truth."""

from __future__ import annotations

from accord.evals.report.parts import ArmKind
from accord.pipeline.arms import arms, label, truth_of

NAMES = ("ppo", "top", "sft", "best of 4", "sft told", "base told", "dpo")


def test_arms_stand_in_order_with_what_they_cost() -> None:
    found = arms({"before": "sft", "policies": {name: {} for name in NAMES}}, instead="Be kind.")
    assert [arm.label for arm in found] == [
        "SFT",
        "Best of 4",
        "Prompting SFT",
        "Prompting the base",
        "Top-rated SFT",
        "PPO",
        "DPO",
    ]
    assert [arm.kind for arm in found] == [
        ArmKind.START,
        ArmKind.PICKED,
        ArmKind.PROMPTED,
        ArmKind.PROMPTED,
        *(ArmKind.TRAINED,) * 3,
    ]
    assert found[2].meaning == 'asked "Be kind."; no training'
    assert found[2].said == "prompting SFT"
    assert found[5].said == "PPO"


def test_without_an_evaluation_there_are_no_arms() -> None:
    assert arms({}) == ()


def test_a_start_that_is_no_sft_is_called_what_it_is() -> None:
    (start, other) = arms({"before": "base", "policies": {"base": {}, "dpo": {}}})
    assert (start.label, start.kind, other.kind) == ("Base", ArmKind.START, ArmKind.TRAINED)
    assert label("somebody's") == "somebody's"


def test_what_makes_another_method_of_dpo_is_said() -> None:
    def said(**dpo: object) -> str:
        return meaning("dpo", dpo)

    plain = "learns from comparisons directly"
    assert said() == said(loss="sigmoid", nll=0.0, dpop=0.0, reference_free=False) == plain
    assert said(loss="nca") == f"{plain}; loss nca"
    free = said(loss="hinge", reference_free=True, nll=1.0)
    assert free == f"{plain}; loss hinge; no reference; better answers imitated beside it"
    assert said(dpop=50.0) == f"{plain}; a better answer's fall is fined"


def meaning(stage: str, own: dict[str, object]) -> str:
    (_, found) = arms({"before": "sft", "policies": {"sft": {}, stage: {}}}, own={stage: own})
    return found.meaning


def test_what_makes_another_method_of_one_that_samples_is_said() -> None:
    plain = "reinforcement learning among answers to one prompt"
    assert meaning("grpo", {"normalise": True, "ratio": "token", "resample": 0}) == plain
    dapo = {"clip_high": 0.28, "resample": 2}
    assert meaning("grpo", dapo) == f"{plain}; clip-higher; prompts without a spread replaced"
    assert meaning("grpo", {"ratio": "sequence"}).endswith("(GSPO)")
    assert meaning("grpo", {"ratio": "detached"}).endswith("(CISPO)")
    assert meaning("grpo", {"normalise": False}).endswith("not divided by the spread")
    assert meaning("reinforce", {"baseline": True}).endswith("the mean of its prompt's answers")
    rounds = meaning("online_dpo", {"round_steps": 9, "objective": "ipo", "labels": "soft"})
    assert rounds.endswith("in rounds of 9 steps; IPO's loss; soft labels")


def test_only_a_known_rule_is_called_the_truth() -> None:
    assert truth_of("grammar").subject == "The known truth (gold)"
    assert truth_of("none") == truth_of("grammar")
    assert truth_of("judge").subject == "The judge's grade"
    assert truth_of("vader").subject == "VADER's sentiment"
