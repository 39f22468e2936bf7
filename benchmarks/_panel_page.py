"""`python -m benchmarks._panel_page`: writes docs/panel.md's tables from the result file: no number is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks._pages import fill, points
from benchmarks._panel_data import SETS
from benchmarks.harness import RESULTS
from distrust.files import read_json

PAGE = Path(__file__).parent.parent / "docs" / "panel.md"
CELLS = [f"{name}.{which}" for name in SETS for which in ("all", "without_gpt4")]


def tables() -> str:
    """Both tables as markdown, from `results/panel.json`."""
    of: dict[str, Any] = read_json(RESULTS / "panel.json")["figures"]
    lines = [
        "| gold | logit | `panel` | gain, points | cells with better log-loss | better Brier |",
        "|---|---|---|---|---|---|",
    ]
    lines.append(f"| 0 | majority {_percent(of['gold0.mean.majority'])} | {_percent(of['gold0.mean.auto'])} | | | |")
    for gold in (25, 50, 100, 200):
        name = f"gold{gold}.mean_gain_over_logit"
        lines.append(
            f"| {gold} | {_percent(of[f'gold{gold}.mean.logit'])} | {_percent(of[f'gold{gold}.mean.auto'])} "
            f"| {points(of, name)} "
            f"| {of[f'gold{gold}.cells_better_log_loss']:.0f} of 10 | {of[f'gold{gold}.cells_better_brier']:.0f} of 10 |"
        )
    lines += [
        "",
        "| 100 gold | best single, in hindsight | majority | logit | `panel` | gain | without texts | without groups "
        "| log-loss | ECE | for a quarter of the calls |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in CELLS:
        at = f"{cell}.100"
        lines.append(
            f"| {cell.replace('.', ', ').replace('_', ' ')} | {_percent(of[f'{cell}.best_single.accuracy'])} "
            f"| {_percent(of[f'{cell}.0.majority.accuracy'])} | {_percent(of[f'{at}.logit.accuracy'])} "
            f"| {_percent(of[f'{at}.auto.accuracy'])} | {points(of, f'{at}.gain_over_logit')} "
            f"| {_percent(of[f'{at}.no_texts.accuracy'])} | {_percent(of[f'{at}.no_groups.accuracy'])} "
            f"| {of[f'{at}.logit.log_loss']:.3f} → {of[f'{at}.auto.log_loss']:.3f} "
            f"| {of[f'{at}.logit.ece']:.3f} → {of[f'{at}.auto.ece']:.3f} "
            f"| {_percent(of[f'{cell}.calls0.25.accuracy_share'])} at {_percent(of[f'{cell}.calls0.25.calls_made'])} |"
        )
    lines += [
        "",
        "| calls planned | calls made | share of the full panel's accuracy | in the worst cell |",
        "|---|---|---|---|",
    ]
    for share in (0.1, 0.25, 0.5):
        found = (of[f"calls{share}.{one}"] for one in ("calls_made", "accuracy_share", "least_accuracy_share"))
        lines.append(f"| {100 * share:.0f} % | " + " | ".join(f"{_percent(one)} %" for one in found) + " |")
    return "\n".join(lines) + "\n"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, tables)


if __name__ == "__main__":
    main()
