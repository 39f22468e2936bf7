"""What the student is worth in human labels: the figures, the sentence, and the chart of it.

Knows the learning curve of a run's facts. Does not know how it was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from distrust.evaluate import Worth, isotonic, wilson, worth_in_labels
from distrust.report.charts import crossing
from distrust.report.facts import Facts
from distrust.report.text import count
from distrust.report.verdict import STUDENT


def worth(facts: Facts) -> dict[str, Any] | None:
    """The curve and what is read off it; None where no curve was drawn."""
    if facts.curve is None or facts.test_labels is None or STUDENT not in facts.predictions:
        return None
    right = facts.curve.right.double()  # (K, N)
    student = (facts.predictions[STUDENT].argmax(-1) == facts.test_labels).double()
    read = worth_in_labels(facts.curve.labels, right, student)
    levels = isotonic(right.mean(-1).unsqueeze(0))[0].tolist()
    return {
        "labels": read,
        "sentence": _sentence(facts, read),
        "curve": [
            {"labels": number, "accuracy": wilson(int(row.sum()), len(row)), "level": level}
            for number, row, level in zip(facts.curve.labels, right, levels, strict=True)
        ],
    }


def chart(found: Mapping[str, Any]) -> Markup | None:
    """The curve of a run's metrics, the student's level, and the number of labels where they meet."""
    if found["worth"] is None:
        return None
    return crossing(
        [(point["labels"], point["accuracy"], point["level"]) for point in found["worth"]["curve"]],
        found["test"][STUDENT]["accuracy"],
        found["worth"]["labels"]["value"],
        "human labels",
    )


def _sentence(facts: Facts, read: Worth) -> str:
    gold = count(len(facts.gold)) if facts.gold else "no"
    whom = ("", " and its teacher", " and its teachers")[min(len(facts.evidence), 2)]
    about = "about " if read.least < read.value < read.most else ""
    return (
        f"With {gold} gold labels{whom}, the student is worth {about}{_bound(read.value, read)} human labels "
        f"[{_bound(read.low, read)}, {_bound(read.high, read)}]: it is as good as a student of so many alone."
    )


def _bound(value: float, read: Worth) -> str:
    """Two digits of a number between the ends: a curve of a few points says no more."""
    if read.least < value < read.most:
        return count(max(float(f"{value:.2g}"), read.least))
    return f"{'at most' if value == read.least else 'at least'} {count(value)}"
