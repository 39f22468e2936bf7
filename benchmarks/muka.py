"""MUKA, its scores and its baselines on classes split among specialists, with 10 gold labels a class and with none.

Specialists and students are networks of one hidden layer on 200 dimensions of tf-idf (digits: on pixels), trained from
scratch; half of the items trained the specialists, the other half is the unlabelled pool; the last epoch of every fit is
judged on the test items. CLINC150 and TREC are development sets; banking77 and MNIST are closing sets.
"""

from __future__ import annotations

import math
import os
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from benchmarks._passes_cost import costs
from benchmarks._specialists import BATCH, EPOCHS, RATE, World, network, world
from benchmarks.harness import Result
from distrust.distillation import default_objective
from distrust.gold import Gold
from distrust.labelled import from_gold
from distrust.methods import find
from distrust.methods.adequate import scored
from distrust.methods.specialists import gather, told
from distrust.recipe import Train
from distrust.run import Run
from distrust.students import Student
from distrust.students.module import ModuleStudent
from distrust.trust.adequacy import choice

METHODS: dict[str, tuple[str, dict[str, Any], bool]] = {  # name in a recipe, options, with gold
    "padded_average": ("padded-average", {}, False),
    "uhc": ("uhc", {}, False),
    "cfl": ("cfl", {}, False),
    "dfa": ("dfa", {}, False),
    "concatenated": ("concatenated", {}, False),
    "muka": ("muka", {}, False),
    "muka.soft": ("muka", {"target": "soft"}, False),
    "muka.one_pass": ("muka", {"passes": 1}, False),
    "muka.max_logit": ("muka", {"score": "max_logit", "margin": False}, False),
    "auto": ("muka", {"score": "auto", "target": "soft", "margin": False}, False),
    "concatenated.gold10": ("concatenated", {}, True),
    "muka.gold10": ("muka", {}, True),
    "auto.gold10": ("muka", {"score": "auto", "target": "soft", "margin": False}, True),
}
NO_GOLD = [name for name, (_, _, gold) in METHODS.items() if not gold]
GOLD = [name for name, (_, _, gold) in METHODS.items() if gold]
ROWS = [
    ("clinc150", 2),
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
QUICK = [("clinc150", 2), ("clinc150", 5), ("clinc150", 10), ("trec", 2)]  # two parts: five domains each
SCORES = ("mc_entropy", "entropy", "disagreement", "energy", "max_logit", "neighbours", "mahalanobis", "auto")
LOOP = Train(num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH, learning_rate=RATE, save_seconds=1e9)


def run(quick: bool) -> Result:
    """Every row and method over five seeds; `quick`: the four rows of the development sets and one seed."""
    if not os.environ.get("DISTRUST_DATA"):
        raise SystemExit("The benchmark muka needs the optional data sets: set DISTRUST_DATA to their folder.")
    torch.set_num_threads(1)
    rows, seeds = (QUICK, [0]) if quick else (ROWS, list(range(5)))
    found: dict[str, dict[str, list[float]]] = {}
    for name, parts in rows:
        for seed in seeds:
            here = world(name, parts, seed)
            for what, value in _all(here, seed).items():
                found.setdefault(f"{name}.{parts}", {}).setdefault(what, []).append(value)
    figures: dict[str, float | bool] = {
        f"{row}.{what}": mean(values) for row, one in found.items() for what, values in one.items()
    }
    figures |= _summary(found) | _costs()
    settings = {
        "rows": ", ".join(f"{name} in {parts}" for name, parts in rows),
        "gold": "10 of each class of the pool, or none",
        "students": f"one hidden layer of {network(1, 1, 0)[1].out_features}, {EPOCHS} epochs, last one kept",
    }
    return Result(figures, settings, seeds)


def _costs() -> dict[str, float]:
    here = world(*QUICK[0], 0)
    return costs(here.teachers[0], here.pool)


def _all(here: World, seed: int) -> dict[str, float]:
    """Accuracies of all students, in points, and how often each score finds a specialist that knows the item."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (method, options, gold) in METHODS.items():
            with closing(_work(here, Path(folder) / str(gold), seed, gold)) as work:
                made, checked = find(method, options)
                found[name] = _accuracy(work, made.run(work, checked), here)
        for gold in (False, True):
            with closing(_work(here, Path(folder) / str(gold), seed, gold)) as work:
                found["oracle.gold10" if gold else "oracle"] = _accuracy(work, _oracle(work, here, gold), here)
        with closing(_work(here, Path(folder) / "True", seed, True)) as work:
            found |= _rates(work, here)
            labelled = from_gold(here.pool, here.truth, len(here.space))
            found["supervised"] = _accuracy(work, work.fit("supervised", labelled), here)
    return found


def _work(here: World, folder: Path, seed: int, gold: bool) -> Run:
    rows = here.gold.tolist() if gold else []
    return Run(
        folder,
        space=here.space,
        pool=here.pool,
        teachers=here.teachers,
        new_student=lambda start: ModuleStudent(
            network(here.pool.inputs.shape[1], len(here.space), 7 + start),
            here.space,  # type: ignore[union-attr]
        ),
        gold=Gold(tuple(here.pool.ids[row] for row in rows), here.truth[rows], here.space),
        options=LOOP,
        seed=seed,
    )


def _oracle(work: Run, here: World, gold: bool) -> Student:
    """Told by the specialist that knows the item's class, of which only a benchmark can know."""
    known = gather(work)
    right = known.adequate(here.truth).float()
    training = told(work, known, known.target(right / right.sum(0)), float(gold))
    return work.fit("oracle", replace(training, extra={}), default_objective(training), find("muka", {})[1])


def _rates(work: Run, here: World) -> dict[str, float]:
    """How often the surest specialist knows the item's class, in points, over items that are no gold."""
    known = gather(work)
    rest = torch.ones(len(here.pool), dtype=torch.bool)
    rest[here.gold] = False
    right = known.adequate(here.truth).float()
    return {
        f"found.{name}": 100 * float((choice(scored(work, known, name, 16).scores) * right).sum(0)[rest].mean())
        for name in SCORES
    }


def _accuracy(work: Run, student: Student, here: World) -> float:
    claims: Tensor = work.ask(student, here.test).claims[0]
    return 100 * float((claims == here.test_labels).float().mean())


def _summary(found: dict[str, dict[str, list[float]]]) -> dict[str, float | bool]:
    """What the goals are stated in: gains over vanilla KD, rows where `auto` is best or tied, the oracle's distance."""
    rows = list(found.values())
    bare = [mean(one["auto"]) - mean(one["concatenated"]) for one in rows]
    gold = [mean(one["auto.gold10"]) - mean(one["concatenated"]) for one in rows]
    fair = [mean(one["auto.gold10"]) - mean(one["concatenated.gold10"]) for one in rows]
    closed = [
        gain / distance
        for one, gain in zip(rows, bare, strict=True)
        if (distance := mean(one["oracle"]) - mean(one["concatenated"])) > 5
    ]
    tied = [
        all(_no_worse(one["auto"], one[name]) for name in NO_GOLD)
        and all(_no_worse(one["auto.gold10"], one[name]) for name in GOLD)
        for one in rows
    ]
    return {
        "mean_gain_over_vanilla_kd.no_gold": mean(bare),
        "mean_gain_over_vanilla_kd.gold10": mean(gold),
        "mean_gain_over_vanilla_kd_with_gold.gold10": mean(fair),
        "rows_best_or_tied": sum(tied),
        "rows": len(rows),
        **({"least_of_the_oracles_distance_closed": min(closed)} if closed else {}),
    }


def _no_worse(ours: list[float], others: list[float]) -> bool:
    """Whether the 95 % interval of the paired difference over seeds reaches 0; of one seed, whether it is not below."""
    apart = torch.tensor(ours) - torch.tensor(others)
    if len(apart) == 1:
        return bool(apart[0] >= 0)
    from scipy.stats import t

    half = float(t.ppf(0.975, len(apart) - 1)) * float(apart.std()) / math.sqrt(len(apart))
    return float(apart.mean()) + half >= 0
