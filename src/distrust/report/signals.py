"""Signals on a page: how well each tells right claims from wrong ones, as figures, and as a table with charts.

Knows the qualities of named signals. Does not know what a signal was read off, or what it is used for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from distrust.evaluate import Interval, Quality
from distrust.report.charts import diagram, lines
from distrust.report.text import plain
from distrust.report.view import MOST_CURVES


def figures(judged: Mapping[str, Quality]) -> dict[str, Any]:
    """The qualities by signal as plain values for `metrics.json`; `knows` is the verdict of AUROC against a coin."""
    return {
        name: plain(one)
        | {
            "precision": [{"coverage": share, **plain(value)} for share, value in one.precision.items()],
            "knows": _knows(one.auroc),
        }
        for name, one in judged.items()
    }


def section(found: Mapping[str, Any]) -> Markup:
    """The body of a page's section, from `figures`: a table, precision against coverage, reliability diagrams.

    It needs the page's style sheet; every text in it is escaped and inert. Signals are drawn four to a chart.
    """
    from distrust.report.page import environment  # the page itself may place this section

    names = list(found)
    charts = []
    for start in range(0, len(names), MOST_CURVES):
        shown = names[start : start + MOST_CURVES]
        curves = {name: [(100 * x, 100 * y) for x, y in found[name]["curve"]] for name in shown}
        charts.append({"names": shown, "chart": lines(curves, "coverage, % of the claims, the most trusted first")})
    reliability = [{"name": name, "chart": diagram({name: found[name]["bins"]})} for name in names]
    coverages = [one["coverage"] for one in found[names[0]]["precision"]] if names else []
    page = environment().get_template("signals.html.j2")
    return Markup(page.render(found=found, charts=charts, reliability=reliability, coverages=coverages))


def _knows(auroc: Interval | None) -> str:
    if auroc is None:
        return "unknown"
    return "above" if auroc.low > 0.5 else "below" if auroc.high < 0.5 else "within noise"
