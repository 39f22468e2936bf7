"""MUKA, its scores and its baselines on classes split among specialists, with 10 gold labels a class and with none.

Specialists and students are networks of one hidden layer on 200 dimensions of tf-idf (digits: on pixels), trained from
scratch; half of the items trained the specialists, the other half is the unlabelled pool; the last epoch of every fit is
judged on the test items. CLINC150 and TREC are development sets; banking77 and MNIST are closing sets.
"""

from __future__ import annotations

import math
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from benchmarks._passes_cost import costs
from benchmarks._specialists import BATCH, EPOCHS, RATE, World, network, world
from benchmarks.harness import Result, needs_data
from distrust.distillation import default_objective
from distrust.files import fingerprint, read_json, write_json
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
FAR = 5  # points from vanilla KD to the oracle, above which half of them is to be closed
LOOP = Train(num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH, learning_rate=RATE, save_seconds=1e9)


@dataclass(frozen=True)
class Task:
    """One row of the table with one seed."""

    set: str
    parts: int
    seed: int

    @property
    def row(self) -> str:
        return f"{self.set}.{self.parts}"


def run(quick: bool) -> Result:
    """Every row and method over five seeds, on all cores; `quick`: the four rows of the development sets and one seed."""
    needs_data("muka")
    rows, seeds = (QUICK, [0]) if quick else (ROWS, list(range(5)))
    tasks = [Task(*row, seed) for row in rows for seed in seeds]
    found: dict[str, dict[str, list[float]]] = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for task, one in zip(tasks, pool.map(_measured, tasks), strict=True):
            print(task.row, task.seed, {name: round(value, 1) for name, value in one.items()}, flush=True)
            for what, value in one.items():
                found.setdefault(task.row, {}).setdefault(what, []).append(value)
    torch.set_num_threads(1)
    figures: dict[str, float | bool] = {f"{row}.seeds": len(seeds) for row in found}
    for row, measured in found.items():
        for what, values in measured.items():
            figures |= {f"{row}.{what}": mean(values), f"{row}.{what}.half": _half(values)}
    figures |= _summary(found) | _costs()
    settings = {
        "rows": ", ".join(f"{name} in {parts}" for name, parts in rows),
        "gold": "10 of each class of the pool, or none",
        "students": f"one hidden layer of {network(1, 1, 0)[1].out_features}, {EPOCHS} epochs, last one kept",
        "half": "half of the 95 % interval over seeds, by Student's t; 0 of one seed",
    }
    return Result(figures, settings, seeds)


def _measured(task: Task) -> dict[str, float]:
    """What `_all` finds, read back where this very program has found it."""
    import distrust

    files = sorted([*Path(distrust.__file__).parent.rglob("*.py"), Path(__file__).parent / "_specialists.py"])
    program = fingerprint([file.read_text() for file in files], [METHODS, SCORES])[:16]
    kept = Path(tempfile.gettempdir()) / f"distrust-muka-{program}" / f"{task.row}-{task.seed}.json"
    if not kept.is_file():
        torch.set_num_threads(1)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, _all(world(task.set, task.parts, task.seed), task.seed))
    known: dict[str, float] = read_json(kept)
    return known


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
    width = here.test.inputs[0].shape[0]
    return Run(
        folder,
        space=here.space,
        pool=here.pool,
        teachers=here.teachers,
        new_student=lambda start: ModuleStudent(network(width, len(here.space), 7 + start), here.space),
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
    figures: dict[str, float | bool] = {}
    for gold, methods in (("no_gold", NO_GOLD), ("gold10", GOLD)):
        auto = "auto" if gold == "no_gold" else "auto.gold10"
        gains = {row: mean(one[auto]) - mean(one["concatenated"]) for row, one in found.items()}
        distances = {row: mean(one["oracle"]) - mean(one["concatenated"]) for row, one in found.items()}
        closed = {f"{row}.closed.{gold}": gains[row] / far for row, far in distances.items() if far > FAR}
        tied = {
            f"{row}.best_or_tied.{gold}": all(_no_worse(one[auto], one[name]) for name in methods)
            for row, one in found.items()
        }
        figures |= closed | tied
        figures |= {
            f"mean_gain_over_vanilla_kd.{gold}": mean(gains.values()),
            f"rows_best_or_tied.{gold}": sum(tied.values()),
        }
        figures |= {f"least_closed.{gold}": min(closed.values())} if closed else {}
    fair = [mean(one["auto.gold10"]) - mean(one["concatenated.gold10"]) for one in found.values()]
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
