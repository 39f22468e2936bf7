"""`python -m benchmarks._ta_page`: writes docs/ta_in_the_loop.md's tables from the result file: no number is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks._pages import fill, points
from benchmarks._ta_figures import REFERENCE
from benchmarks.harness import RESULTS
from distrust.files import read_json

PAGE = Path(__file__).parent.parent / "docs" / "ta_in_the_loop.md"
OTHERS = ("entropy", "margin", "selected", "filter", "oracle")
PAPERS = 0.2079  # relative gain, at best
FAMILIES = ("coin", "letters", "arithmetic", "shuffled")


def tables() -> str:
    """All tables as markdown, from `results/ta_in_the_loop.json`."""
    kept: dict[str, Any] = read_json(RESULTS / "ta_in_the_loop.json")
    of, how = kept["figures"], kept["settings"]
    chosen = how["chosen"].split(" ")[0]
    lines = [f"{how['cells_measured']} of {how['cells']} students are measured so far{_time(how)}.", ""]
    known = [
        f"{family} {100 * of[f'{family}.teacher']:.1f} and {100 * of[f'{family}.assistant']:.1f} %"
        for family in FAMILIES
        if f"{family}.teacher" in of
    ]
    lines += [
        f"Teacher, and most of the assistant's samples, are right of the pool: {', '.join(known)}.",
        "",
        *_screening(of),
        *_reported(of, chosen),
        *_headline(of, chosen),
        *_agreement(of),
    ]
    return "\n".join(lines) + "\n"


def _time(how: dict[str, Any]) -> str:
    if not how["cells_measured"]:
        return ""
    hours = how["hours_of_one_core_for_all_cells"]
    return f", a median of {how['seconds_a_cell']:.0f} s of one core each; all of them take {hours:.0f} hours of one core"


def _screening(of: dict[str, Any]) -> list[str]:
    found = {name for name in of if name.startswith("screening.") and name.endswith(".gain")}
    methods = list(dict.fromkeys(name.split(".")[-2] for name in of if name in found))
    if not methods:
        return []
    lines = [f"| screened: gain over `random`, points | {' | '.join(FAMILIES)} |", "|---" * (1 + len(FAMILIES)) + "|"]
    for method in methods:
        names = [[name for name in found if name.split(".")[1] == one and name.split(".")[-2] == method] for one in FAMILIES]
        lines.append(f"| `{method}` | {' | '.join(points(of, one[0]) if one else '' for one in names)} |")
    return [*lines, ""]


def _reported(of: dict[str, Any], chosen: str) -> list[str]:
    rows = [name.removesuffix(f".{REFERENCE}") for name in of if name.endswith(f".{REFERENCE}")]
    rows = [row for row in rows if not row.startswith("screening.")]
    if not rows:
        return []
    columns = [REFERENCE, chosen, *OTHERS]
    lines = [f"| family, budget | {' | '.join(columns)} | gain | whole pool |", "|---" * (len(columns) + 3) + "|"]
    for row in rows:
        cells = [f"{100 * of[f'{row}.{one}']:.1f}" if f"{row}.{one}" in of else "" for one in columns]
        family, mine = row.split(".")[0], f"{row}.{chosen}.gain"
        cells += [points(of, mine) if mine in of else ""]
        cells += [f"{100 * of[whole]:.1f}" if (whole := f"{family}.1.whole") in of else ""]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return [*lines, ""]


def _headline(of: dict[str, Any], chosen: str) -> list[str]:
    """Means over the families, at their smallest budgets, their second ones and so on."""
    places = [name.removeprefix("gain.") for name in of if name.startswith("gain.budget_") and name[-1].isdigit()]
    if not places:
        return []
    rows = {"points": "gain", "relative, %": "relative_gain"}
    means = {
        what: [points(of, f"{name}.{one}") if f"{name}.{one}" in of else "" for one in places] for what, name in rows.items()
    }
    best = max((of[f"relative_gain.{one}"] for one in places if f"relative_gain.{one}" in of), default=0.0)
    counts = [int(of.get(f"cells_{what}_random", 0)) for what in ("above", "level", "below")]
    verdict = "reached" if best >= PAPERS else "NOT reached"
    said = (
        f"Of {sum(counts)} cells {counts[0]} are above `{REFERENCE}` beyond noise, {counts[1]} level, {counts[2]} below. "
        f"The goal of {100 * PAPERS:.2f} % relative on one budget is {verdict}, and that of no cell below "
        f"{'NOT ' if counts[2] else ''}reached."
    )
    lines = [f"| `{chosen}` over `{REFERENCE}`, mean of families | {' | '.join(places)} |", "|---" * (1 + len(places)) + "|"]
    return [*lines, *(f"| {what} | {' | '.join(cells)} |" for what, cells in means.items()), "", said, ""]


def _agreement(of: dict[str, Any]) -> list[str]:
    """What an assistant's agreeing samples are worth, and what is found of that without gold."""
    counts = [name.split(".")[1].removeprefix("agree_") for name in of if name.startswith("coin.agree_")]
    counts = list(dict.fromkeys(counts))
    if not counts:
        return []
    head = "of so many agreeing samples: the teacher is right, % (by agreement, without gold)"
    lines = [f"| {head} | {' | '.join(counts)} |", "|---" * (1 + len(counts)) + "|"]
    for family in FAMILIES:
        cells = []
        for count in counts:
            right, found = (of.get(f"{family}.agree_{count}.{one}") for one in ("right", "by_agreement"))
            cells.append("" if right is None or found is None else f"{100 * right:.0f} ({100 * found:.0f})")
        lines.append(f"| {family} | {' | '.join(cells)} |")
    return [*lines, ""]


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, tables)


if __name__ == "__main__":
    main()
