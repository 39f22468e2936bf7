"""The page a person looks at: one HTML file that needs nothing else, and the same figures as JSON.

Knows the template and its filters. Everything it writes is escaped and made inert, whoever said it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from distrust.evaluate import claims_on
from distrust.files import write_atomically, write_json
from distrust.report import view
from distrust.report.buying import charts
from distrust.report.examples import disputed, doubted
from distrust.report.facts import Facts
from distrust.report.metrics import metrics
from distrust.report.signals import section
from distrust.report.text import count, inert, money, percent, plain
from distrust.report.verdict import bracket
from distrust.report.worth import chart

LONGEST = 200_000  # characters of any one value; the template shortens most of them much further


def write_report(facts: Facts, folder: Path, found: dict[str, Any] | None = None) -> Path:
    """Write `report.html` and `metrics.json` into `folder`, each whole or not at all.

    Args:
        facts: the run.
        folder: where both go.
        found: `metrics(facts)`, where the caller has them already.

    Returns:
        The path of the page.

    Raises:
        DataError: facts that do not fit each other.
        RunError: a folder that cannot be written, or a full disk.
    """
    found = metrics(facts) if found is None else found
    page = folder / "report.html"
    write_atomically(page, render(facts, found))
    write_json(folder / "metrics.json", found)
    return page


def render(facts: Facts, found: dict[str, Any]) -> str:
    """The page as text, from the facts and their metrics."""
    claims = claims_on(facts.evidence, facts.space, facts.pool.ids) if facts.evidence and len(facts.pool) else None
    return str(
        environment()
        .get_template("report.html.j2")
        .render(
            m=found,
            figures=view.figures(found),
            confusions=view.confusions(found),
            doubted=[] if claims is None else doubted(facts, claims),
            disputed=[] if claims is None or len(claims) < 2 else disputed(facts, claims),
            reliability=view.reliability(found),
            curves=view.curves(facts),
            worth=chart(found),
            bought=charts(found),
            signals=section(found["signals"]),
            has_recipe="data" in facts.recipe,
            options=list(view.flat(found["method"]["options"])),
            environment=list(view.flat(found["environment"])),
            recipe=yaml.safe_dump(plain(facts.recipe), sort_keys=False, allow_unicode=True, width=100),
        )
    )


def environment() -> Environment:
    """Templates of this folder, with everything escaped and made inert."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        short=inert,
        percent=_percent,
        count=count,
        money=money,
        bracket=bracket,
        points=_points,
        figure=_figure,
        spread=_spread,
    )
    return found


def _inert(value: Any) -> Any:
    return value if isinstance(value, Markup) else inert(value, LONGEST)


def _percent(share: float | None) -> str:
    return percent(share).replace(" ", "\u00a0")  # the sign stays with its number


def _points(interval: dict[str, float]) -> str:
    """A difference of shares as "+4.1 [2.5, 5.9]", in points."""
    value, low, high = (100 * interval[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} [{low:.1f}, {high:.1f}]".replace("-", "−")


def _spread(one: dict[str, float | None], digits: int = 3) -> str:
    """A figure over seeds as "0.328 (0.279 to 0.379)"."""
    if one["value"] is None:
        return "unknown"
    value, least, most = (f"{one[name]:.{digits}f}" for name in ("value", "least", "most"))
    return f"{value} ({least} to {most})"


def _figure(interval: dict[str, float] | None) -> str:
    """A figure as ".328 [.279, .379]"."""
    if interval is None:
        return "unknown"
    value, low, high = (f"{interval[name]:.3f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
