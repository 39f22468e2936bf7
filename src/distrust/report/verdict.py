"""The student against everybody else, and the one sentence that says how it went.

Knows which comparisons are fair: item by item where both were measured on the same items, interval against interval
where not, and says which. Knows nothing of pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from distrust.evaluate import Difference, Interval, paired_difference, unpaired_difference
from distrust.report.facts import Facts
from distrust.report.panel import Panel
from distrust.report.text import count, percent

STUDENT = "student"
_WORDS = {"above": "above", "within noise": "within noise of", "below": "below"}


@dataclass(frozen=True)
class Rival:
    """The best teacher, and where it was judged."""

    name: str
    row: int
    accuracy: Interval
    panel: Panel


def verdicts(facts: Facts, accuracies: Mapping[str, Interval], gold: Panel | None, test: Panel | None) -> dict[str, Any]:
    """Compare the student's accuracy on the test items with each rival; empty without a test or a student.

    Args:
        accuracies: of each of the facts' predictors on the test items.

    Returns:
        By rival (``best_teacher``, ``majority_vote``, and each other predictor such as ``gold_only``): its name, its
        accuracy, the difference student minus rival, the verdict, whether it is paired, and on how many items.
    """
    if facts.test_labels is None or STUDENT not in facts.predictions:
        return {}
    right = {name: (chance.argmax(-1) == facts.test_labels).double() for name, chance in facts.predictions.items()}
    student = accuracies[STUDENT]
    found: dict[str, Any] = {}
    rival = best_teacher(gold, test)
    if rival is not None:
        found["best_teacher"] = _against_teacher(rival, right[STUDENT], student, test)
    vote = _against_vote({one.source for one in facts.evidence}, gold, test, right[STUDENT], student)
    if vote is not None:
        found["majority_vote"] = vote
    for name, mine in right.items():
        if name != STUDENT:
            found[key(name)] = _entry(name, accuracies[name], paired_difference(right[STUDENT], mine))
    return found


def key(name: str) -> str:
    """A predictor's name as a key: ``gold-only`` is ``gold_only``."""
    return name.replace("-", "_")


def best_teacher(gold: Panel | None, test: Panel | None) -> Rival | None:
    """The teacher whose accuracy on gold is surely highest, as it does on the test items where it was asked there.

    "Surely": by the lower end of its interval, so that three lucky answers do not make a best teacher. Chosen on gold,
    since no choice is made on test; on test only where gold judges nobody.
    """
    rivals = [{one.name: one for one in _rivals(panel)} for panel in (gold, test)]
    chosen = max((rivals[0] or rivals[1]).values(), key=lambda rival: rival.accuracy.low, default=None)
    return None if chosen is None else rivals[1].get(chosen.name, chosen)


def _rivals(panel: Panel | None) -> list[Rival]:
    judged = enumerate(panel.judgements) if panel else ()
    return [Rival(one.source, row, one.accuracy, panel) for row, one in judged if one.accuracy is not None and panel]


def sentence(found: dict[str, Any]) -> str:
    """The run in one sentence, from its metrics."""
    student = (found["test"] or {}).get(STUDENT)
    if student is None:
        return _without_student(found)
    accuracy = student["accuracy"]
    said = f"The student is right on {percent(accuracy['value'])} {bracket(accuracy)} of the test items"
    rivals: dict[str, list[str]] = {}
    for name, one in found["verdicts"].items():
        where = "" if one["paired"] else " on gold"
        share = f"{percent(one['accuracy']['value'])}{where}"
        rivals.setdefault(one["verdict"], []).append(f"{_who(name, one, found)} ({share})")
    if not rivals:
        return f"{said}; there is nothing to compare it with."
    first, *others = [f"{_WORDS[verdict]} {_listed(rivals[verdict])}" for verdict in _WORDS if verdict in rivals]
    return f"{said}, {first}{', but ' if others else ''}{' and '.join(others)}."


def bracket(interval: dict[str, float]) -> str:
    """An interval of shares as "[72, 76]"."""
    return f"[{100 * interval['low']:.0f}, {100 * interval['high']:.0f}]"


def _who(name: str, one: dict[str, Any], found: dict[str, Any]) -> str:
    if name == "best_teacher":
        return "its teacher" if len(found["teachers"]) == 1 else "its best teacher"
    return "the majority vote of its teachers" if name == "majority_vote" else f"the {one['name']} student"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _without_student(found: dict[str, Any]) -> str:
    judged = {name: one["accuracy"] for name, one in found["teachers"].items() if one["accuracy"]}
    missing = "No student was tested" if found["test"] else "There is no test set, so nobody knows how good the student is"
    if not judged:
        return f"{missing}, and no gold that could judge the teachers."
    best = max(judged, key=lambda name: float(judged[name]["low"]))
    items = found["teachers"][best]["judged"]
    who = f"the best teacher, {best}," if len(found["teachers"]) > 1 else f"the teacher, {best},"
    right = f"{percent(judged[best]['value'])} {bracket(judged[best])}"
    return f"{missing}; {who} is right on {right} of the {count(items)} gold items it answered."


def _against_teacher(rival: Rival, right: Tensor, student: Interval, test: Panel | None) -> dict[str, Any]:
    if rival.panel is not test:
        return _entry(rival.name, rival.accuracy, unpaired_difference(student, rival.accuracy))
    claims = rival.panel.claims[rival.row]
    spoke = claims >= 0
    theirs = (claims == rival.panel.labels).double()
    return _entry(rival.name, rival.accuracy, paired_difference(right[spoke], theirs[spoke]))


def _against_vote(
    teachers: set[str], gold: Panel | None, test: Panel | None, right: Tensor, student: Interval
) -> dict[str, Any] | None:
    if len(teachers) < 2:
        return None
    if test is not None and set(test.names) == teachers and test.vote_accuracy is not None:
        theirs = test.vote_right[test.voted].double()
        return _entry("majority vote", test.vote_accuracy, paired_difference(right[test.voted], theirs))
    if gold is None or gold.vote_accuracy is None:
        return None
    return _entry("majority vote", gold.vote_accuracy, unpaired_difference(student, gold.vote_accuracy))


def _entry(name: str, accuracy: Interval, difference: Difference) -> dict[str, Any]:
    return {
        "name": name,
        "accuracy": accuracy,
        "difference": Interval(difference.value, difference.low, difference.high),
        "verdict": difference.verdict,
        "paired": difference.items is not None,
        "items": difference.items,
    }
