"""What the report says of a student's worth in human labels."""

import re
from dataclasses import replace

import pytest
import torch

from distrust.evaluate import worth_in_labels
from distrust.report.facts import LearningCurve
from distrust.report.metrics import metrics
from distrust.report.page import render
from distrust.report.worth import chart, worth


def facts_with(digits_facts, *counts, student, labels=(50, 100, 1000)):
    """Facts of which so many test items are right, at each point of the curve and by the student."""
    gold = digits_facts.test_labels
    place = torch.arange(len(gold))
    said = torch.where(place < student, gold, (gold + 1) % 10)
    curve = LearningCurve(labels, torch.stack([place < count for count in counts]))
    return replace(digits_facts, predictions={"student": torch.nn.functional.one_hot(said, 10).float()}, curve=curve)


def test_figures_are_those_of_the_facts(digits_facts):
    found = metrics(digits_facts)["worth"]
    right = (digits_facts.predictions["student"].argmax(-1) == digits_facts.test_labels).double()
    read = worth_in_labels(digits_facts.curve.labels, digits_facts.curve.right.double(), right)
    assert (found["labels"]["value"], found["labels"]["low"], found["labels"]["high"]) == (read.value, read.low, read.high)
    assert (found["labels"]["least"], found["labels"]["most"]) == (20, 640)
    assert [point["labels"] for point in found["curve"]] == list(digits_facts.curve.labels)
    for point, row in zip(found["curve"], digits_facts.curve.right, strict=True):
        assert point["accuracy"]["value"] == pytest.approx(float(row.double().mean()))
    levels = [point["level"] for point in found["curve"]]
    assert levels == sorted(levels)


@pytest.mark.parametrize(
    ("student", "said"),
    [
        (
            300,
            "With 50 gold labels and its teachers, the student is worth at most 50 human labels [at most 50, at most 50]: ",
        ),
        (790, "the student is worth at least 1,000 human labels [at least 1,000, at least 1,000]: "),
        (650, "the student is worth about 320 human labels ["),
    ],
)
def test_the_sentence_says_no_more_than_the_curve(digits_facts, student, said):
    found = worth(facts_with(digits_facts, 400, 600, 700, student=student))
    assert said in found["sentence"] and found["sentence"].endswith("]: it is as good as a student of so many alone.")


@pytest.mark.parametrize(
    ("teachers", "whom"), [(0, "labels, the"), (1, "labels and its teacher, the"), (2, "labels and its teachers, the")]
)
def test_it_names_only_the_help_there_was(digits_facts, teachers, whom):
    facts = replace(digits_facts, evidence=digits_facts.evidence[:teachers])
    assert whom in worth(facts)["sentence"]
    assert worth(replace(facts, gold=None))["sentence"].startswith("With no gold labels")


@pytest.mark.parametrize("missing", [{"curve": None}, {"test_labels": None}, {"predictions": {}}])
def test_without_a_curve_a_test_or_a_student_nothing_is_said(digits_facts, missing):
    assert worth(replace(digits_facts, **missing)) is None


def test_without_a_curve_the_page_is_as_before(digits_facts):
    facts = replace(digits_facts, curve=None)
    found = metrics(facts)
    assert found["worth"] is None and chart(found) is None and "human labels" not in render(facts, found)


def places(drawing: str, what: str) -> list[tuple[float, float]]:
    found = re.findall(rf'<circle class="{what}" cx="([\d.]+)" cy="([\d.]+)"', drawing)
    return [(float(x), float(y)) for x, y in found]


def test_the_student_stands_where_its_level_meets_the_curve(digits_facts):
    """650 right is halfway up from 600 to 700, and so halfway across from 100 to 1,000 labels, over the logarithm."""
    drawing = str(chart(metrics(facts_with(digits_facts, 400, 600, 700, student=650))))
    points, (student,) = places(drawing, "dot-1"), places(drawing, "dot-0")
    assert len(points) == 3 and points[0][0] < points[1][0] < points[2][0] and points[0][1] > points[1][1] > points[2][1]
    assert (points[2][0] - points[0][0]) / (points[1][0] - points[0][0]) == pytest.approx(1.30103 / 0.30103, rel=0.01)
    assert student == pytest.approx([(a + b) / 2 for a, b in zip(*points[1:], strict=True)], abs=0.1)
    assert ">1,000</text>" in drawing and ">50</text>" in drawing


def test_numbers_that_would_touch_are_left_out_and_the_ends_stay(digits_facts):
    facts = facts_with(digits_facts, 400, 500, 600, 700, student=500, labels=(50, 900, 950, 1000))
    drawing = str(chart(metrics(facts)))
    assert ">50</text>" in drawing and ">1,000</text>" in drawing and ">950</text>" not in drawing
