"""Peer-Advised KD, its gate and its baselines beside plain distillation, on teachers that are wrong in many ways.

A recorded LLM's labels (R52, e-SNLI), weak teachers of the student's own architecture (so that student and teacher are one
model: self-distillation), and synthetic noise; 50 gold labels each, three seeds, the last epoch of every fit. Options were
chosen on parts of R52's pool and on TREC's and CLINC150's training parts; e-SNLI, banking77, MR and Subj are closing sets.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import mean, median
from typing import Any

import numpy as np
import torch

from benchmarks._noisy_worlds import GOLD, POOL, TEST
from benchmarks._peer_tasks import COSTLY, CURVE, FEW, METHODS_RUN, QUICK, Task, measured
from benchmarks.harness import Result, needs_data
from distrust.evaluate import paired_difference
from distrust.evaluate.worth import worth_in_labels

NOISES = ("symmetric", "pairwise", "instance")
GRID = ("trec", "banking77", "clinc150")
SMALLER = 2000  # items of the pool at the ends of a noise's scale, for sets of many classes
ROWS = [  # what tells most stands first
    ("r52", "llm", 0),
    *((name, "weak", 250) for name in GRID),
    *((name, noise, 40) for noise in NOISES for name in GRID),
    ("mr", "weak", 250),
    ("subj", "weak", 250),
    ("esnli", "llm", 0),
    *((name, "weak", 50) for name in GRID),
]
ENDS = [(name, noise, amount) for amount in (60, 20) for noise in NOISES for name in GRID]
TRANSFORMER = [("trec", "symmetric", 40), ("trec", "weak", 250), ("trec", "pairwise", 40)]
TIMED = (("trec", "weak", 250), ("clinc150", "weak", 250))


def run(quick: bool) -> Result:
    """All rows and methods over three seeds on all cores; `quick`: four rows, four methods, one seed."""
    needs_data("peer_advised")
    seeds = [0] if quick else [0, 1, 2]
    found: dict[str, list[dict[str, Any]]] = {}
    tasks = _tasks(quick, seeds)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for task, value in zip(tasks, pool.map(measured, tasks), strict=True):
            found.setdefault(task.row, []).append(value)
            shown = {name: round(float(np.mean(right)), 3) for name, right in value["right"].items()}
            print(task.row, task.seed, f"teacher {value['teacher']:.3f}", shown, flush=True)
    return _result(found, seeds)


def _tasks(quick: bool, seeds: list[int]) -> list[Task]:
    if quick:
        chosen = [("r52", "llm", 0), ("trec", "weak", 250), ("trec", "symmetric", 40), ("trec", "pairwise", 40)]
        return [Task(*row, seed, methods=QUICK) for row in chosen for seed in seeds]
    pools = {"trec": POOL}
    return [
        *(Task(*row, seed, timed=row in TIMED and not seed) for row in ROWS for seed in seeds),
        *(Task(*TRANSFORMER[0], seed, "transformer", COSTLY) for seed in seeds),
        *(Task(*row, seed, methods=FEW, pool=pools.get(row[0], SMALLER)) for row in ENDS for seed in seeds),
        *(Task(*row, seed, "transformer", COSTLY) for row in TRANSFORMER[1:] for seed in seeds),
    ]


def _result(found: dict[str, list[dict[str, Any]]], seeds: list[int]) -> Result:
    figures: dict[str, float | bool] = {}
    tied = below = gained = 0
    for row, each in found.items():
        table = {name: np.stack([one["right"][name] for one in each]) for name in each[0]["right"]}  # (seeds, T)
        figures[f"{row}.teacher"] = mean(one["teacher"] for one in each)
        for name, values in table.items():
            figures[f"{row}.{name}"] = float(values.mean())
            figures[f"{row}.{name}.low"], figures[f"{row}.{name}.high"] = _interval(values)
        for name in each[0]["best_epoch"]:
            figures[f"{row}.{name}.best_epoch"] = mean(one["best_epoch"][name] for one in each)
        ours = table["peer_advised"]
        others = [name for name in table if (name in METHODS_RUN and name != "peer_advised") or name == "cleanlab"]
        best = max(others, key=lambda name: table[name].mean())
        gaps = {name: _gap(ours, table[name]) for name in {best, "distill"}}
        for name, label in ((best, "best_other"), ("distill", "distill")):
            figures |= {
                f"{row}.minus_{label}{end}": value for end, value in zip(("", ".low", ".high"), gaps[name], strict=True)
            }
        tied += gaps[best][2] >= 0
        below += gaps["distill"][2] < 0
        if "gold_only" in table:
            figures[f"{row}.gain"] = float(ours.mean()) - max(figures[f"{row}.teacher"], float(table["gold_only"].mean()))
            gained += figures[f"{row}.gain"] >= 0.05
    figures |= {"rows": len(found), "rows_best_or_tied": tied, "rows_below_distill": below, "rows_gaining_5_points": gained}
    if "r52.llm" in found:
        figures |= _r52(found["r52.llm"])
    for name in ("faithful", "peer_advised"):
        times = [
            one["seconds"][name] / one["seconds"]["distill"] for many in found.values() for one in many if one["seconds"]
        ]
        figures |= {f"seconds_over_distill.{name}": median(times)} if times else {}
    settings: dict[str, Any] = {
        "gold": GOLD,
        "pool_at_most": POOL,
        "pool_at_most.noise20_and_60_of_clinc150_and_banking77": SMALLER,
        "test_at_most": TEST,
        "threads": 1,
        "student": "ngram, or a small BERT",
        "methods_at_noise20_and_60": ", ".join(FEW),
        "methods_of_transformer": ", ".join(COSTLY),
        "best_epoch": "the best epoch of the last student, chosen on test: for looking at, in no comparison",
    }
    return Result(figures, settings | {name: f"{one} {options}" for name, (one, options) in METHODS_RUN.items()}, seeds)


def _r52(each: list[dict[str, Any]]) -> dict[str, float | bool]:
    """The figures of R52 that have fixed names; what the student is worth in human labels."""
    ours = np.stack([one["right"]["peer_advised"] for one in each])
    figures: dict[str, float | bool] = {
        "r52.gold50": float(ours.mean()),
        "r52.gold50.faithful": float(np.mean([one["right"]["faithful"].mean() for one in each])),
    }
    if f"gold{CURVE[0]}" in each[0]["right"]:
        curve = np.stack([[one["right"][f"gold{count}"] for one in each] for count in CURVE])  # (K, S, T)
        worth = worth_in_labels(CURVE, torch.from_numpy(curve).double(), torch.from_numpy(ours).double())
        figures |= {
            "r52.worth_in_labels": worth.value,
            "r52.worth_in_labels.low": worth.low,
            "r52.worth_in_labels.high": worth.high,
        }
    return figures


def _interval(rows: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of (seeds, T), seeds and items drawn anew together."""
    found = paired_difference(torch.from_numpy(rows).double(), torch.zeros(rows.shape, dtype=torch.float64))
    return found.low, found.high


def _gap(ours: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    found = paired_difference(torch.from_numpy(ours).double(), torch.from_numpy(other).double())
    return found.value, found.low, found.high
