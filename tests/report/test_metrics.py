"""The figures of a run, against what they are computed from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.metrics import accuracy_score

from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.report.facts import Spending
from distrust.report.metrics import believed, metrics


@pytest.fixture(scope="module")
def found(digits_facts):
    return metrics(digits_facts)


def test_keys_are_stable_json_and_documented(found, messages_facts):
    documented = Path(__file__).parents[2].joinpath("docs", "metrics.md").read_text()
    for one in (found, metrics(messages_facts)):
        assert json.loads(json.dumps(one, allow_nan=False)) == one
        for key in (*one, *next(iter(one["teachers"].values())), *one["test"]["student"], *one["verdicts"]["best_teacher"]):
            assert f"{key}`" in documented or f"`{key}." in documented, key


def test_scores_are_those_of_the_test(found, digits_facts):
    predicted = digits_facts.predictions["student"].argmax(-1)
    accuracy = found["test"]["student"]["accuracy"]
    assert accuracy["value"] == accuracy_score(digits_facts.test_labels, predicted)
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert set(found["test"]) == {"student", "gold_only", "teachers", "vote"}


def test_a_specialist_is_judged_where_it_answers_and_its_muddle_is_seen(found):
    assert found["teachers"]["zero-to-three"]["knows"] == 4
    mistakes = found["test"]["teachers"]["muddled"]["confusions"][:4]
    assert {(one["gold"], one["claimed"]) for one in mistakes} == {("3", "8"), ("8", "3"), ("4", "9"), ("9", "4")}
    assert found["agreement"]["teachers"] == ["careful", "muddled", "zero-to-three"]
    values = torch.tensor(found["agreement"]["values"])
    assert torch.allclose(values, values.T) and torch.allclose(values.diagonal(), torch.ones(3))


def test_what_is_believed_is_the_mass_on_the_claims(found, digits_facts):
    claims = digits_facts.evidence[1].claims[0]
    share = sum(float(row[claim]) for row, claim in zip(digits_facts.targets, claims.tolist(), strict=True)) / len(claims)
    assert found["teachers"]["muddled"]["believed"] == pytest.approx(share, rel=1e-5)


def test_belief_leaves_out_abstentions_and_weighs_items(messages_facts):
    facts = replace(
        messages_facts,
        targets=torch.tensor([[0.8, 0.2], [0.0, 0.0], [0.5, 0.5], [0.1, 0.9]]),
        target_weight=torch.tensor([1.0, 1.0, 2.0, 1.0]),
    )
    shares = believed(facts, torch.tensor([[0, 0, 1, -1], [-1, 0, -1, -1]]))
    assert float(shares[0]) == pytest.approx((0.8 + 2 * 0.5) / 3)
    assert bool(shares[1].isnan())


def test_gold_outside_the_pool_judges_through_its_own_evidence(messages_facts):
    space, pool = messages_facts.space, messages_facts.pool
    gold = Gold(("g0", "g1"), torch.tensor([0, 1]), space)
    pool_only = [Evidence("t", pool.ids, space, torch.zeros(1, len(pool), dtype=torch.long))]
    on_gold = [Evidence("t", gold.ids, space, torch.zeros(1, 2, dtype=torch.long))]
    facts = replace(messages_facts, gold=gold, evidence=pool_only, kinds={"t": "recorded"})
    assert metrics(facts)["teachers"]["t"]["judged"] == 0
    judged = metrics(replace(facts, gold_evidence=on_gold))["teachers"]["t"]
    assert (judged["judged"], judged["accuracy"]["value"], judged["coverage"]) == (2, 0.5, 1.0)


def test_teachers_on_the_test_items_are_compared_item_by_item(found):
    best = found["verdicts"]["best_teacher"]
    assert (best["name"], best["paired"], best["items"], best["verdict"]) == ("careful", True, 797, "above")
    gap = found["test"]["student"]["accuracy"]["value"] - best["accuracy"]["value"]
    assert best["difference"]["value"] == pytest.approx(gap)
    assert found["verdicts"]["majority_vote"]["paired"] and found["verdicts"]["gold_only"]["paired"]


def test_teachers_judged_elsewhere_are_compared_by_intervals(messages_facts):
    found = metrics(messages_facts)
    best = found["verdicts"]["best_teacher"]
    assert (best["paired"], best["items"]) == (False, None)
    assert best["accuracy"] == found["teachers"][best["name"]]["accuracy"]
    assert best["difference"]["low"] < best["difference"]["value"] < best["difference"]["high"]


def test_one_unknown_price_makes_the_total_unknown(messages_facts):
    total = metrics(messages_facts)["spending"]["total"]
    assert (total["money"], total["money_known"], total["unknown_outcome"]) == (None, 0.0173, 3)
    known = [Spending(name, 1, 0, 0, 0.5) for name in messages_facts.kinds]
    assert metrics(replace(messages_facts, spending=known))["spending"]["total"]["money"] == 1.0
    assert metrics(replace(messages_facts, spending=known[:1]))["spending"]["total"]["money"] is None
    assert metrics(replace(messages_facts, spending=[]))["spending"]["total"]["money"] is None


def test_permuting_teachers_changes_no_figure(digits_facts, found):
    turned = metrics(
        replace(digits_facts, evidence=digits_facts.evidence[::-1], test_evidence=digits_facts.test_evidence[::-1])
    )
    assert turned["teachers"] == found["teachers"] and turned["verdicts"] == found["verdicts"]


def test_missing_parts_each_give_a_sentence(digits_facts):
    untested = replace(digits_facts, test=None, test_labels=None, predictions={}, test_evidence=[])
    said = metrics(untested)["verdict"]
    assert said.startswith(
        "There is no test set, so nobody knows how good the student is; the best teacher, careful, is right"
    )
    nothing = metrics(replace(untested, gold=None))
    assert nothing["verdict"].endswith("and no gold that could judge the teachers.")
    assert nothing["error_correlation"] is None and nothing["test"] is None
    alone = metrics(replace(digits_facts, evidence=[], test_evidence=[], kinds={}, spending=[]))
    assert alone["teachers"] == {} and set(alone["verdicts"]) == {"gold_only"}
    only = metrics(replace(untested, evidence=digits_facts.evidence[:1], predictions={}))
    assert "; the teacher, careful, is right on" in only["verdict"]
    unasked = replace(digits_facts, predictions={})
    assert metrics(unasked)["verdict"].startswith("No student was tested; ")
