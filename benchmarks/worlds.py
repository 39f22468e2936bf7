"""Several teachers, some wrong in a known way: CA-MKD with its six ways of weighing, its relatives, and trust beside them.

Digits, TREC, CLINC150 and MNIST in seven worlds, and ten real labellers who abstain. Teachers learned on other items than
the student; few labels are gold (`FEW`), and in two worlds every one, as the paper has it. Five seeds, the last epoch.
Options were chosen on digits and TREC; MNIST is a closing set.
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

from benchmarks._cells import kept, once
from benchmarks._worlds import PICTURES, SETS, WORLDS, World, world
from benchmarks.harness import Result, needs_data
from distrust.evaluate import holm, paired_difference, paired_test
from distrust.gold import Gold
from distrust.methods import find
from distrust.recipe import Train
from distrust.run import Run

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "gold_only": ("gold-only", {}),
    "averaged": ("averaged", {}),
    "ebkd": ("ebkd", {}),
    "aekd": ("aekd", {}),
    "mmkd": ("mmkd", {}),
    "best_teacher": ("best-teacher", {}),
    "softmin": ("ca-mkd", {"weights": "softmin"}),
    "reciprocal": ("ca-mkd", {"weights": "reciprocal"}),
    "ca_mkd": ("ca-mkd", {}),
    "auto": ("ca-mkd", {"weights": "auto"}),
    "distill_auto": ("distill", {"trust": "auto"}),
}
FEATURES: dict[str, tuple[str, dict[str, Any]]] = {  # where teachers keep features
    "fitnet_mkd": ("fitnet-mkd", {"feature": "auto"}),
    "ca_mkd_features": ("ca-mkd", {"feature": "auto"}),
    "auto_features": ("ca-mkd", {"weights": "auto", "feature": "auto"}),
}
LABELLERS = ("gold_only", "averaged", "ebkd", "best_teacher", "softmin", "ca_mkd", "auto", "distill_auto")
QUICK = ("averaged", "softmin", "ca_mkd", "auto")
FEW = {"digits": 100, "mnist": 100, "trec": 200, "clinc150": 450, "youtube": 50}  # gold labels
LABELLED = ("all_good", "two_exchange")  # worlds measured with a label for every item too


@dataclass(frozen=True)
class Task:
    """One world of one set and seed, with so many gold labels; 0: all."""

    set: str
    kind: str
    gold: int
    seed: int
    quick: bool

    @property
    def row(self) -> str:
        return f"{self.set}.{self.kind}" + ("" if self.gold else ".labelled")


def run(quick: bool) -> Result:
    """All worlds on all cores; `quick`: digits and TREC with one exchanging teacher, or two, and two seeds."""
    needs_data("worlds")
    seeds = [0, 1] if quick else [0, 1, 2, 3, 4]
    found: dict[str, list[dict[str, list[bool]]]] = {}
    tasks = _tasks(quick, seeds)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for task, right in zip(tasks, pool.map(_measured, tasks), strict=True):
            found.setdefault(task.row, []).append(right)
            shown = {name: round(float(np.mean(one)), 3) for name, one in right.items()}
            print(task.row, task.seed, shown, flush=True)
    return _result(found, seeds)


def _tasks(quick: bool, seeds: list[int]) -> list[Task]:
    if quick:
        return [
            Task(name, kind, FEW[name], s, True)
            for name in ("digits", "trec")
            for kind in ("exchanges", "two_exchange")
            for s in seeds
        ]
    rows = [(name, kind, FEW[name]) for name in SETS for kind in WORLDS]
    rows += [("youtube", "labellers", FEW["youtube"])]
    rows += [(name, kind, 0) for name in SETS for kind in LABELLED]
    return [Task(*row, seed, False) for row in rows for seed in seeds]


def _methods(task: Task) -> dict[str, tuple[str, dict[str, Any]]]:
    if task.quick:
        return {name: METHODS[name] for name in QUICK}
    if task.kind == "labellers":
        return {name: METHODS[name] for name in LABELLERS}
    return METHODS | (FEATURES if task.set in PICTURES else {})


def _measured(task: Task) -> dict[str, list[bool]]:
    """Who is right on which test item (T,), by method and teacher; read back where this very program has measured it."""
    place = kept("worlds", "worlds.py", "_worlds.py") / f"{task.row}-{task.seed}-{task.quick}.json"
    right: dict[str, list[bool]] = once(place, lambda: _right(task))
    return right


def _right(task: Task) -> dict[str, list[bool]]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        here = world(task.set, task.kind, task.seed, Path(folder) / "teachers")
        right: dict[str, list[bool]] = {}
        with closing(_run(here, task, Path(folder) / "run")) as work:
            for name, (method, options) in _methods(task).items():
                chosen, checked = find(method, options)
                said = work.ask(chosen.run(work, checked), here.split.test).claims[0]
                right[name] = (said == here.split.test_labels).tolist()
        for place, teacher in enumerate(here.teachers if task.kind != "labellers" else ()):
            right[f"teacher{place + 1}"] = (teacher.ask(here.split.test).claims[0] == here.split.test_labels).tolist()
    return right


def _run(here: World, task: Task, folder: Path) -> Run:
    split = here.split
    drawn = torch.randperm(len(split.pool), generator=torch.Generator().manual_seed(task.seed))[: task.gold or None]
    pictures = task.set in PICTURES
    return Run(
        folder,
        space=split.space,
        pool=split.pool,
        teachers=here.teachers,
        new_student=here.new_student,
        gold=Gold(tuple(split.pool.ids[row] for row in drawn.tolist()), split.truth[drawn], split.space),
        options=Train(num_train_epochs=60 if pictures else 10, per_device_train_batch_size=64 if pictures else 32),
        seed=task.seed,
    )


def _result(found: dict[str, list[dict[str, list[bool]]]], seeds: list[int]) -> Result:
    figures: dict[str, float | bool] = {}
    tied = 0
    for row, measured in found.items():
        table = {name: torch.tensor([one[name] for one in measured]).double() for name in measured[0]}  # (S, T)
        for name, right in table.items():
            whole = paired_difference(right, torch.zeros_like(right))
            figures |= {f"{row}.{name}": whole.value, f"{row}.{name}.low": whole.low, f"{row}.{name}.high": whole.high}
        others = [name for name in table if name != "auto" and not name.startswith("teacher")]
        tested = [paired_test(table["auto"], table[name], 4000) for name in others]
        best = max(range(len(others)), key=lambda place: float(table[others[place]].mean()))
        behind = tested[best][0]
        figures |= {f"{row}.auto_minus_best_other": behind.value}
        figures |= {f"{row}.auto_minus_best_other.low": behind.low, f"{row}.auto_minus_best_other.high": behind.high}
        plain = tested[others.index("ca_mkd")][0]
        figures |= {f"{row}.auto_minus_ca_mkd": plain.value}
        figures |= {f"{row}.auto_minus_ca_mkd.low": plain.low, f"{row}.auto_minus_ca_mkd.high": plain.high}
        corrected = holm([chance for _, chance in tested])
        beaten = any(one.value < 0 and chance < 0.05 for (one, _), chance in zip(tested, corrected, strict=True))
        figures[f"{row}.auto_best_or_tied"] = not beaten
        tied += not beaten
    figures |= {"worlds": len(found), "worlds_best_or_tied": tied}
    settings = {name: f"{one} {options}" for name, (one, options) in (METHODS | FEATURES).items()}
    return Result(figures, {"gold": FEW, "threads": 1, "students": "MLP 32 (pictures), ngram (texts)"} | settings, seeds)
