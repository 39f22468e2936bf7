"""`python -m benchmarks._peer_page`: writes docs/peer_advised.md's table from the result file: no number is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks._pages import fill, points
from benchmarks.harness import RESULTS
from distrust.files import read_json

PAGE = Path(__file__).parent.parent / "docs" / "peer_advised.md"
COLUMNS = {
    "teacher": "teacher",
    "gold_only": "gold alone",
    "distill": "`distill`",
    "confusions": "`confusions`",
    "faithful": "`gate: none`",
    "peer_advised": "`gate: gold`",
    "selective": "`selective`",
    "self_distillation": "`self-dist.`",
    "self_distillation_sure": "`confident`",
    "mckd2": "`mckd`",
    "mckd3": "3 stages",
    "co_teaching": "`co-teach.`",
    "small_loss": "`small-loss`",
    "elr": "`elr`",
    "cleanlab": "cleanlab",
}


FOLLOWED = ("distill", "faithful", "peer_advised")


def table() -> str:
    """What stands on the page, as markdown, a row a world, from `results/peer_advised.json`."""
    of: dict[str, Any] = read_json(RESULTS / "peer_advised.json")["figures"]
    worlds = [name.removesuffix(".minus_distill") for name in of if name.endswith(".minus_distill")]
    return _methods(of, worlds) + _epochs(of, [world for world in worlds if f"{world}.distill.best_epoch" in of])


def _methods(of: dict[str, Any], worlds: list[str]) -> str:
    """Every method in every world, and the gate against plain distillation and the best other method."""
    head = [*COLUMNS.values(), "gate - `distill`", "gate - best other"]
    lines = [f"| world | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for world in worlds:
        cells = [f"{100 * of[f'{world}.{name}']:.1f}" if f"{world}.{name}" in of else "" for name in COLUMNS]
        gaps = [points(of, f"{world}.minus_{other}") for other in ("distill", "best_other")]
        lines.append(f"| {world} | {' | '.join([*cells, *gaps])} |")
    return "\n".join(lines) + "\n"


def _epochs(of: dict[str, Any], worlds: list[str]) -> str:
    """The last epoch beside the best one, for looking at: nothing on the page compares by the best."""
    if not worlds:
        return ""
    head = " | ".join(f"{COLUMNS[name]}, last | best" for name in FOLLOWED)
    lines = ["", "The best epoch beside the last one. It is chosen on test, so it is nothing to compare by:", ""]
    lines += [f"| world | {head} |", "|---" * (2 * len(FOLLOWED) + 1) + "|"]
    for world in worlds:
        cells = [f"{100 * of[f'{world}.{name}{end}']:.1f}" for name in FOLLOWED for end in ("", ".best_epoch")]
        lines.append(f"| {world} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, table)


if __name__ == "__main__":
    main()
