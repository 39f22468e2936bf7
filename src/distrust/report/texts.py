"""Figures of written texts: exact match of answers, and token F1 and Rouge-L of whole texts, everybody against the student.

Knows texts and references of the test items. Knows nothing of pages, or how an answer was read.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distrust.evaluate import Interval, paired_difference
from distrust.evaluate.texts import likeness, mean
from distrust.report.facts import Facts

SCORES = ("token_f1", "rouge_l")  # of whole texts; `accuracy` is the share of answers that are the reference's
STUDENT = "student"


def text_scores(facts: Facts, name: str) -> dict[str, Interval]:
    """A student's mean scores on the test items: `accuracy`, `token_f1`, `rouge_l`, with bootstrapped intervals."""
    return {score: mean(values) for score, values in _each(facts, name).items()}


def text_differences(facts: Facts) -> dict[str, Any] | None:
    """By other student or teacher: its scores, and the student's minus its own on the items that it answered.

    None where answers are no texts, or nothing was tested.
    """
    if facts.texts is None or STUDENT not in facts.texts.said:
        return None
    mine = _each(facts, STUDENT)
    found = {}
    for name, said in facts.texts.said.items():
        spoke = torch.tensor([one is not None for one in said])
        if name == STUDENT or not bool(spoke.any()):
            continue
        if name in facts.predictions:  # a student that gives no answer is wrong; a teacher that was not asked is not
            spoke = torch.ones_like(spoke)
        theirs = _each(facts, name)
        found[name] = {
            score: {
                "value": mean(theirs[score][spoke]),
                "difference": Interval(gap.value, gap.low, gap.high),
                "verdict": gap.verdict,
                "items": gap.items,
            }
            for score in SCORES
            for gap in [paired_difference(mine[score][spoke], theirs[score][spoke])]
        }
    return found


def _each(facts: Facts, name: str) -> dict[str, Tensor]:
    """Scores of every test item, (N,) each; `accuracy` of students alone."""
    assert facts.texts is not None and facts.test_labels is not None, "texts come with test items"
    wanted = [[one] for one in facts.texts.wanted]
    found = {score: likeness(facts.texts.said[name], wanted, score) for score in SCORES}
    if name in facts.predictions:
        found = {"accuracy": (facts.predictions[name].argmax(-1) == facts.test_labels).double(), **found}
    return found
