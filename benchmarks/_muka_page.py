"""`python -m benchmarks._muka_page`: writes docs/muka.md's tables from the result file: no number is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks._pages import fill
from benchmarks.harness import RESULTS
from distrust.files import read_json

ASIDE = "trec.2"
PAGE = Path(__file__).parent.parent / "docs" / "muka.md"
STUDENTS = {
    "padded_average": "`padded-average`",
    "uhc": "`uhc`",
    "cfl": "`cfl`",
    "dfa": "`dfa`",
    "concatenated": "`concatenated`: vanilla KD",
    "muka": "`muka`: hard, 16 passes, margin",
    "muka.one_pass": "the same with `passes: 1`",
    "muka.soft": "`target: soft`, τ = .2",
    "muka.max_logit": "`score: max_logit, margin: false`",
    "auto": "`score: auto, target: soft, margin: false`",
    "auto.hard_margin": "`score: auto` alone: hard, margin",
    "merge": "what `distrust merge` writes",
    "oracle": "oracle: the specialist that knows the class",
    "gold_only.gold10": "`gold-only`: no teachers",
    "padded_average.gold10": "`padded-average`, and gold",
    "uhc.gold10": "`uhc`, and gold",
    "dfa.gold10": "`dfa`, and gold",
    "concatenated.gold10": "`concatenated`, and gold",
    "muka.gold10": "`muka`, and gold",
    "auto.gold10": "`auto`, and gold",
    "merge.gold10": "what `distrust merge --gold` writes",
    "oracle.gold10": "oracle, and gold",
    "supervised": "a student of all the pool's labels",
}
SCORES = {name: f"`{name}`" for name in ("mc_entropy", "entropy", "disagreement", "energy", "max_logit", "neighbours")}
SCORES |= {"mahalanobis": "`mahalanobis`", "auto": "`auto`, without gold", "auto.gold10": "`auto`, and gold"}
SCORES |= {"merge": "`distrust merge`", "merge.gold10": "`distrust merge --gold`"}
SIDES = {
    "": "the row above",
    "width32": "student of a quarter of its units",
    "width512": "student of four times its units",
    "mixed": "a linear model of words beside a network",
}
COSTS = {
    "mc_cost": "the specialists above",
    "mc_cost.deep": "two layers of 512 below the first dropout",
    "mc_cost.bert_tiny": "a BERT of 2 layers of 128: dropout on the embeddings",
    "mc_cost.beside_own_loops": "the specialists above, beside loops of one pass each made here, whose dropout costs more",
}


def tables() -> str:
    """What stands on the page, as markdown, from `results/muka.json`."""
    kept: dict[str, Any] = read_json(RESULTS / "muka.json")
    of = kept["figures"]
    rows = [name.removesuffix(".oracle") for name in of if name.endswith(".oracle")]
    head = [f"| test accuracy, % | {' | '.join(rows)} |", "|---" * (len(rows) + 1) + "|"]
    students = [_line(of, rows, said, name) for name, said in STUDENTS.items() if f"{rows[0]}.{name}" in of]
    found = [_line(of, rows, said, f"found.{name}") for name, said in SCORES.items() if f"{rows[0]}.found.{name}" in of]
    goals = [_goals(of, rows, "Without gold", "no_gold"), _goals(of, rows, "With 10 gold a class", "gold10")]
    fair = (
        f"Vanilla KD that was told the same gold is {of['mean_gain_over_vanilla_kd_with_gold.gold10']:.1f} points below it."
    )
    seeds = (
        f"Means over {len(kept['seeds'])} seed{'s' if len(kept['seeds']) > 1 else ''}, half of the 95 % interval after ±."
    )
    costs = [
        "| sixteen passes in one forward, of the process time of sixteen loops with torch's own dropout | |",
        "|---|---|",
    ]
    costs += [f"| {said} | {of[name]:.2f} |" for name, said in COSTS.items()]
    rates = ["", "How often the surest teacher knows the item's class, %:", "", f"| score | {' | '.join(rows)} |", head[1]]
    return "\n".join([seeds, "", *head, *students, *rates, *found, "", *goals, fair, "", *_aside(of), *costs]) + "\n"


def _aside(of: dict[str, Any]) -> list[str]:
    """The row with students of other sizes and specialists of two kinds, where it was measured."""
    shown = {name: said for name, said in STUDENTS.items() if f"{ASIDE}.{name}.mixed" in of}
    if not shown:
        return []
    sides = [f"{ASIDE}.{{}}{f'.{side}' if side else ''}" for side in SIDES]
    head = [f"| {ASIDE}, test accuracy, % | {' | '.join(SIDES.values())} |", "|---" * (len(SIDES) + 1) + "|"]
    return [
        *head,
        *(f"| {said} | {' | '.join(_cell(of, one.format(name)) for one in sides)} |" for name, said in shown.items()),
        "",
    ]


def _goals(of: dict[str, Any], rows: list[str], start: str, gold: str) -> str:
    closed = [f"{row} {round(100 * of[f'{row}.closed.{gold}'])} %" for row in rows if f"{row}.closed.{gold}" in of]
    gain, tied = of[f"mean_gain_over_vanilla_kd.{gold}"], of[f"rows_best_or_tied.{gold}"]
    bare = of.get(f"mean_gain_over_vanilla_kd.merge.{gold}")
    merge = (
        "" if bare is None else f" What `distrust merge` writes, without features, is {bare:+.1f} points from vanilla KD."
    )
    return (
        f"{start}, `auto` is {gain:+.1f} points from vanilla KD without gold on average, and best or within noise of the "
        f"best of its kind in {tied:.0f} of {of['rows']:.0f} rows. Of the distance from vanilla KD to the oracle it closes, "
        f"where that is over 5 points: {', '.join(closed) or 'no such row'}.{merge}"
    )


def _line(of: dict[str, Any], rows: list[str], said: str, name: str) -> str:
    cells = [_cell(of, f"{row}.{name}") for row in rows]
    return f"| {said} | {' | '.join(cells)} |"


def _cell(of: dict[str, Any], name: str) -> str:
    half = of.get(f"{name}.half", 0)
    return f"{of[name]:.1f}" + (f" ± {half:.1f}" if half else "")


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, tables)


if __name__ == "__main__":
    main()
