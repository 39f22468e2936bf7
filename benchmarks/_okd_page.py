"""`python -m benchmarks._okd_page`: writes docs/okd.md's tables from result files, complete or not: no number is typed.

Knows figures by cell and method, and when one is above another. Measures nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._pages import fill
from benchmarks.harness import RESULTS
from distrust.files import read_json

PAGE = Path(__file__).parent.parent / "docs" / "okd.md"
KL = {"kl": "KL, held-out texts", "kl_own": "KL, its own texts"}
SHOWN = {  # by kind of texts: what is shown, the last before the seconds being the task's own measure
    "texts": {
        **KL,
        **{"nll": "NLL of the texts", "excess_error": "excess error, %", "distinct_2": "distinct-2", "rouge_l": "Rouge-L"},
    },
    "sequences": {**KL, "excess_error": "excess error, %", "exact_sampled": "right, sampled", "exact": "right, greedy"},
    "many": {**KL, "excess_error": "excess error, %", "covered": "covered", "right": "mass on right answers"},
}
WIDTHS = ("stories.16", "stories.32", "stories.48")
CONTROLS = {
    "forward_longer": "the plain forward divergence at equal cost",
    "tuned_first": "terms that learn the texts first and then stand still",
    "okd.alpha0": "α = 0, labels without the pull",
}
AGAINST = ("forward", "reverse", "gkd", *CONTROLS, "taid", "distillm", "gkd_forward")
DIGITS = {"excess_error": 0, "seconds": 0, "seconds_to_forward": 0}
Figures = dict[str, Any]


def tables() -> str:
    """All tables as markdown: the cost of a step, a step beside TRL's, and quality."""
    return "\n".join([*_part("okd_step", _cost), *_part("trainer_step", _beside), *_part("okd", lines)])


def _part(name: str, said: Callable[[Figures, Figures], list[str]]) -> list[str]:
    """What a benchmark found, in full or else quickly; a line where it was never run."""
    for file, how in ((f"{name}.json", ""), (f"{name}.quick.json", " --quick")):
        if (RESULTS / file).is_file():
            kept: Figures = read_json(RESULTS / file)
            return [
                f"`python -m benchmarks {name}{how}` (`benchmarks/results/{file}`).",
                *said(kept["figures"], kept["settings"]),
            ]
    return [f"`python -m benchmarks {name}` has not been run yet.", ""]


def _cost(of: Figures, how: Figures) -> list[str]:
    """A step of okd in steps of the plain forward divergence."""
    names = {
        "okd": "all layers",
        "okd.last_quarter": "last quarter of the layers",
        "okd.last_quarter.stored": "last quarter, trunk stored; from the second epoch on",
    }
    rows = [
        "| a step of `okd` in steps of `gkd`, `on_policy: 0` | process time (least, most) | operations | time over these |"
    ]
    rows += ["|---|---|---|---|"]
    for name, what in names.items():
        times = _value(of, f"{name}.x_forward")
        rows.append(f"| {what} | {times} | {of[f'{name}.counted']:.2f} | {of[f'{name}.over_count']:.2f} |")
    sizes = ", ".join(f"{name} {value}" for name, value in how.items() if name not in ("rounds", "intervals"))
    goals = [
        _goal("`okd` with all layers within 5 % of the count of operations", of["okd.over_count"], most=1.05),
        _goal("the last quarter over a stored trunk at most 1.1 steps", of["okd.last_quarter.stored.x_forward"], most=1.1),
    ]
    return [f"Random weights: {sizes}; {how['rounds']} rounds.", "", *rows, "", f"Goals: {'; '.join(goals)}.", ""]


def _beside(of: Figures, how: Figures) -> list[str]:
    """A whole step of ours and of TRL's trainer."""
    rows = [
        "| off-policy forward KL, a whole step | ours, ms | TRL, ms | TRL over ours (least, most) |",
        "|---|---|---|---|",
    ]
    names = [one.removesuffix(".x_trl") for one in of if one.endswith(".x_trl")]
    for name in names:
        own, its = (f"{of[f'{name}.{who}_ms_a_step']:.0f}" for who in ("ours", "trl"))
        rows.append(f"| {name} | {own} | {its} | {_value(of, f'{name}.x_trl')} |")
    said = "; ".join(f"{name}: {value}" for name, value in how.items() if name not in ("trl", "intervals"))
    parts = "; ".join(_goal(name, of[f"{name}.x_trl"], least=1.5) for name in names)
    goal = [f"Goal, at least 1.5 times as fast as that trainer: {parts}.", ""]
    return [
        f"Beside the GKD trainer of TRL {how['trl']} with lambda 0, first gradients alike. {said}.",
        "",
        *rows,
        "",
        *goal,
    ]


def _goal(what: str, value: float, least: float = -math.inf, most: float = math.inf) -> str:
    """A goal, what was measured, and whether that is it."""
    return f"{what}: {value:.2f}, **{'met' if least <= value <= most else 'missed'}**"


def lines(of: Figures, how: Figures) -> list[str]:
    """What the figures say, cell by cell, and then who is above whom."""
    cells = [cell for cell in how["cells"] if f"{cell}.forward.kl" in of]
    hours = how["hours_of_one_core_so_far"]
    found = [f"{how['measured']} students are measured so far, in {hours} hours of one core.", ""]
    for cell in cells:
        found += _cell(of, how, cell)
    for ours in ("okd", "okd.last"):
        found += _verdicts(of, ours, cells)
    return [*found, *_drifts(of, cells), *_goals(of, how, cells)]


def _goals(of: Figures, how: Figures, cells: list[str]) -> list[str]:
    """The goals beside what was measured, so far as all of it is there."""
    widths, missing = [cell for cell in WIDTHS if cell in cells], len(WIDTHS) - int(of.get("gaps", 0))
    if not widths or "gaps_won_over_gkd" not in of or "gaps_won_over_reverse_kl" not in of:
        return ["Goals: not measured yet.", ""]
    start = f"Goals, over {of['gaps']:.0f} widths of students" + (f" ({missing} are not measured yet)" if missing else "")
    parts = _reached(of, "", "okd")
    if (name := "gain_over_forward_kl.equal_cost") in of:
        parts.append(_gain(of, name, "KL below the plain forward divergence's at equal cost, nats"))
    said = [f"{start}: {'; '.join(parts)}.", ""]
    if (name := "okd.last.gain_over_forward_kl.equal_steps") in of:
        parts = _reached(of, "okd.last.", "okd.last")
        cost = f"which cost {of['okd.last.time_over_forward']:.2f} times as much here"
        parts.append(_gain(of, name, f"KL below the plain forward divergence's at equal steps, {cost}, nats"))
        said += [f"Of `okd.last`, the last layer alone over a stored trunk: {'; '.join(parts)}.", ""]
    return said


def _reached(of: Figures, start: str, method: str) -> list[str]:
    """On how many widths a method beats the two that the paper beats, and its time beside the dearer one's."""
    parts = [
        _goal(
            f"`{other}` beaten in KL on held-out texts, every seed above any of its, on two of three widths",
            of[f"{start}gaps_won_over_{name}"],
            least=2,
        )
        + f" (in Rouge-L on {of[f'{start}gaps_won_over_{name}.rouge_l']:.0f})"
        for other, name in (("gkd", "gkd"), ("reverse", "reverse_kl"))
    ]
    return [*parts, _goal(f"time of `{method}` over `gkd`'s at most a half", of[f"{start}time_over_gkd"], most=0.5)]


def _gain(of: Figures, name: str, what: str) -> str:
    ends = f"least of all students; mean {of[name]:.3f}, most {of[f'{name}.high']:.3f}"
    return f"{_goal(what, of[f'{name}.low'], least=1e-9)} ({ends})"


def kind(cell: str) -> str:
    """Which of `SHOWN` a cell is."""
    start = cell.split(".")[0]
    return start if start in SHOWN else "texts"


def _cell(of: Figures, how: Figures, cell: str) -> list[str]:
    shown = SHOWN[kind(cell)] | {"seconds": "s", "seconds_to_forward": "s to the KL `forward` ends at"}
    methods = [name for name in how if f"{cell}.{name}.kl" in of]
    seeds = sorted({int(of[f"{cell}.{name}.seeds"]) for name in methods})
    said = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    top = [f"**{cell}**, {said} seed{'' if said == '1' else 's'}", ""]
    right = [f"{SHOWN[kind(cell)][name]} {of[one]:.2f}" for name in SHOWN[kind(cell)] if (one := _teacher(cell, name)) in of]
    top = [f"{top[0]}; the teacher itself: {', '.join(right)}", ""] if right else top
    rows = [f"| | {' | '.join(shown.values())} |", "|---" * (1 + len(shown)) + "|"]
    rows += [f"| `{name}` | {' | '.join(_value(of, f'{cell}.{name}.{one}') for one in shown)} |" for name in methods]
    return [*top, *rows, ""]


def _teacher(cell: str, name: str) -> str:
    return f"{kind(cell)}.teacher.{name}"


def _value(of: Figures, name: str) -> str:
    digits = DIGITS.get(name.rpartition(".")[2], 2)
    if name not in of:
        return ""
    value, low, high = (f"{of[one]:.{digits}f}" for one in (name, f"{name}.low", f"{name}.high"))
    return value if low == high else f"{value} ({low}, {high})"


def _drifts(of: Figures, cells: list[str]) -> list[str]:
    """How far the teachers went, beside where the algorithm sends terms that can say anything."""
    alphas = {"okd": 0.1, "okd.alpha25": 0.25, "okd.alpha50": 0.5}
    known = {name: [cell for cell in cells if f"{cell}.{name}.drift" in of] for name in alphas}
    if not any(known.values()):
        return []
    rows = ["| drift, nats a token | -log(1 - α) | " + " | ".join(cells) + " |", "|---" * (2 + len(cells)) + "|"]
    for name, alpha in alphas.items():
        if known[name]:
            values = " | ".join(_value(of, f"{cell}.{name}.drift") for cell in cells)
            rows.append(f"| `{name}` | {-math.log(1 - alpha):.2f} | {values} |")
    return [*rows, ""]


def sign(of: Figures, cell: str, ours: str, other: str, name: str) -> str:
    """`+` where ours is better in all seeds than the other in any, `-` where it is worse, `=` where they overlap."""
    mine, theirs = f"{cell}.{ours}.{name}", f"{cell}.{other}.{name}"
    if mine not in of or theirs not in of:
        return ""
    less = name in KL
    above = of[f"{mine}.high"] < of[f"{theirs}.low"] if less else of[f"{mine}.low"] > of[f"{theirs}.high"]
    below = of[f"{mine}.low"] > of[f"{theirs}.high"] if less else of[f"{mine}.high"] < of[f"{theirs}.low"]
    return "+" if above else "-" if below else "="


def _judged(cell: str) -> list[str]:
    return [*KL, list(SHOWN[kind(cell)])[-1]]


def _verdicts(of: Figures, ours: str, cells: list[str]) -> list[str]:
    """A table of signs with the ratio of seconds, and sentences about the goal, the controls, and where ours loses."""
    here = [cell for cell in cells if f"{cell}.{ours}.kl" in of]
    others = [name for name in AGAINST if any(f"{cell}.{name}.kl" in of for cell in here)]
    if not here or not others:
        return []
    rows = [f"| `{ours}` against | {' | '.join(here)} |", "|---" * (1 + len(here)) + "|"]
    for other in others:
        said = []
        for cell in here:
            signs = " ".join(sign(of, cell, ours, other, name) for name in _judged(cell)).strip()
            times = of[f"{cell}.{ours}.seconds"] / of[f"{cell}.{other}.seconds"] if signs else 0
            said.append(f"{signs} · {times:.2f}×" if signs else "")
        rows.append(f"| `{other}` | {' | '.join(said)} |")
    return [*rows, "", *_sentences(of, ours, here), ""]


def _sentences(of: Figures, ours: str, cells: list[str]) -> list[str]:
    least = min(int(of[f"{cell}.{ours}.seeds"]) for cell in cells)
    found = [
        "Signs: KL on held-out texts, KL on its own, and the last column before the seconds; `+`: better in every seed than "
        "the other in any, `-`: worse, `=`: they overlap. Then its time as a multiple of the other's."
    ]
    if least < 3:
        few = ", ".join(cell for cell in cells if int(of[f"{cell}.{ours}.seeds"]) < 3)
        found.append(f"Of {few} there are fewer than three seeds, in which a sign decides nothing.")
    widths = [cell for cell in WIDTHS if cell in cells and all(f"{cell}.{one}.kl" in of for one in ("reverse", "gkd"))]
    for name in _judged(WIDTHS[0]) if widths else ():
        ahead = [cell for cell in widths if {sign(of, cell, ours, one, name) for one in ("reverse", "gkd")} == {"+"}]
        found.append(
            f"Above both `reverse` and `gkd` in {SHOWN['texts'][name]}: {len(ahead)} of {len(widths)} widths of students."
        )
    for other, what in CONTROLS.items():
        there = [cell for cell in cells if sign(of, cell, ours, other, "kl")]
        tied = [cell for cell in there if sign(of, cell, ours, other, "kl") == "="]
        lost = [cell for cell in there if sign(of, cell, ours, other, "kl") == "-"]
        if tied or lost:
            parts = [f"{word} {', '.join(some)}" for word, some in (("ties", tied), ("is ahead in", lost)) if some]
            parts = [part.replace("ties ", f"ties `{ours}` in ") for part in parts]
            found.append(f"The control `{other}` ({what}) {' and '.join(parts)}, by KL on held-out texts.")
    behind = [f"`{other}` ({', '.join(some)})" for other in AGAINST if (some := _lost(of, ours, other, cells))]
    found.append(
        f"By that, `{ours}` loses to {', '.join(behind)}." if behind else f"By that, `{ours}` loses to none of these."
    )
    return found


def _lost(of: Figures, ours: str, other: str, cells: list[str]) -> list[str]:
    return [cell for cell in cells if sign(of, cell, ours, other, "kl") == "-"]


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, tables)


if __name__ == "__main__":
    main()
