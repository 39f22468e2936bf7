"""`auto` beside plain distillation and the best single method in hindsight: one teacher, several, specialists, open answers.

The candidates, the thresholds and the safe choices of `auto` were chosen on R52, TREC, CLINC150 and digits; rows of other
sets are closing rows, which only the full run opens. Open answers are names of classes that a small language model writes;
no choice was made on them. The methods of a world are carried out in one run, and share what they have in common.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from benchmarks._auto_worlds import Opened, Row, opened
from benchmarks._cells import kept, once
from benchmarks.harness import Result, needs_data
from distrust.errors import DistrustError
from distrust.evaluate import paired_difference
from distrust.methods import find
from distrust.methods.auto_suited import BASELINE, CANDIDATES, OPEN_CANDIDATES

MADE_BY = (
    "auto.py",
    "_auto_worlds.py",
    "_noisy_worlds.py",
    "_specialists.py",
    "_words.py",
    "_worlds.py",
)
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
    Row("open", "trec", "pairwise 60 in words", 100),
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
    Row("several", "digits", "two_exchange"),
    Row("specialists", "trec", "2 parts"),
]


@dataclass(frozen=True)
class Task:
    """A row and a seed."""

    row: Row
    seed: int


def run(quick: bool) -> Result:
    """Closing rows over three seeds, development rows over one, on all cores; `quick`: three of the latter, one process."""
    needs_data("auto")
    tasks = [Task(row, seed) for row in (QUICK if quick else ROWS) for seed in range(3 if row.closing else 1)]
    tasks.sort(key=lambda task: (task.row.closing, task.seed))
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
    """Figures of a task, read back where this very program has found them before."""
    place = kept("auto", *MADE_BY) / f"{task.row.name}-{task.seed}.json".replace(" ", "-")
    found: dict[str, Any] = once(place, lambda: _measured(task))
    return found


def _measured(task: Task) -> dict[str, Any]:
    """Who is right on which test item, by method; what auto chose, and its process time over plain distillation's."""
    torch.set_num_threads(1)
    right: dict[str, list[bool]] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        here = opened(task.row, task.seed, Path(folder))
        with closing(here.run) as work:
            right["auto"] = _right(here, "auto", {})
            seconds["auto"] = sum(work.stages.seconds.values())
            rows = list(work.choice)
            chosen = next(row["candidate"] for row in rows if row["chosen"])
            suited = {row["candidate"] for row in rows if row["score"] or row["why"] == "nothing was tried"} | {chosen}
            table = CANDIDATES if work.answers is None else OPEN_CANDIDATES
            for one in (one for one in table if one.called in suited):
                work.stages.seconds.clear()
                try:
                    right[one.called] = _right(here, one.name, dict(one.options))
                except DistrustError:  # without gold nothing was tried, and a method that needs it cannot run
                    continue
                seconds[one.called] = sum(work.stages.seconds.values())
    return {"right": right, "chosen": chosen, "seconds": seconds["auto"] / seconds[BASELINE.called], "tried": rows}


def _right(here: Opened, name: str, options: dict[str, Any]) -> list[bool]:
    method, checked = find(name, options)
    return here.right(method.run(here.run, checked))


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
    switched = 0
    for row, each in found.items():
        names = [name for name in each[0]["right"] if all(name in one["right"] for one in each)]
        table = {name: torch.tensor([one["right"][name] for one in each]).double() for name in names}  # (S, T)
        figures |= {f"{row}.{name}": float(right.mean()) for name, right in table.items()}
        best = max((name for name in names if name != "auto"), key=lambda name: float(table[name].mean()))
        for other, name in (("distill", BASELINE.called), ("best", best)):
            gap = paired_difference(table["auto"], table[name])
            what = f"{row}.auto_minus_{other}"
            figures |= {what: gap.value, f"{what}.low": gap.low, f"{what}.high": gap.high}
        figures[f"{row}.seconds_over_distill"] = float(np.median([one["seconds"] for one in each]))
        switched += any(one["chosen"] != BASELINE.called for one in each)
        chosen[f"chosen.{row}"] = "; ".join(one["chosen"] for one in each) + f"; best in hindsight {best}"
    figures |= {**_summary(figures, list(found)), "rows_leaving_distill": switched}
    figures |= {f"closing.{name}": value for name, value in _summary(figures, [row for row in found if row in last]).items()}
    settings = {
        "closing_rows": ", ".join(sorted(last)) or "none",
        "seeds_of_other_rows": [0],
        "threads": 1,
        "gold_one_teacher": 50,
        **chosen,
    }
    return Result(figures, settings, seeds)


def _summary(of: Mapping[str, float | bool], rows: Sequence[str]) -> dict[str, float]:
    """Of some rows: in how many `auto` is beyond noise from plain distillation, and how far from it and from the best."""
    if not rows:
        return {}
    against = [f"{row}.auto_minus_distill" for row in rows]
    return {
        "rows": len(rows),
        "rows_below_distill": sum(of[f"{name}.high"] < 0 for name in against),
        "rows_above_distill": sum(of[f"{name}.low"] > 0 for name in against),
        "mean_gain_over_distill": mean(of[name] for name in against),
        "mean_gap_to_best": mean(of[f"{row}.auto_minus_best"] for row in rows),
    }
