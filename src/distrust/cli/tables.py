"""Tables on the terminal: what a plan expects, what was spent, how a run ended.

Knows rich tables and plain metrics. Every text from outside is made inert before it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distrust.secrets import show

if TYPE_CHECKING:
    from distrust.evidence import Evidence
    from distrust.plan import Planned, Span
    from distrust.report.facts import Spending
    from distrust.run import Run


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], header: bool = True) -> None:
    """Print a table: the first column to the left, the others to the right."""
    drawn = Table(
        title=Text(show(title), style="bold"),  # no bare text: rich would read a name's [brackets] as markup
        show_header=header,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for number, name in enumerate(columns):
        drawn.add_column(Text(show(name)), justify="left" if number == 0 else "right", header_style="dim")
    for row in rows:
        drawn.add_row(*(Text(show(str(cell))) for cell in row))
    Console().print(drawn)


def intervals(figures: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Rows of figures by name: value, low and high."""
    return [(name, *(f"{one[end]:.4f}" for end in ("value", "low", "high"))) for name, one in figures.items()]


def classes_table(run: Run, always: bool = False) -> None:
    """The union of the teachers' classes, and who knows which; nothing where answers are open.

    Args:
        always: also where all teachers know all classes.
    """
    from distrust.labels import LabelSpace

    if run.answers is not None:
        return
    known = [
        (teacher.name, teacher.space.known_in(run.space))
        for teacher in run.teachers
        if isinstance(teacher.space, LabelSpace)
    ]
    if not all(bool(own.any()) for _, own in known):
        return  # who knows no class of the task is refused, in a sentence, as soon as it is asked
    if not always and all(bool(own.all()) for _, own in known):
        return
    vouched = {run.gold.space.names[one] for one in run.gold.labels.tolist()}
    rows = [
        (
            name,
            ", ".join(teacher for teacher, own in known if bool(own[place]))
            or ("nobody; only gold tells of it" if name in vouched else "nobody, and no gold tells of it"),
        )
        for place, name in enumerate(run.space.names)
    ]
    print(f"{len(rows)} classes of {len(known)} teachers, {len(run.pool)} items:")
    table("", ("class", "known by"), rows)


def spending_table(spent: Sequence[Spending], evidence: Sequence[Evidence]) -> None:
    """What each teacher cost and answered."""
    rows = [
        (
            one.teacher,
            f"{said.claims.ge(0).any(0).sum()} of {len(said)}",
            one.calls,
            one.prompt_tokens + one.completion_tokens,
            "unknown" if one.money is None else f"{one.money:.4f}",
            one.ended,
        )
        for one, said in zip(spent, evidence, strict=True)
    ]
    table("What was bought", ("teacher", "items answered", "calls", "tokens", "money", "buying ended"), rows)


def plan_table(planned: Sequence[Planned]) -> None:
    """What each teacher would be asked, and what that would cost: expected, and at most."""
    for one in planned:
        calls = f"{one.calls} calls" + (
            f", {one.calls_on_gold} of them on gold outside the pool" if one.calls_on_gold else ""
        )
        rows = [
            ("answers", f"{one.wanted} wanted, {one.there} there already"),
            ("to buy", calls),
            ("prompt tokens", _span(one.prompt_tokens, ",.0f")),
            ("answer tokens", _span(one.completion_tokens, ",.0f")),
            ("money", _span(one.money, ",.4f")),
            ("buying would end", one.ends),
        ]
        table(f"{one.teacher} ({one.kind})", ("", ""), rows if one.calls else rows[:2], header=False)
        print()
    print("Nothing was asked or spent.")


def _span(span: Span, form: str) -> str:
    expected, worst = ("unknown" if value is None else format(value, form) for value in (span.expected, span.worst))
    return "unknown" if expected == worst == "unknown" else f"{expected} expected, {worst} at most"


def summary(metrics: Path) -> None:
    """The verdict of a run and its table of accuracies."""
    from distrust.files import read_json

    found: dict[str, Any] = read_json(metrics)
    Console().print(Text(f"\n{show(found['verdict'], limit=1000)}\n", style="bold"))
    second, heading = ("token_f1", "token F1") if found.get("labels") is None else ("macro_f1", "macro F1")
    rows = [(name, _percent(one.get("accuracy")), _percent(one.get(second))) for name, one in _tested(found)]
    if rows:
        table("On the test items", ("", "accuracy", heading), rows)
    judged = [
        (name, _percent(one.get("accuracy")), _share(one.get("coverage")))
        for name, one in (found.get("teachers") or {}).items()
    ]
    if judged:
        table("\nTeachers, where gold is known", ("", "accuracy", "coverage"), judged)


def _tested(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    test = found.get("test") or {}
    return [(name.replace("_", "-"), one) for name, one in test.items() if isinstance(one, dict) and "accuracy" in one]


def _percent(interval: Any) -> str:
    if not isinstance(interval, dict) or interval.get("value") is None:
        return "-"
    value, low, high = (
        100 * interval[name] if interval.get(name) is not None else float("nan") for name in ("value", "low", "high")
    )
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _share(value: Any) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
