"""`python -m benchmarks._worlds_page`: writes docs/ca_mkd.md's table from the result file: no number is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks._pages import fill, points
from benchmarks.harness import RESULTS
from distrust.files import read_json

PAGE = Path(__file__).parent.parent / "docs" / "ca_mkd.md"
COLUMNS = {
    "gold_only": "gold alone",
    "averaged": "`averaged`",
    "ebkd": "`ebkd`",
    "aekd": "`aekd`",
    "mmkd": "`mmkd`",
    "fitnet_mkd": "`fitnet-mkd`",
    "best_teacher": "`best-teacher`",
    "reciprocal": "`reciprocal`",
    "softmin": "`softmin`",
    "ca_mkd": "`ca_mkd`",
    "ca_mkd_features": "and features",
    "auto": "`auto`",
    "auto_features": "and features",
    "distill_auto": "`distill`, `auto`",
}
AUTO = ".auto_best_or_tied"


def tables() -> str:
    """What stands on the page, as markdown: what was found, and a row a world, from `results/worlds.json`."""
    kept: dict[str, Any] = read_json(RESULTS / "worlds.json")
    of = kept["figures"]
    worlds = [name.removesuffix(AUTO) for name in of if name.endswith(AUTO)]
    beaten = [world for world in worlds if not of[f"{world}{AUTO}"]]
    bad = [world for world in worlds if "two_exchange" in world]
    lines = [
        f"`weights: auto` is best or within noise of the best in {len(worlds) - len(beaten)} of {len(worlds)} worlds"
        + (f" (not in {', '.join(beaten)})" if beaten else "")
        + ". Where two of three teachers exchange classes it is above plain CA-MKD by, in points: "
        + "; ".join(f"{world} {points(of, f'{world}.auto_minus_ca_mkd')}" for world in bad)
        + ".",
        "",
        f"| world | {' | '.join(COLUMNS.values())} | `auto` - best other | teachers |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for world in worlds:
        cells = [f"{100 * of[f'{world}.{name}']:.1f}" if f"{world}.{name}" in of else "" for name in COLUMNS]
        single = [of[f"{world}.teacher{n}"] for n in range(1, 6) if f"{world}.teacher{n}" in of]
        teachers = ", ".join(f"{100 * one:.0f}" for one in single)
        lines.append(f"| {world} | {' | '.join(cells)} | {points(of, f'{world}.auto_minus_best_other')} | {teachers} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, tables)


if __name__ == "__main__":
    main()
