"""One world of `peer_advised`: every method in it, and which test items its student gets right.

Knows methods, students and how a measurement is kept until the rest is there. Knows nothing of how rows are summed up.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch

from benchmarks._cells import kept, once
from benchmarks._noisy_worlds import POOL, Said, World, world
from distrust.claimed import told_by
from distrust.files import fingerprint
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods import METHODS, find
from distrust.methods.gold_only import GoldOnly
from distrust.recipe import NgramStudent, Train, TransformerStudent
from distrust.run import Run
from distrust.select import rows
from distrust.students import Encoded, Student, answer, ngram, transformer

METHODS_RUN: dict[str, tuple[str, dict[str, Any]]] = {
    "gold_only": ("gold-only", {}),
    "distill": ("distill", {"targets": "hard"}),
    "confusions": ("distill", {"trust": "confusions", "targets": "hard"}),
    "peer_advised": ("peer-advised", {"gate": "gold"}),
    "faithful": ("peer-advised", {"gate": "none"}),
    "selective": ("selective", {}),
    "self_distillation": ("self-distillation", {}),
    "self_distillation_sure": ("self-distillation", {"confident": True}),
    "mckd2": ("mckd", {}),
    "mckd3": ("mckd", {"stages": 3}),
    "co_teaching": ("co-teaching", {}),
    "small_loss": ("small-loss", {}),
    "elr": ("elr", {}),
}
FEW = (
    "gold_only",
    "distill",
    "confusions",
    "peer_advised",
    "faithful",
    "selective",
    "elr",
)  # at the ends of a noise's scale
COSTLY = (*FEW, "co_teaching")  # of the student that takes long
QUICK = ("distill", "confusions", "peer_advised", "faithful")
FOLLOWED = ("distill", "faithful", "peer_advised")  # whose last student is looked at after every epoch
SMALL = {
    "model_type": "bert",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 64,
}
CURVE = (50, 100, 250, 500, 750, 1000)


@dataclass(frozen=True)
class Task:
    """One world of one seed, the student that learns in it, and by which methods; `timed`: how long some of them take."""

    set: str
    teacher: str
    amount: int
    seed: int
    student: str = "ngram"
    methods: tuple[str, ...] = tuple(METHODS_RUN)
    pool: int = POOL
    timed: bool = False

    @property
    def row(self) -> str:
        base = f"{self.set}.{self.teacher}{self.amount or ''}"
        return base if self.student == "ngram" else f"{base}.{self.student}"


@dataclass
class Followed:
    """The student made last, looked at on the test items after every epoch of a fit: who trains it does not notice."""

    task: Task
    here: World
    student: Student | None = None
    encoded: Encoded | None = None
    epochs: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.maker = _maker(self.task.student, self.here.space, self.here)

    def make(self, seed: int) -> Student:
        self.student = self.maker(seed)
        return self.student

    def look(self, name: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        """Called as a fit goes on, which is at the end of each epoch."""
        if name == "student" and self.student is not None:
            if self.encoded is None:  # every student here reads alike
                self.encoded = self.student.encode(self.here.test)
            said = answer(self.student, self.here.test, encoded=self.encoded)
            self.epochs.append(float((said.claims[0] == self.here.test_labels).double().mean()))


def measured(task: Task) -> dict[str, Any]:
    """Who is right on which test item (T,), by method; read back where this very program has measured it before.

    `best_epoch` is what a student would have got had its last epoch been chosen on test: for looking at, never compared.
    """
    options = fingerprint(list(task.methods), task.pool, task.timed)[:8]
    place = kept("peer-advised", "_peer_tasks.py", "_noisy_worlds.py") / f"{task.row}-{task.seed}-{options}.json"
    value = once(place, lambda: _measured(task))
    return value | {"right": {name: np.array(one, dtype=bool) for name, one in value["right"].items()}}


def _measured(task: Task) -> dict[str, Any]:
    torch.set_num_threads(1)
    here = world(task.set, task.teacher, task.amount, task.seed, task.pool)
    right: dict[str, list[bool]] = {}
    best: dict[str, float] = {}
    followed = Followed(task, here)
    with tempfile.TemporaryDirectory() as folder, closing(_run(here, task, Path(folder), followed)) as work:
        for name in task.methods:  # of one run: what two methods train alike is trained once
            method, options = METHODS_RUN[name]
            chosen, checked = find(method, options)
            work.progress = followed.look if name in FOLLOWED else None
            followed.epochs.clear()
            right[name] = _right(work, chosen.run(work, checked), here)
            best |= {name: max(followed.epochs)} if followed.epochs else {}
        work.progress = None
        if importlib.util.find_spec("cleanlab") is not None and task.student == "ngram" and task.methods != QUICK:
            right["cleanlab"] = _right(work, _cleaned(work, here), here)
    seconds = _seconds(here, task) if task.timed else {}
    if task.set == "r52" and task.methods != QUICK:
        right |= _curve(here, task)
    teacher = float((here.claims == here.truth).float().mean())
    return {"teacher": teacher, "right": right, "best_epoch": best, "seconds": seconds}


def _right(work: Run, student: Student, here: World) -> list[bool]:
    """On which test items a student is right: T values."""
    found: list[bool] = (work.ask(student, here.test).claims[0] == here.test_labels).tolist()
    return found


def _seconds(here: World, task: Task) -> dict[str, float]:
    """Seconds of process time of whole methods, each in a run of its own, one after another; medians of three rounds."""
    rounds: dict[str, list[float]] = {name: [] for name in ("distill", "faithful", "peer_advised")}
    for _ in range(3):
        for name, times in rounds.items():
            with (
                tempfile.TemporaryDirectory() as folder,
                closing(_run(here, task, Path(folder), Followed(task, here))) as work,
            ):
                method, options = METHODS_RUN[name]
                chosen, checked = find(method, options)
                started = process_time()
                chosen.run(work, checked)
                times.append(process_time() - started)
    return {name: median(times) for name, times in rounds.items()}


def _run(here: World, task: Task, folder: Path, followed: Followed) -> Run:
    gold = Gold(tuple(here.pool.ids[row] for row in here.gold.tolist()), here.truth[here.gold], here.space)
    return Run(
        folder,
        space=here.space,
        pool=here.pool,
        teachers=[Said(here)],
        new_student=followed.make,
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
