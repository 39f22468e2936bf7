"""MUKA, its scores and its baselines on classes split among specialists, with 10 gold labels a class and with none.

Specialists and students are networks of one hidden layer on 200 dimensions of tf-idf (digits: on pixels), trained from
scratch; half of the items trained the specialists, the other half is the unlabelled pool; the last epoch of every fit is
judged on the test items. CLINC150 and TREC are development sets; banking77 and MNIST are closing sets.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import mean, stdev

import torch

from benchmarks._muka_cells import GOLD, NO_GOLD, SIDES, Task, measured
from benchmarks._passes_cost import costs
from benchmarks._specialists import EPOCHS, WIDTH, world
from benchmarks.harness import Result, needs_data
from distrust.methods.auto_suited import MERGED

ROWS = [
    ("clinc150", 2),  # five domains each
    ("clinc150", 5),
    ("clinc150", 10),
    ("trec", 2),
    ("banking77", 2),
    ("banking77", 4),
    ("banking77", 7),
    ("clinc150+banking77", 2),
    ("mnist", 2),
    ("mnist", 5),
]
QUICK = [("clinc150", 5), ("trec", 2)]
ASIDE = ("trec", 2)  # the row whose students, and specialists, are also of other sizes and kinds
FAR = 5  # points from vanilla KD to the oracle, above which half of them is to be closed


def run(quick: bool) -> Result:
    """Every row and method over five seeds, on all cores; `quick`: two rows of the development sets and one seed."""
    needs_data("muka")
    rows, seeds = (QUICK, [0]) if quick else (ROWS, list(range(5)))
    tasks = [Task(*row, seed) for row in rows for seed in seeds]
    tasks += [] if quick else [Task(*ASIDE, seed, side) for side in SIDES for seed in seeds]
    found: dict[str, dict[str, list[float]]] = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for task, one in zip(tasks, pool.map(measured, tasks), strict=True):
            print(task.row, task.seed, task.side, {name: round(value, 1) for name, value in one.items()}, flush=True)
            for what, value in one.items():
                found.setdefault(task.row, {}).setdefault(what, []).append(value)
    torch.set_num_threads(1)
    figures: dict[str, float | bool] = {f"{row}.seeds": len(seeds) for row in found}
    for row, methods in found.items():
        for what, values in methods.items():
            figures |= {f"{row}.{what}": mean(values), f"{row}.{what}.half": _half(values)}
    figures |= _summary(found) | ({} if quick else _costs())
    settings = {
        "rows": ", ".join(f"{name} in {parts}" for name, parts in rows),
        "gold": "10 of each class of the pool, or none",
        "students": f"one hidden layer of {WIDTH}, {EPOCHS} epochs, last one kept",
        "aside": f"{ASIDE[0]} in {ASIDE[1]} also with students of {WIDTH // 4} and {4 * WIDTH} units (width32, width512), "
        "and with a linear model of words and pairs beside a network (mixed)",
        "merge": ", ".join(f"{key}: {value}" for key, value in MERGED.items()) + "; teachers keep no features",
        "half": "half of the 95 % interval over seeds, by Student's t; 0 of one seed",
    }
    return Result(figures, settings, seeds)


def _costs() -> dict[str, float]:
    here = world(*ROWS[0], 0)
    return costs(here.teachers[0], here.pool)


def _summary(found: dict[str, dict[str, list[float]]]) -> dict[str, float | bool]:
    """What the goals are stated in: gains over vanilla KD, rows where `auto` is best or tied, the oracle's distance."""
    figures: dict[str, float | bool] = {}
    for gold, methods in (("no_gold", NO_GOLD), ("gold10", GOLD)):
        end = "" if gold == "no_gold" else ".gold10"
        gains = {row: mean(one[f"auto{end}"]) - mean(one["concatenated"]) for row, one in found.items()}
        distances = {row: mean(one["oracle"]) - mean(one["concatenated"]) for row, one in found.items()}
        closed = {f"{row}.closed.{gold}": gains[row] / far for row, far in distances.items() if far > FAR}
        tied = {
            f"{row}.best_or_tied.{gold}": all(_no_worse(one[f"auto{end}"], one[name]) for name in methods)
            for row, one in found.items()
        }
        figures |= closed | tied
        bare = [mean(one[f"merge{end}"]) - mean(one["concatenated"]) for one in found.values()]
        figures |= {
            f"mean_gain_over_vanilla_kd.{gold}": mean(gains.values()),
            f"mean_gain_over_vanilla_kd.merge.{gold}": mean(bare),
            f"rows_best_or_tied.{gold}": sum(tied.values()),
        }
        figures |= {f"least_closed.{gold}": min(closed.values())} if closed else {}
    fair = [mean(one["auto.gold10"]) - mean(one["concatenated.gold10"]) for one in found.values()]
    # a row counts where `auto` is best or tied both with gold and without
    both = [all(figures[f"{row}.best_or_tied.{gold}"] for gold in ("no_gold", "gold10")) for row in found]
    figures["rows_best_or_tied"] = sum(both)
    return figures | {"mean_gain_over_vanilla_kd_with_gold.gold10": mean(fair), "rows": len(found)}


def _no_worse(ours: list[float], others: list[float]) -> bool:
    """Whether the 95 % interval of the paired difference over seeds reaches 0; of one seed, whether it is not below."""
    apart = [one - other for one, other in zip(ours, others, strict=True)]
    return mean(apart) + _half(apart) >= 0


def _half(values: list[float]) -> float:
    """Half of the 95 % interval of a mean over seeds; 0 of one seed."""
    if len(values) == 1:
        return 0.0
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
