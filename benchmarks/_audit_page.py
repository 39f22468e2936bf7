"""`python -m benchmarks._audit_page`: writes docs/audit.md's table from the result file: no number is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks._pages import fill
from benchmarks.harness import RESULTS
from distrust.files import read_json

PAGE = Path(__file__).parent.parent / "docs" / "audit.md"
SETS = {"r52": "R52, an LLM's labels", "trec": "TREC", "clinc150": "CLINC150"}
NAMES = {
    "cleanlab": "cleanlab",
    "cleanlab_margin": "cleanlab by its margin",
    "without_gold": "without gold",
    "gold50": "with 50 gold",
    "gold75_chosen": "with 25 more that it chose",
    "gold75_random": "with 25 more at random",
}
KINDS = {"symmetric": "symmetric", "pairwise": "pairwise", "instance": "instance-dependent"}


def table() -> str:
    """The worlds, a row each, and means over them, as markdown, from `results/audit.json`."""
    found: dict[str, Any] = read_json(RESULTS / "audit.json")
    of, worlds = found["figures"], sorted(found["settings"]["worlds"], key=_order)
    lines = [
        "| labels | wrong | cleanlab | without gold | 50 gold | rate without gold | error with 50 | interval holds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for world in worlds:
        scores = [of[f"{world}.auprc.{one}"] for one in ("cleanlab", "cleanlab_margin", "without_gold", "gold50")]
        lines.append(
            f"| {_name(world)} | {of[f'{world}.rate']:.0%} | {scores[0]:.2f} / {scores[1]:.2f} | {scores[2]:.2f} "
            f"| {scores[3]:.2f} | {of[f'{world}.rate.without_gold']:.0%} | {100 * of[f'{world}.rate_error.gold50']:.1f} "
            f"| {of[f'{world}.coverage.gold50']:.0%} |"
        )
    scores = {name: f"{of[f'all.auprc.{name}']:.3f}" for name in NAMES}
    lines += ["", f"| over these {of['worlds']:.0f} sets | |", "|---|---|"]
    lines += [f"| average precision, {said} | {scores[name]} |" for name, said in NAMES.items()]
    lines += [
        f"| sets where it is above cleanlab's default with 50 gold | {of['all.auprc.gold50.above_cleanlab']:.0f} |",
        f"| error of the rate with 50 gold, points | {100 * of['all.rate_error.gold50']:.1f} |",
        f"| error of those labels' own share of wrong claims | {100 * of['all.rate_error.gold50_alone']:.1f} |",
        f"| the interval with 50 gold holds the rate | {of['all.coverage.gold50']:.0%} |",
        f"| the range without gold holds it | {of['all.coverage.without_gold']:.0%} |",
    ]
    return "\n".join(lines) + "\n"


def _order(world: str) -> tuple[int, str]:
    """Sets as in `SETS`, then by kind and rate."""
    name, _, kind = world.partition(".")
    return list(SETS).index(name), "".join(str(list(KINDS).index(one)) for one in KINDS if kind.startswith(one)) + kind


def _name(world: str) -> str:
    name, _, kind = world.partition(".")
    return f"{SETS[name]}, {KINDS[kind[:-3]]} {float(kind[-3:]):.0%}" if kind else SETS[name]


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, table)


if __name__ == "__main__":
    main()
