"""Peer-Advised KD, its gate and its baselines beside plain distillation, on teachers that are wrong in many ways.

A recorded LLM's labels (R52, e-SNLI), weak teachers of the student's own architecture (so that student and teacher are one
model: self-distillation), and synthetic noise; 50 gold labels each, three seeds, the last epoch of every fit. Options were
chosen on parts of R52's pool and on TREC's and CLINC150's training parts; e-SNLI, banking77, MR and Subj are closing sets.
"""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from time import process_time
from typing import Any

import numpy as np
import torch

from benchmarks._noisy_worlds import GOLD, POOL, TEST, World, world
from benchmarks.harness import Result
from distrust.claimed import told_by
from distrust.evaluate import paired_difference
from distrust.evaluate.worth import worth_in_labels
from distrust.evidence import Evidence
from distrust.files import fingerprint
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods import METHODS, find
from distrust.methods.gold_only import GoldOnly
from distrust.recipe import NgramStudent, Train, TransformerStudent
from distrust.run import Run
from distrust.select import rows
from distrust.students import Student, ngram, transformer

METHODS_RUN: dict[str, tuple[str, dict[str, Any]]] = {
    "gold_only": ("gold-only", {}),
    "distill": ("distill", {"targets": "hard"}),
    "confusions": ("distill", {"trust": "confusions", "targets": "hard"}),
    "peer_advised": ("peer-advised", {"gate": "gold"}),
    "faithful": ("peer-advised", {"gate": "none"}),
    "selective": ("selective", {}),
    "self_distillation": ("self-distillation", {}),
    "mckd2": ("mckd", {}),
    "co_teaching": ("co-teaching", {}),
    "small_loss": ("small-loss", {}),
    "elr": ("elr", {}),
}
FEW = ("gold_only", "distill", "confusions", "peer_advised", "faithful", "selective")  # for the costly student
ROWS = [
    ("r52", "llm", 0),
    ("esnli", "llm", 0),
    ("trec", "weak", 250),
    ("trec", "symmetric", 40),
    ("trec", "pairwise", 40),
    ("trec", "pairwise", 60),
    ("trec", "instance", 40),
    ("clinc150", "weak", 250),
    ("banking77", "weak", 250),
    ("banking77", "pairwise", 40),
    ("mr", "weak", 250),
    ("subj", "weak", 250),
]
SMALL = {
    "model_type": "bert",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 64,
}
TIMED = ("trec.weak250", "clinc150.weak250")
CURVE = (50, 100, 250, 500, 750, 1000)


@dataclass(frozen=True)
class Task:
    """One world of one seed, and the student that learns in it."""

    set: str
    teacher: str
    amount: int
    seed: int
    student: str = "ngram"

    @property
    def row(self) -> str:
        base = f"{self.set}.{self.teacher}{self.amount or ''}"
        return base if self.student == "ngram" else f"{base}.{self.student}"


class Said:
    """A teacher whose claims (N,) on the pool are known."""

    keeps_answers = True

    def __init__(self, here: World) -> None:
        self.name, self.space, self.here = "teacher", here.space, here
        self.fingerprint = fingerprint("claims", here.claims)
        self.row_of = {item: row for row, item in enumerate(here.pool.ids)}

    def ask(self, items: Any) -> Evidence:
        rows = [self.row_of[item] for item in items.ids]
        return Evidence(self.name, items.ids, self.space, self.here.claims[rows][None])


def run(quick: bool) -> Result:
    """All rows and methods over three seeds on all cores; `quick`: four rows, four methods, one seed."""
    if not os.environ.get("DISTRUST_DATA"):
        raise SystemExit("The benchmark peer_advised needs the optional data sets: set DISTRUST_DATA to their folder.")
    seeds = [0] if quick else [0, 1, 2]
    chosen = [ROWS[row] for row in (0, 2, 3, 4)] if quick else ROWS
    tasks = [Task(*row, seed) for row in chosen for seed in seeds]
    if not quick:
        tasks += [Task("trec", "symmetric", 40, seed, "transformer") for seed in seeds]
    found: dict[str, list[dict[str, Any]]] = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for task, measured in zip(tasks, pool.map(_measured, tasks, [quick] * len(tasks)), strict=True):
            found.setdefault(task.row, []).append(measured)
            shown = {name: round(float(np.mean(right)), 3) for name, right in measured["right"].items()}
            print(task.row, task.seed, f"teacher {measured['teacher']:.3f}", shown, flush=True)
    return _result(found, seeds)


def _measured(task: Task, quick: bool) -> dict[str, Any]:
    """Who is right on which test item (T,), by method; read back where this very program has measured it before."""
    kept = _kept(task, quick)
    if kept.is_file():
        value = json.loads(kept.read_text())
        return value | {"right": {name: np.array(one, dtype=bool) for name, one in value["right"].items()}}
    torch.set_num_threads(1)
    here = world(task.set, task.teacher, task.amount, task.seed)
    names = FEW[1:4] + FEW[4:5] if quick else (FEW if task.student != "ngram" else tuple(METHODS_RUN))
    right: dict[str, list[bool]] = {}
    with tempfile.TemporaryDirectory() as folder, closing(_run(here, task, Path(folder))) as work:
        for name in names:  # of one run: what two methods train alike is trained once
            method, options = METHODS_RUN[name]
            chosen, checked = find(method, options)
            right[name] = _right(work, chosen.run(work, checked), here)
        if importlib.util.find_spec("cleanlab") is not None and task.student == "ngram" and not quick:
            right["cleanlab"] = _right(work, _cleaned(work, here), here)
    seconds = _seconds(here, task) if task.seed == 0 and task.row in TIMED else {}
    if task.set == "r52" and not quick:
        right |= _curve(here, task)
    value = {"teacher": float((here.claims == here.truth).float().mean()), "right": right, "seconds": seconds}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(value))
    return value | {"right": {name: np.array(one, dtype=bool) for name, one in right.items()}}


def _right(work: Run, student: Student, here: World) -> list[bool]:
    """On which test items a student is right: T values."""
    found: list[bool] = (work.ask(student, here.test).claims[0] == here.test_labels).tolist()
    return found


def _seconds(here: World, task: Task) -> dict[str, float]:
    """Seconds of process time of whole methods, each in a run of its own, one after another; medians of three rounds."""
    rounds: dict[str, list[float]] = {name: [] for name in ("distill", "faithful", "peer_advised")}
    for _ in range(3):
        for name, times in rounds.items():
            with tempfile.TemporaryDirectory() as folder, closing(_run(here, task, Path(folder))) as work:
                method, options = METHODS_RUN[name]
                chosen, checked = find(method, options)
                started = process_time()
                chosen.run(work, checked)
                times.append(process_time() - started)
    return {name: median(times) for name, times in rounds.items()}


def _kept(task: Task, quick: bool) -> Path:
    """Where a measurement waits for the rest: under a name that changes with any line of the program that it measures."""
    import distrust

    files = sorted([*Path(distrust.__file__).parent.rglob("*.py"), Path(__file__).parent / "_noisy_worlds.py"])
    program = fingerprint([file.read_text() for file in files], METHODS_RUN)[:16]
    return Path(tempfile.gettempdir()) / f"distrust-peer-advised-{program}" / f"{task.row}-{task.seed}-{quick}.json"


def _run(here: World, task: Task, folder: Path) -> Run:
    gold = Gold(tuple(here.pool.ids[row] for row in here.gold.tolist()), here.truth[here.gold], here.space)
    return Run(
        folder,
        space=here.space,
        pool=here.pool,
        teachers=[Said(here)],
        new_student=_maker(task.student, here.space, here),
        gold=gold,
        options=Train(),
        seed=task.seed,
    )


def _maker(kind: str, space: LabelSpace, here: World) -> Any:
    if kind == "transformer":
        options = TransformerStudent(kind="transformer", config=SMALL, vocabulary=4000, max_length=48)
        return lambda seed: transformer.build(options, space, seed, here.pool)
    plain = NgramStudent()
    idf = ngram.inverse_frequencies(plain, here.pool)
    return lambda seed: ngram.build(plain, space, seed, here.pool, idf)


def _cleaned(work: Run, here: World) -> Student:
    """cleanlab's filter as a method: the items that it takes for mislabelled are left out."""
    from cleanlab.filter import find_label_issues

    from distrust.noise import out_of_fold

    spoken = rows(here.claims >= 0)
    claims = here.claims[spoken]
    chances = out_of_fold(work, here.pool.select(spoken), claims)
    named = claims.unique()  # cleanlab wants every class claimed
    issues = find_label_issues(
        torch.searchsorted(named, claims).numpy(), torch.nn.functional.normalize(chances[:, named], p=1).numpy(), n_jobs=1
    )
    told = told_by(work.evidence(), here.pool, here.space).select(spoken[torch.from_numpy(~issues)])
    return work.fit("student", work.with_gold(told, 1.0))


def _curve(here: World, task: Task) -> dict[str, list[bool]]:
    """gold-only on nested draws of more and more labels."""
    right = {}
    for count in CURVE:
        drawn = here.curve[:count]
        gold = Gold(tuple(here.pool.ids[row] for row in drawn.tolist()), here.truth[drawn], here.space)
        with tempfile.TemporaryDirectory() as folder:
            maker = _maker("ngram", here.space, here)
            work = Run(
                Path(folder),
                space=here.space,
                pool=here.pool,
                teachers=[],
                new_student=maker,
                gold=gold,
                options=Train(),
                seed=task.seed,
            )
            with closing(work):
                student = METHODS["gold-only"].run(work, GoldOnly())
                right[f"gold{count}"] = (work.ask(student, here.test).claims[0] == here.test_labels).tolist()
    return right


def _result(found: dict[str, list[dict[str, Any]]], seeds: list[int]) -> Result:
    figures: dict[str, float | bool] = {}
    tied = below = gained = 0
    for row, measured in found.items():
        table = {name: np.stack([one["right"][name] for one in measured]) for name in measured[0]["right"]}  # (seeds, T)
        figures[f"{row}.teacher"] = mean(one["teacher"] for one in measured)
        for name, values in table.items():
            figures[f"{row}.{name}"] = float(values.mean())
            figures[f"{row}.{name}.low"], figures[f"{row}.{name}.high"] = _interval(values)
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
            one["seconds"][name] / one["seconds"]["distill"] for each in found.values() for one in each if one["seconds"]
        ]
        figures |= {f"seconds_over_distill.{name}": median(times)} if times else {}
    settings = {"gold": GOLD, "pool_at_most": POOL, "test_at_most": TEST, "threads": 1, "student": "ngram, or a small BERT"}
    return Result(figures, settings | {name: f"{one} {options}" for name, (one, options) in METHODS_RUN.items()}, seeds)


def _r52(measured: list[dict[str, Any]]) -> dict[str, float | bool]:
    """The figures of R52 that have fixed names; what the student is worth in human labels."""
    ours = np.stack([one["right"]["peer_advised"] for one in measured])
    figures: dict[str, float | bool] = {
        "r52.gold50": float(ours.mean()),
        "r52.gold50.faithful": float(np.mean([one["right"]["faithful"].mean() for one in measured])),
    }
    if f"gold{CURVE[0]}" in measured[0]["right"]:
        curve = np.stack([[one["right"][f"gold{count}"] for one in measured] for count in CURVE])  # (K, S, T)
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
