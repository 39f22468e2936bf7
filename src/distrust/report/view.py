"""From figures to rows: what the template lays out, section by section.

Knows which figures stand side by side and how many fit. Computes no figure of its own, and writes no HTML but charts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from distrust.report.charts import diagram, lines, ticks
from distrust.report.facts import Facts
from distrust.report.metrics import training
from distrust.report.verdict import STUDENT

WHOLE_TABLE = 20  # classes up to which a confusion table shows all
TOP_CLASSES = 12  # classes that a larger one shows
TOP_MISTAKES = 6
MOST_CURVES = 4  # in one chart, told apart by colour and dash
AXES = ("step", "epoch", "seconds", "time", "learning_rate")  # logged numbers that are no curve of their own

Metrics = Mapping[str, Any]


def figures(found: Metrics) -> dict[str, Any]:
    """Accuracies of everybody as dots with intervals on one scale, best first within students and teachers."""
    students, teachers = _students(found), _teachers(found)
    rows = [*students, *teachers]
    if not rows:
        return {"rows": [], "ticks": []}
    floor = max(0.0, math.floor(10 * min(row["low"] for row in rows) - 0.25) / 10)

    def place(share: float) -> float:
        return round(float(100 * (share - floor) / (1 - floor)), 2)

    for row in rows:
        row["first"] = bool(students) and row in teachers[:1]  # a gap between students and teachers
        row |= {"at": place(row["value"]), "from": place(row["low"]), "wide": place(row["high"]) - place(row["low"])}
    marks = [mark for mark in ticks([floor, 1.0], 5) if floor - 1e-9 <= mark <= 1 + 1e-9]
    return {"rows": rows, "ticks": [{"at": place(mark), "text": f"{100 * mark:.0f}"} for mark in marks]}


def _students(found: Metrics) -> list[dict[str, Any]]:
    scores = {name: one for name, one in (found["test"] or {}).items() if name not in ("teachers", "vote")}
    names = sorted(scores, key=lambda name: (name != STUDENT, -scores[name]["accuracy"]["value"]))
    return [
        {"name": name.replace("_", "-"), "style": "student" if name == STUDENT else "other", **scores[name]["accuracy"]}
        | {"on": f"{found['items']['test']:,} test items"}
        for name in names
    ]


def _teachers(found: Metrics) -> list[dict[str, Any]]:
    on_test = (found["test"] or {}).get("teachers", {})
    judged = [
        (name, "teacher", *((on_test[name], "test") if name in on_test else (pool, "gold")))
        for name, pool in found["teachers"].items()
    ]
    vote = ((found["test"] or {}).get("vote"), "test") if on_test else (found["vote"], "gold")
    rows = [
        {"name": name, "style": style, **one["accuracy"], "on": f"{one['judged']:,} {where} items"}
        for name, style, one, where in [*judged, ("majority vote", "vote", *vote)]
        if one and one["accuracy"]
    ]
    return sorted(rows, key=lambda row: -row["value"])


def confusions(found: Metrics) -> list[dict[str, Any]]:
    """Each teacher's most frequent mistakes and its confusion table, where it was judged on more items."""
    tables = []
    if found["labels"] is None:  # answers are open: a mistake is no pair of classes
        return []
    for name, pool in found["teachers"].items():
        test = (found["test"] or {}).get("teachers", {}).get(name)
        judged, where = (test, "test") if test and test["judged"] > pool["judged"] else (pool, "gold")
        if judged["judged"]:
            mistakes = [cell for cell in judged["confusions"] if cell["gold"] != cell["claimed"]]
            tables.append(
                {
                    "teacher": name,
                    "judged": judged["judged"],
                    "where": where,
                    "mistakes": mistakes[:TOP_MISTAKES],
                    "more": sum(cell["items"] for cell in mistakes[TOP_MISTAKES:]),
                    **_table(judged["confusions"], found["labels"]["classes"]),
                }
            )
    return tables


def _table(cells: list[dict[str, Any]], classes: list[str]) -> dict[str, Any]:
    shown = classes
    if len(classes) > WHOLE_TABLE:  # those with the most mistakes, in the order of the task
        wrong = dict.fromkeys(classes, 0.0)
        for cell in cells:
            for name in (cell["gold"], cell["claimed"]):
                wrong[name] += cell["items"] * (1.0 if cell["gold"] != cell["claimed"] else 0.001)
        top = set(sorted(classes, key=lambda name: -wrong[name])[:TOP_CLASSES])
        shown = [name for name in classes if name in top]
    share = {(cell["gold"], cell["claimed"]): cell for cell in cells}
    rows = [{"name": gold, "cells": [share.get((gold, claimed)) for claimed in shown]} for gold in shown]
    return {"classes": shown, "rows": rows, "of": len(classes)}


def reliability(found: Metrics) -> list[dict[str, Any]]:
    """Reliability diagrams: the student's, and each teacher's that stated a confidence."""
    test = found["test"] or {}
    stated = {"student": test[STUDENT]} if STUDENT in test and test[STUDENT]["bins"] else {}
    for name, pool in found["teachers"].items():
        on_test = test.get("teachers", {}).get(name)
        judged = on_test if on_test and on_test["bins"] else pool
        if judged["bins"]:
            stated[name] = judged
    return [{"name": name, "ece": one["ece"], "chart": diagram({name: one["bins"]})} for name, one in stated.items()]


def curves(facts: Facts) -> list[dict[str, Any]]:
    """A chart for each logged quantity, with a curve for each fit."""
    fits = dict(list(training(facts).items())[:MOST_CURVES])
    names = dict.fromkeys(name for rows in fits.values() for row in rows for name in row if name not in AXES)
    charts = []
    for name in names:
        series = {fit: _points(rows, name) for fit, rows in fits.items()}
        series = {fit: points for fit, points in series.items() if len(points) > 1}
        if series:
            charts.append({"name": name.replace("_", " "), "fits": list(series), "chart": lines(series, _axis(fits))})
    return charts


def _axis(fits: Mapping[str, list[dict[str, float]]]) -> str:
    return next((axis for axis in ("step", "epoch") if any(axis in row for rows in fits.values() for row in rows)), "row")


def _points(rows: list[dict[str, float]], name: str) -> list[tuple[float, float]]:
    axis = _axis({"": rows})
    found = [(row.get(axis, float(place)), row[name]) for place, row in enumerate(rows) if name in row]
    return [(x, y) for x, y in found if math.isfinite(x) and math.isfinite(y)]


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as dotted names and plain values."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
