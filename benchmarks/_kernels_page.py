"""`python -m benchmarks._kernels_page`: writes docs/losses.md's tables from the result files: no number is typed."""

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


EARLIER = "kernels.intel.json"  # the same benchmark on another maker's processor
PEERS = {"naive": "whole logits", "trl": "TRL", "liger": "Liger"}


def table() -> str:
    """What stands on the page, as markdown, of both result files."""
    now, before = (read_json(RESULTS / name) for name in ("kernels.json", EARLIER))
    lines = [f"On an {now['processor']} processor, {now['cores']} cores of a shared machine:", "", *_sizes(now), ""]
    lines += [
        *_rest(now["figures"]),
        "",
        f"Earlier, on an Intel processor (`benchmarks/results/{EARLIER}`):",
        "",
        *_sizes(before),
    ]
    return "\n".join(lines) + "\n"


def _sizes(found: dict[str, Any]) -> list[str]:
    """A row for each size."""
    of = found["figures"]
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for width, other, classes in found["settings"]["student/teacher/vocabulary"]:
        name = f"w{width}.v{classes}"
        peers = [f"{of[one]:.2f}" if (one := f"{name}.x_{peer}") in of else "" for peer in ("trl", "liger")]
        cells = [
            *(f"{width}, {other}, {classes:,}", f"{of[f'{name}.floor_ms']:.0f}"),
            *(_over(of, f"{name}.x_floor"), _over(of, f"{name}.x_floor.huge_pages")),
            *(f"{of[f'{name}.naive_over_floor']:.2f}", *peers, f"{of[f'{name}.two_sided']:.2f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _rest(of: dict[str, Any]) -> list[str]:
    """Memory, errors, and what other targets cost."""
    memory = {name.rpartition(".")[2]: value for name, value in of.items() if name.startswith("memory_mb")}
    others = ", ".join(f"{memory[one]:,.0f} MB by {who}" for one, who in PEERS.items() if one in memory)
    stored, several = (_over(of, f"w256.v32768.{one}.x_floor") for one in ("top64", "teachers3"))
    return [
        f"Memory added at 50,304 classes × 2,048 tokens: {memory['n2048']:,.0f} MB, one chunk of both sides and the",
        f"head's gradient; {others}. Largest error against double precision:",
        f"{of['max_error']:.0e} of the largest number, two-sided {of['max_error.two_sided']:.0e}; of bf16 heads and hidden",
        f"states {of['max_error.bf16']:.3f}, by whole logits {of['max_error.bf16.naive']:.3f}.",
        "At width 256 and 32,768 classes, over the",
        f"products that each cannot leave out: a stored top 64 {stored}, three weighted teachers {several}.",
    ]


def _over(of: dict[str, Any], name: str) -> str:
    return f"{of[name]:.2f} ({of[f'{name}.low']:.2f}, {of[f'{name}.high']:.2f})"


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, table)


if __name__ == "__main__":
    main()
