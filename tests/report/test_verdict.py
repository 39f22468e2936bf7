"""Which comparison is fair, who is the best teacher, and the sentence."""

from dataclasses import replace

import pytest
import torch

from distrust.evaluate import unpaired_difference, wilson
from distrust.evidence import Evidence
from distrust.report.metrics import metrics
from distrust.report.panel import panel
from distrust.report.verdict import best_teacher, key, sentence, verdicts


def test_three_lucky_answers_make_no_best_teacher(messages_facts):
    ids, labels = messages_facts.gold.ids, messages_facts.gold.labels
    lucky = Evidence("lucky", ids[10:13], messages_facts.space, labels[None, 10:13])
    found = metrics(replace(messages_facts, evidence=[*messages_facts.evidence, lucky]))
    assert found["teachers"]["lucky"]["accuracy"]["value"] == 1.0
    assert found["verdicts"]["best_teacher"]["name"] == "gpt-large"


def test_the_sentence_says_above_within_noise_and_below():
    interval = {"value": 0.744, "low": 0.72, "high": 0.76}

    def rival(name, share, verdict, paired=True):
        return {"name": name, "accuracy": {"value": share, "low": 0, "high": 1}, "verdict": verdict, "paired": paired}

    found = {
        "test": {"student": {"accuracy": interval}},
        "teachers": {"gpt": {}},
        "verdicts": {
            "best_teacher": rival("gpt", 0.6, "above", paired=False),
            "majority_vote": rival("majority vote", 0.8, "below"),
            "gold_only": rival("gold-only", 0.73, "within noise"),
        },
    }
    assert sentence(found) == (
        "The student is right on 74 % [72, 76] of the test items, above its teacher (60 % on gold), "
        "but within noise of the gold-only student (73 %) and below the majority vote of its teachers (80 %)."
    )


def test_a_student_beside_nobody_is_alone():
    accuracy = {"value": 0.5, "low": 0.4, "high": 0.6}
    assert sentence({"test": {"student": {"accuracy": accuracy}}, "teachers": {}, "verdicts": {}}) == (
        "The student is right on 50 % [40, 60] of the test items; there is nothing to compare it with."
    )
    assert key("gold-only") == "gold_only"


def test_the_best_is_chosen_on_gold_and_compared_where_it_was_tested(messages_facts):
    space, count = messages_facts.space, 50
    ids = tuple(str(row) for row in range(count))
    labels = torch.zeros(count, dtype=torch.long)

    def right(name, share):
        return Evidence(name, ids, space, (torch.arange(count) >= share * count).long()[None])

    gold = panel([right("fair", 0.6), right("good", 0.9)], space, ids, labels)
    test = panel([right("fair", 1.0), right("good", 0.7)], space, ids, labels)
    assert best_teacher(gold, test).name == "good" and best_teacher(gold, test).accuracy.value == pytest.approx(0.7)
    assert best_teacher(gold, None).accuracy.value == pytest.approx(0.9)
    assert best_teacher(None, test).name == "fair" and best_teacher(None, None) is None

    student = torch.nn.functional.one_hot((torch.arange(count) < 10).long(), len(space)).double()  # right on the last 40
    facts = replace(
        messages_facts,
        test_labels=labels,
        predictions={"student": student},
        evidence=[right("fair", 0.6), right("good", 0.9)],
    )
    accuracies = {"student": wilson(40, count)}
    on_test = verdicts(facts, accuracies, gold, test)
    assert (on_test["best_teacher"]["items"], on_test["best_teacher"]["paired"]) == (50, True)
    assert on_test["best_teacher"]["difference"].value == pytest.approx(0.1)
    elsewhere = verdicts(facts, accuracies, gold, None)["best_teacher"]
    far = unpaired_difference(accuracies["student"], gold.judgements[1].accuracy)
    assert (elsewhere["paired"], elsewhere["items"], elsewhere["difference"].low) == (False, None, far.low)
    assert verdicts(replace(facts, test_labels=None), accuracies, gold, test) == {}
