"""Who was believed where, against a loop over items; what-if figures against their definition."""

from dataclasses import replace

import pytest
import torch

from distrust.report.belief import WHOLE, by_class
from distrust.report.metrics import metrics
from distrust.report.page import render
from distrust.report.panel import panel
from distrust.report.saved import load_facts, save_facts
from distrust.whatif import AS_IT_WAS


def pool_of(facts):
    return panel(facts.evidence, facts.space, facts.pool.ids)


def test_weights_are_means_over_the_items_told_a_class(digits_facts):
    weights = torch.rand(3, len(digits_facts.pool), generator=torch.Generator().manual_seed(0))
    weights = weights / weights.sum(0)
    weights[:, 5] = 0  # an item that nobody was weighed on
    facts = replace(digits_facts, weights=weights)
    found = by_class(facts, pool_of(facts))
    assert found["kind"] == "weight" and found["classes"] == list(facts.space.names) and found["of"] == 10
    told = facts.targets.argmax(-1).tolist()
    for teacher in range(3):
        for label in range(10):
            rows = [row for row, one in enumerate(told) if one == label and row != 5]
            mean = sum(float(weights[teacher, row]) for row in rows) / len(rows)
            assert float(found["values"][teacher, label]) == pytest.approx(mean, rel=1e-6)
    assert sum(found["items"]) == len(told)


def test_without_weights_it_is_the_share_of_the_targets_that_went_with_a_claim(digits_facts):
    found = by_class(replace(digits_facts, weights=None), pool_of(digits_facts))
    assert found["kind"] == "share"
    claims = digits_facts.evidence[1].claims[0].tolist()
    told = digits_facts.targets.argmax(-1).tolist()
    rows = [row for row, label in enumerate(told) if label == 3]
    mean = sum(float(digits_facts.targets[row, claims[row]]) for row in rows) / len(rows)
    assert float(found["values"][1, 3]) == pytest.approx(mean, rel=1e-5)


def test_of_many_classes_those_are_shown_in_which_teachers_counted_differently(messages_facts):
    space = type(messages_facts.space)(tuple(f"c{row}" for row in range(20)))
    count = len(messages_facts.pool)
    told = torch.arange(count) % 19  # the last class is told nobody
    weights = torch.full((2, count), 0.5)
    for label in (4, 11, 17):
        weights[0, told == label], weights[1, told == label] = 0.9, 0.1
    facts = replace(messages_facts, space=space, targets=torch.nn.functional.one_hot(told, 20).float(), weights=weights)
    found = by_class(facts, panel(messages_facts.evidence, messages_facts.space, messages_facts.pool.ids))
    assert len(found["classes"]) == WHOLE and {"c4", "c11", "c17"} <= set(found["classes"])
    assert "c19" not in found["classes"]


def test_one_teacher_has_nobody_to_be_weighed_against(digits_facts):
    facts = replace(digits_facts, evidence=digits_facts.evidence[:1], weights=None)
    assert by_class(facts, pool_of(facts)) is None


def test_what_if_is_measured_against_the_same_cheap_fit(digits_facts):
    facts = with_what_if(digits_facts)
    found = metrics(facts)["what_if"]
    assert [one["name"] for one in found] == [AS_IT_WAS, "without <muddled>"]
    assert found[0]["difference"] is None
    right = [float((chance.argmax(-1) == facts.test_labels).double().mean()) for chance in facts.what_if.values()]
    assert found[1]["difference"]["value"] == pytest.approx(right[1] - right[0])
    assert metrics(digits_facts)["what_if"] is None or digits_facts.what_if


def test_the_page_shows_both_and_they_are_kept(digits_facts, tmp_path):
    facts = with_what_if(digits_facts)
    facts = replace(facts, weights=torch.full((3, len(facts.pool)), 1 / 3))
    save_facts(facts, tmp_path)
    again = load_facts(tmp_path)
    assert torch.equal(again.weights, facts.weights) and list(again.what_if) == list(facts.what_if)
    page = render(again, metrics(again))
    assert page == render(facts, metrics(facts))
    assert (
        "Had others been believed" in page
        and "without &lt;muddled&gt;" in page
        and "Weight, by teacher and class told" in page
    )


def with_what_if(facts):
    was = facts.predictions["gold-only"]
    return replace(facts, what_if={AS_IT_WAS: was, "without <muddled>": facts.predictions["student"]})
