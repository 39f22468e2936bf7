"""A comparison's page and its JSON.

Knows the figures of a comparison and how they are laid out. Does not know how they came about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from distrust import __version__
from distrust.comparison.figures import MEASURES
from distrust.files import write_atomically, write_json
from distrust.report.charts import Spans, banded, scatter, ticks
from distrust.report.page import environment
from distrust.report.text import plain

MOST_CURVES = 4  # in one chart, told apart by colour and dash


def write_comparison(folder: Path, found: Mapping[str, Any], title: str, recipe: Mapping[str, Any]) -> Path:
    """Write `comparison.html` and `comparison.json`; returns the path of the page.

    Args:
        found: the figures of `distrust.comparison.figures`, and `paid`, what all of it cost together, if anything.
        recipe: what was compared, with ${NAME} unexpanded.
    """
    known = plain({"distrust": __version__, "title": title, **found, "recipe": recipe})
    write_json(folder / "comparison.json", known)
    page = folder / "comparison.html"
    write_atomically(page, render(known))
    return page


def render(known: Mapping[str, Any]) -> str:
    """The page as text, from what `comparison.json` holds."""
    return str(
        environment()
        .get_template("comparison.html.j2")
        .render(
            m=known,
            sentence=sentence(known),
            paid=priced(known["paid"]) if known.get("paid") else None,
            settings=[
                {**one, "dots": _dots(one["rows"]), "fronts": _fronts(one["rows"]), "learning": _learning(one["rows"])}
                for one in known["settings"]
            ],
            curves=_curves(known["settings"]),
            recipe=yaml.safe_dump(known["recipe"], sort_keys=False, allow_unicode=True, width=100),
        )
    )


def sentence(known: Mapping[str, Any]) -> str:
    """How it went, in one sentence."""
    if not any(one["rows"] for one in known["settings"]):
        return "No method could be carried out."
    if len(known["settings"]) == 1:
        rows = known["settings"][0]["rows"]
        tied = [row["method"] for row in rows if row["best_or_tied"]]
        seeds = len(rows[0]["seeds"])
        over = f"over {seeds} seed{'s' if seeds > 1 else ''}"
        if len(tied) == 1 < len(rows):
            return f"{tied[0]} is best {over}, beyond what chance explains."
        return f"{' and '.join([', '.join(tied[:-1]), tied[-1]]) if tied[1:] else tied[0]} cannot be told apart {over}."
    if not known["ranks"]:
        return "No method was carried out in every setting."
    best = known["ranks"][0]
    rank = f"{best['rank']:.1f} of {best['of']}, over {best['over']} settings and seeds"
    return f"{best['method']} has the best mean rank, {rank}."


def priced(cost: Mapping[str, Any]) -> str:
    """Calls, tokens and money in words."""
    tokens = f"{cost['prompt_tokens']:,} prompt and {cost['completion_tokens']:,} completion tokens"
    money = "money unknown" if cost["money"] is None else f"money {cost['money']:.4f}"
    return f"{cost['calls']:,} calls, {tokens}, {money}"


def _dots(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracies as dots with intervals on one scale."""
    floor = max(0.0, math.floor(10 * min((row["accuracy"]["low"] for row in rows), default=0) - 0.25) / 10)

    def place(share: float) -> float:
        return round(100 * (share - floor) / (1 - floor), 2)

    marks = [mark for mark in ticks([floor, 1.0], 5) if floor - 1e-9 <= mark <= 1 + 1e-9]
    return {
        "rows": [
            {
                **row,
                "at": place(row["accuracy"]["value"]),
                "from": place(row["accuracy"]["low"]),
                "wide": place(row["accuracy"]["high"]) - place(row["accuracy"]["low"]),
            }
            for row in rows
        ],
        "ticks": [{"at": place(mark), "text": f"{100 * mark:.0f}"} for mark in marks],
    }


def _fronts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, Markup]]:
    """Accuracy against each price that differs, those on the front filled."""
    found = []
    for price, label in (("seconds", "seconds of process time"), ("money", "money")):
        points = [(row[price], row["accuracy"]["value"], row["method"], row[f"on_front_{price}"]) for row in rows]
        if len({point[0] for point in points} - {None}) > 1:
            found.append((label, scatter([point for point in points if point[0] is not None], label)))
    return found


def _learning(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How each method's student learned: by the loss on validation items where all have it, else by what each minimises."""
    measure = next((name for name in MEASURES if rows and all(row["learned"].get(name) for row in rows)), MEASURES[-1])
    series = {}
    for row in rows:
        epochs = row["learned"].get(measure, ())  # of one method ten, of another a thousand small ones
        series[row["method"]] = [(100 * place / len(epochs), one) for place, one in enumerate(epochs, 1)]
    return {"measure": measure, "charts": _charts(series, "% of its epochs")}


def _curves(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy over each grid key that takes numbers, the other keys held: a chart for each of their combinations."""
    keys = [key for key in settings[0]["values"] if all(_number(one["values"][key]) for one in settings)] if settings else []
    charts = []
    for key in keys:
        held: dict[str, dict[str, list[tuple[float, Mapping[str, float]]]]] = {}
        for one in settings:
            rest = ", ".join(f"{other}={value}" for other, value in one["values"].items() if other != key)
            for row in one["rows"]:
                held.setdefault(rest, {}).setdefault(row["method"], []).append((float(one["values"][key]), row["accuracy"]))
        charts += [{"key": key, "held": rest, **chart} for rest, series in held.items() for chart in _charts(series, key)]
    return charts


def _charts(series: Mapping[str, Spans], x_label: str) -> list[dict[str, Any]]:
    """Curves of two points or more, as many in one chart as can be told apart."""
    rising = [(name, sorted(points, key=lambda point: point[0])) for name, points in series.items() if len(points) > 1]
    parts = [dict(rising[start : start + MOST_CURVES]) for start in range(0, len(rising), MOST_CURVES)]
    return [{"methods": list(part), "chart": banded(part, x_label)} for part in parts]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
