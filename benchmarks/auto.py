"""`auto` beside plain distillation and the best single method in hindsight: one teacher, several, specialists.

The candidates and the thresholds of `auto` were chosen on R52, TREC, CLINC150 and digits; rows of other sets are closing
rows, which only the full run opens. The methods of a world are carried out in one run, and share what they have in common.
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks._auto_worlds import Row, opened
from benchmarks.harness import Result, needs_data
from distrust.errors import DistrustError
from distrust.evaluate import paired_difference
from distrust.methods import find
from distrust.methods.auto_suited import BASELINE, CANDIDATES
from distrust.run import Run

NOISES = ("weak 250", "symmetric 40", "pairwise 40", "pairwise 60", "instance 40")
KINDS = ("all_good", "random_noise", "exchanges", "two_exchange", "clones", "adversary", "different_classes")
ROWS = [
    Row("one", "r52", "llm"),
    *(Row("one", name, noise) for noise in NOISES for name in ("trec", "clinc150")),
    Row("one", "trec", "symmetric 40", 200),
    Row("one", "trec", "symmetric 40", 0),
    *(Row("several", "digits", kind) for kind in KINDS),
    *(Row("several", name, kind) for name in ("trec", "clinc150") for kind in ("all_good", "two_exchange", "clones")),
    Row("specialists", "clinc150", "2 parts"),
    Row("specialists", "clinc150", "5 parts"),
    Row("specialists", "trec", "2 parts"),
    Row("specialists", "clinc150", "5 parts", 0),
    # closing rows
    *(Row("one", "banking77", noise) for noise in ("weak 250", "symmetric 40", "pairwise 40")),
    Row("one", "mr", "weak 250"),
    Row("one", "subj", "weak 250"),
    Row("one", "sst5", "weak 250"),
    Row("one", "esnli", "llm"),
    *(Row("several", "mnist", kind) for kind in KINDS),
    Row("specialists", "banking77", "7 parts"),
    Row("specialists", "mnist", "5 parts"),
]
QUICK = [
    Row("one", "trec", "pairwise 60"),
    Row("one", "trec", "weak 250"),
    *(Row("several", "digits", kind) for kind in ("all_good", "two_exchange")),
    Row("specialists", "trec", "2 parts"),
]


@dataclass(frozen=True)
class Task:
    """A row and a seed."""

    row: Row
    seed: int


def run(quick: bool) -> Result:
    """All rows over three seeds on all cores; `quick`: five rows of the development sets, one seed, one process."""
    needs_data("auto")
    tasks = [Task(row, seed) for row in (QUICK if quick else ROWS) for seed in ([0] if quick else [0, 1, 2])]
    found: dict[str, list[dict[str, Any]]] = {}
    if quick:
        for task in tasks:
            found.setdefault(task.row.name, []).append(_shown(task, measured(task)))
    else:
        with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
            for task, value in zip(tasks, pool.map(measured, tasks), strict=True):
                found.setdefault(task.row.name, []).append(_shown(task, value))
    return result(found, sorted({task.seed for task in tasks}), [row.name for row in {t.row for t in tasks} if row.closing])


def measured(task: Task) -> dict[str, Any]:
    """Who is right on which test item, by method; what auto chose, and the process time of each method's own stages."""
    torch.set_num_threads(1)
    right: dict[str, list[bool]] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        here = opened(task.row, task.seed, Path(folder))
        with closing(here.run) as work:
            right["auto"] = _right(work, "auto", {}, here.test, here.labels)
            seconds["auto"] = sum(work.stages.seconds.values())
            rows = list(work.choice)
            chosen = next(row["candidate"] for row in rows if row["chosen"])
            suited = {row["candidate"] for row in rows if row["score"] or row["why"] == "nothing was tried"} | {chosen}
            for one in (one for one in CANDIDATES if one.called in suited):
                work.stages.seconds.clear()
                try:
                    right[one.called] = _right(work, one.name, dict(one.options), here.test, here.labels)
                except DistrustError:  # without gold nothing was tried, and a method that needs it cannot run
                    continue
                seconds[one.called] = sum(work.stages.seconds.values())
    return {"right": right, "chosen": chosen, "seconds": seconds["auto"] / seconds[BASELINE.called]}


def _right(work: Run, name: str, options: dict[str, Any], test: Any, labels: Tensor) -> list[bool]:
    method, checked = find(name, options)
    student = method.run(work, checked)
    return (work.ask(student, test).claims[0] == labels).tolist()


def _shown(task: Task, value: dict[str, Any]) -> dict[str, Any]:
    scores = {name: round(float(np.mean(one)), 3) for name, one in value["right"].items()}
    print(
        task.row.name,
        task.seed,
        f"chose {value['chosen']}, {value['seconds']:.1f} times distill's time;",
        scores,
        flush=True,
    )
    return value


def result(found: dict[str, list[dict[str, Any]]], seeds: list[int], last: list[str]) -> Result:
    """Figures of all rows: rows of seeds, each with who is right; `last` are the closing rows."""
    figures: dict[str, float | bool] = {}
    chosen: dict[str, str] = {}
    below = above = switched = 0
    for row, each in found.items():
        names = [name for name in each[0]["right"] if all(name in one["right"] for one in each)]
        table = {name: torch.tensor([one["right"][name] for one in each]).double() for name in names}  # (S, T)
        figures |= {f"{row}.{name}": float(right.mean()) for name, right in table.items()}
        best = max((name for name in names if name != "auto"), key=lambda name: float(table[name].mean()))
        for other, name in (("distill", BASELINE.called), ("best", best)):
            gap = paired_difference(table["auto"], table[name])
            what = f"{row}.auto_minus_{other}"
            figures |= {what: gap.value, f"{what}.low": gap.low, f"{what}.high": gap.high}
            if other == "distill":
                below, above = below + (gap.verdict == "below"), above + (gap.verdict == "above")
        figures[f"{row}.seconds_over_distill"] = float(np.median([one["seconds"] for one in each]))
        switched += any(one["chosen"] != BASELINE.called for one in each)
        chosen[f"chosen.{row}"] = "; ".join(one["chosen"] for one in each) + f"; best in hindsight {best}"
    figures |= {"rows": len(found), "rows_below_distill": below, "rows_above_distill": above}
    figures["rows_leaving_distill"] = switched
    for other, name in (("distill", "mean_gain_over_distill"), ("best", "mean_gap_to_best")):
        figures[name] = float(np.mean([figures[f"{row}.auto_minus_{other}"] for row in found]))
    settings = {"closing_rows": ", ".join(sorted(last)) or "none", "threads": 1, "gold_one_teacher": 50, **chosen}
    return Result(figures, settings, seeds)
