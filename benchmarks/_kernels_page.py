"""`python -m benchmarks._kernels_page`: writes docs/losses.md's table from the result file: no number is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks._pages import fill
from benchmarks.harness import RESULTS
from distrust.files import read_json

PAGE = Path(__file__).parent.parent / "docs" / "losses.md"
HEAD = (
    *("student, teacher, vocabulary", "floor, ms", "ours over the floor (least, most)", "with huge pages"),
    *("whole logits over the floor", "TRL over ours", "Liger over ours", "two-sided over one-sided"),
)


def table() -> str:
    """What stands on the page, as markdown, from `results/kernels.json`."""
    found: dict[str, Any] = read_json(RESULTS / "kernels.json")
    of, sizes = found["figures"], found["settings"]["student/teacher/vocabulary"]
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for width, other, classes in sizes:
        name = f"w{width}.v{classes}"
        peers = [f"{of[one]:.2f}" if (one := f"{name}.x_{peer}") in of else "" for peer in ("trl", "liger")]
        cells = [
            *(f"{width}, {other}, {classes:,}", f"{of[f'{name}.floor_ms']:.0f}"),
            *(_over(of, f"{name}.x_floor"), _over(of, f"{name}.x_floor.huge_pages")),
            *(f"{of[f'{name}.naive_over_floor']:.2f}", *peers, f"{of[f'{name}.two_sided']:.2f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    memory = {name.rpartition(".")[2]: value for name, value in of.items() if name.startswith("memory_mb")}
    said = {"naive": "whole logits", "trl": "TRL", "liger": "Liger"}
    others = ", ".join(f"{memory[one]:,.0f} MB by {who}" for one, who in said.items() if one in memory)
    lines += [
        "",
        f"Memory added at 50,304 classes × 2,048 tokens: {memory['n2048']:,.0f} MB, one chunk of both sides and the",
        f"head's gradient; {others}. Largest error against double precision:",
        f"{of['max_error']:.0e} of the largest number.",
    ]
    return "\n".join(lines) + "\n"


def _over(of: dict[str, Any], name: str) -> str:
    return f"{of[name]:.2f} ({of[f'{name}.low']:.2f}, {of[f'{name}.high']:.2f})"


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, table)


if __name__ == "__main__":
    main()
