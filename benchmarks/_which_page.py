"""`python -m benchmarks._which_page`: writes docs/which_method.md's tables from the result files: no number is typed.

Knows which figures decide between methods, and in what words. Measures nothing; what has no full result yet is shown by its
quick one and marked so, or left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks._pages import fill, points
from benchmarks.harness import RESULTS
from distrust.files import read_json

PAGE = Path(__file__).parent.parent / "docs" / "which_method.md"
Figures = Mapping[str, Any]

NOISES = {  # how a world's name ends: what the teacher is
    "llm": "an LLM's labels, wrong in patterns of its own",
    "weak250": "a weak model of the student's kind",
    "symmetric": "slips: any other class",
    "pairwise": "each class taken for its neighbour",
    "instance": "hard items, as what they look like",
}
ONE = {
    "teacher": "teacher",
    "gold_only": "`gold-only`",
    "distill": "`distill`",
    "confusions": "`distill`, `trust: confusions`",
    "peer_advised": "`peer-advised`",
    "faithful": "`peer-advised`, `gate: none`",
    "selective": "`selective`",
    "elr": "`elr`",
}
KINDS = {
    "all_good": "all good",
    "random_noise": "one of three at random, 60 %",
    "exchanges": "one of three exchanges classes",
    "two_exchange": "two of three exchange classes",
    "clones": "three of five copy a weak one",
    "adversary": "one of three says the next class",
    "different_classes": "each strong on half of the classes",
}
SEVERAL = {
    "gold_only": "`gold-only`",
    "averaged": "`averaged`",
    "best_teacher": "`best-teacher`",
    "ebkd": "`ebkd`",
    "ca_mkd": "`ca-mkd`",
    "auto": "`ca-mkd`, `weights: auto`",
    "distill_auto": "`distill`, `trust: auto`",
}
MERGED = {
    "padded_average": "`padded-average`",
    "uhc": "`uhc`",
    "cfl": "`cfl`",
    "concatenated": "`concatenated`",
    "muka": "`muka`",
    "auto": "`muka`, `score: auto`",
}
TABLES = {
    "majority": "majority",
    "dawid-skene": "`dawid-skene`",
    "confusions": "`confusions`",
    "ebcc": "`ebcc`",
    "stacking": "`stacking`",
    "auto": "`auto`",
}
TABLE_WORLDS = {
    "all_good": "all good",
    "random_noise": "one at random",
    "swaps_one_of_three": "one of three exchanges classes",
    "swaps_two_of_three": "two of three exchange classes",
    "clones": "near-clones",
    "adversary": "a structured adversary",
    "different_classes": "each strong on other classes",
    "specialists": "specialists",
    "youtube_spam": "real labellers who abstain",
}


def tables() -> str:
    """Everything between the page's marks: a section for each question, where there is a result."""
    written = [_section(*one) for one in SECTIONS]
    return "\n".join(one for one in written if one)


def _section(title: str, name: str, lead: str, rows: Callable[[Figures], Iterable[str]]) -> str:
    """A heading, a sentence, a table and its command; nothing where there is no result."""
    found = result(name)
    if found is None:
        return ""
    figures, quick = found
    command = f"`python -m benchmarks {name}{' --quick' if quick else ''}`"
    said = "A quick look with one seed, not the full figures. " if quick else ""
    return "\n".join([f"### {title}", "", lead, "", *rows(figures), "", f"{said}{command}", ""])


def result(name: str) -> tuple[Figures, bool] | None:
    """A benchmark's figures, and whether they are of its quick run alone; None where it has not been run."""
    for path, quick in ((RESULTS / f"{name}.json", False), (RESULTS / f"{name}.quick.json", True)):
        if path.is_file():
            return read_json(path)["figures"], quick
    return None


def table(
    first: str, columns: Mapping[str, str], rows: Mapping[str, Mapping[str, float]], contest: Sequence[str]
) -> list[str]:
    """Rows of shares in per cent, the largest of those in contest in bold; columns without a figure are left out."""
    shown = [name for name in columns if any(name in row for row in rows.values())]
    lines = [f"| {first} | {' | '.join(columns[name] for name in shown)} |", "|---" * (len(shown) + 1) + "|"]
    for said, row in rows.items():
        cells = {name: f"{100 * row[name]:.1f}" if name in row else "" for name in shown}
        best = max((cells[name] for name in contest if name in row), key=float, default="")
        drawn = [f"**{cell}**" if name in contest and cell and cell == best else cell for name, cell in cells.items()]
        lines.append(f"| {said} | {' | '.join(drawn)} |")
    return lines


def _one(of: Figures) -> list[str]:
    """Worlds of one teacher, by how it is wrong, each a mean over the sets that it was measured on."""
    measured = [name.removesuffix(".minus_distill") for name in of if name.endswith(".minus_distill")]
    rows = {}
    for noise, said in NOISES.items():
        amounts: dict[str, list[str]] = {}
        for world in measured:  # a transformer's worlds end in their student's name, and are left out
            told = re.fullmatch(rf"[a-z0-9]+\.{noise}(\d*)", world)
            if told:
                amount = f", {told[1]} %" if told[1] and noise != "weak250" else f", {world}" if noise == "llm" else ""
                amounts.setdefault(amount, []).append(world)
        for amount, worlds in sorted(amounts.items()):
            sets = ", ".join(world.split(".")[0] for world in worlds)
            rows[f"{said}{amount if noise != 'llm' else ''} ({sets})"] = _means(of, worlds, ONE)
    lines = table("the teacher", ONE, rows, [name for name in ONE if name != "teacher"])
    said = f"`peer-advised` is below plain distillation in {of['rows_below_distill']:.0f} of {of['rows']:.0f} worlds"
    if "seconds_over_distill.peer_advised" in of:
        said += f", and takes {of['seconds_over_distill.peer_advised']:.1f} times as long"
    return [*lines, "", f"{said}."]


def _several(of: Figures) -> list[str]:
    """Worlds of several teachers, each a mean over the sets that it was measured on."""
    rows = {}
    for kind, said in KINDS.items():
        worlds = sorted({".".join(name.split(".")[:2]) for name in of if re.fullmatch(rf"\w+\.{kind}\.averaged", name)})
        if worlds:
            rows[f"{said} ({', '.join(world.split('.')[0] for world in worlds)})"] = _means(of, worlds, SEVERAL)
    return table("the teachers", SEVERAL, rows, list(SEVERAL))


def _merged(of: Figures) -> list[str]:
    """Rows of specialists, with and without gold, in points."""
    worlds = sorted(name.removesuffix(".oracle") for name in of if re.fullmatch(r"\S+\.oracle", name))
    rows = {}
    for world in worlds:
        for end, gold in (("", "no gold"), (".gold10", "10 gold a class")):
            said = f"{world.rpartition('.')[0]} in {world.rpartition('.')[2]} parts, {gold}"
            known = {name: f"{world}.{name}{end}" for name in MERGED}
            rows[said] = {name: of[key] / 100 for name, key in known.items() if key in of}
    return table("specialists", MERGED, rows, list(MERGED))


def _tables(of: Figures) -> list[str]:
    """Label tables with their most gold, and `auto` with none."""
    rows = {}
    for world, said in TABLE_WORLDS.items():
        if f"{world}.auto" in of:
            rows[said] = _means(of, [world], TABLES) | {"bare": of[f"{world}.gold0.auto"]}
    return table("the labellers", {**TABLES, "bare": "`auto` without gold"}, rows, list(TABLES))


def _panel(of: Figures) -> list[str]:
    """Open answers of several LLMs."""
    lines = ["| gold answers | conditional logit | `auto` | gain, points |", "|---|---|---|---|"]
    for gold in (25, 50, 100, 200):
        if f"gold{gold}.mean.auto" in of:
            logit, auto = (of[f"gold{gold}.mean.{name}"] for name in ("logit", "auto"))
            gain = points(dict(of), f"gold{gold}.mean_gain_over_logit", 2)
            lines.append(f"| {gold} | {100 * logit:.1f} | {100 * auto:.1f} | {gain} |")
    none = [100 * of[f"gold0.mean.{name}"] for name in ("majority", "auto")]
    return [*lines, f"| 0 | majority: {none[0]:.1f} | {none[1]:.1f} | |"]


def _auto(of: Figures) -> list[str]:
    """What `auto` gains and leaves, a row a world."""
    worlds = sorted(name.removesuffix(".auto_minus_best") for name in of if name.endswith(".auto_minus_best"))
    lines = ["| world | `auto` | `distill` | `auto` - `distill` | `auto` - the best in hindsight | times `distill`'s time |"]
    lines.append("|---" * 6 + "|")
    for world in worlds:
        cells = [f"{100 * of[f'{world}.{name}']:.1f}" for name in ("auto", "distill")]
        cells += [points(dict(of), f"{world}.auto_minus_{other}") for other in ("distill", "best")]
        lines.append(f"| {world} | {' | '.join(cells)} | {of[f'{world}.seconds_over_distill']:.1f} |")
    said = [_against(of, "", f"Of {of['rows']:.0f} worlds")]
    if "closing.rows" in of:
        said.append(_against(of, "closing.", f"Of the {of['closing.rows']:.0f} of sets that no choice was made on"))
    return [*lines, "", " ".join(said)]


def _against(of: Figures, some: str, which: str) -> str:
    """A sentence on some of the worlds."""
    below, above = (of[f"{some}rows_{which}_distill"] for which in ("below", "above"))
    gain, gap = (100 * of[f"{some}mean_{what}"] for what in ("gain_over_distill", "gap_to_best"))
    return (
        f"{which}, `auto` is below plain distillation beyond noise in {below:.0f} and above it in {above:.0f}; on average "
        f"{gain:+.1f} points from it, and {gap:+.1f} from whatever method was best."
    )


def _means(of: Figures, worlds: Sequence[str], names: Iterable[str]) -> dict[str, float]:
    """Means over worlds of what was measured in all of them."""
    return {
        name: mean(of[f"{world}.{name}"] for world in worlds) for name in names if all(f"{w}.{name}" in of for w in worlds)
    }


SECTIONS = (
    (
        "Let it choose",
        "auto",
        "`method: auto` beside plain distillation, and beside the best of its candidates in hindsight; one seed, of sets "
        "that no choice was made on (banking77, MR, Subj, SST-5, e-SNLI, MNIST) three.",
        _auto,
    ),
    (
        "One teacher, or a vote of several",
        "peer_advised",
        "Test accuracy with 50 gold labels, per cent, a mean over the sets in brackets; the best student in bold.",
        _one,
    ),
    (
        "Several teachers of the same classes",
        "worlds",
        "Test accuracy with little gold, per cent; the best in bold.",
        _several,
    ),
    ("Teachers of different classes", "muka", "Test accuracy, per cent; the best in bold.", _merged),
    (
        "A table of labels, and no student yet",
        "tables",
        "How often the likeliest class is right, per cent, with as much gold as was tried; the best in bold.",
        _tables,
    ),
    (
        "Open answers of several LLMs",
        "panel",
        "How often the answer that is believed is right, per cent, over all cells.",
        _panel,
    ),
)


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, tables)


if __name__ == "__main__":
    main()
