"""One student of the benchmark okd: trained by a method beside its teacher, timed, and judged on held-out items.

Knows methods by name and what is measured. Knows nothing of which students there are.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks._puzzles import KINDS, judged
from benchmarks._tutoring import BATCH, Cell, copied, student, teacher, texts
from benchmarks._words import ANSWERS
from distrust import train
from distrust.claimed import told_by
from distrust.data import Items
from distrust.distillation import default_objective
from distrust.evaluate.following import distinct, excess_error, following, own_words
from distrust.evaluate.texts import rouge_l
from distrust.files import fingerprint
from distrust.labels import OPEN
from distrust.low_rank import attached
from distrust.methods import find
from distrust.recipe import Recorded, Train
from distrust.run import Run
from distrust.sides import Side
from distrust.students.causal import CausalStudent, writer
from distrust.teachers.local_writer import LocalWriter
from distrust.teachers.recorded import RecordedTeacher

WRITTEN = (7, 8, 9)  # seeds with which a student writes what it is judged by
WATCHED = 50  # validation items on which each epoch's end is judged
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "fine_tuning": ("distill", {}),
    "forward": ("gkd", {"on_policy": 0}),
    "okd": ("okd", {"rank": 8}),
    "gkd": ("gkd", {"on_policy": 0.5, "divergence": "jensen-shannon"}),
    "reverse": ("gkd", {"on_policy": 0, "divergence": "reverse"}),
    "okd.last": ("okd", {"rank": 8, "layers": 1, "store_trunk": True}),
    "forward_longer": ("gkd", {"on_policy": 0}),  # control: as many more steps as okd's cost buys
    "tuned_first": ("gkd", {"on_policy": 0}),  # control: the terms learn the texts alone, and then stand still
    "okd.alpha0": ("okd", {"rank": 8, "alpha": 0.0}),  # control: labels alone, no pull
    "okd.alpha25": ("okd", {"rank": 8, "alpha": 0.25}),
    "okd.alpha50": ("okd", {"rank": 8, "alpha": 0.5}),
    "taid": ("taid", {}),
    "distillm": ("distillm", {}),
    "gkd_forward": ("gkd", {"on_policy": 1.0}),
    "jensen_shannon": ("gkd", {"on_policy": 0, "divergence": "jensen-shannon"}),
    "skew_reverse": ("gkd", {"on_policy": 0, "divergence": "skew-reverse"}),
}


@dataclass(frozen=True)
class Task:
    """One student."""

    cell: Cell
    method: str
    seed: int
    rate: float
    epochs: int
    search: bool = False  # judged on the items on which a learning rate is chosen

    @property
    def name(self) -> str:
        kind = "search-" if self.search else ""
        return f"{kind}{self.cell.name}-{self.method}-{self.seed}-{self.rate:g}-{self.epochs}"


def figures(task: Task) -> dict[str, float]:
    """Its figures, process seconds of its steps and of everything, and its path: by epoch, as `path` reads it."""
    began = time.process_time()
    asked, read = teacher(task.cell.texts), texts(task.cell.texts)
    begun = student(task.cell, task.seed)
    loop = Train(
        num_train_epochs=task.epochs,
        per_device_train_batch_size=BATCH,
        learning_rate=task.rate,
        lr_scheduler_type="cosine",
        save_seconds=1e9,
    )
    said = RecordedTeacher(Recorded(kind="recorded", name="texts", column="completion"), OPEN, read.pool, ANSWERS)
    watched = Watched(task, read.valid.select(range(min(WATCHED, len(read.valid)))), begun)
    with tempfile.TemporaryDirectory() as folder:
        work = Run(
            Path(folder),
            space=None,
            answers=ANSWERS,
            pool=read.pool,
            teachers=[said] if task.method == "fine_tuning" else [said, asked],
            new_student=lambda seed: watched.new(),
            options=loop,
            seed=task.seed,
            progress=watched,
        )
        method, options = find(*METHODS[task.method])
        first: list[float] = []
        with closing(work):
            if task.method == "tuned_first":
                trained = _tuned_first(work, asked, loop, lambda: method.run(work, options), first)
            else:
                trained = method.run(work, options)
            kept = sum(value for name, value in work.stages.seconds.items() if name.startswith("trunk"))
            steps = list(accumulate(work.fits["student"].seconds, initial=sum(first) + kept))
    found = _judged(writer(trained), task, read.valid if task.search else read.test)
    last = work.fits["student"].history[-1]
    found |= {"drift": last["drift"]} if "drift" in last else {}
    for epoch, (at, kl) in enumerate(zip(steps, watched.kl, strict=True)):
        found |= {f"path.{epoch}.seconds": at, f"path.{epoch}.kl": kl}
    return {**found, "seconds": steps[-1], "whole_seconds": time.process_time() - began}


def path(of: Mapping[str, float]) -> list[tuple[float, float]]:
    """Seconds of steps so far, and KL(teacher ‖ student) on validation items: before training, and after each epoch."""
    epochs = sum(name.startswith("path.") and name.endswith(".kl") for name in of)
    return [(of[f"path.{epoch}.seconds"], of[f"path.{epoch}.kl"]) for epoch in range(epochs)]


class Watched:
    """A student in training, judged at each epoch's end on items that nothing learns from; no step's time contains it."""

    def __init__(self, task: Task, items: Items, begun: CausalStudent) -> None:
        self._original, self._items, self._begun, self._latest = teacher(task.cell.texts).model, items, begun, begun
        self._said = begun.reader.completions(items.columns["completion"])[0]
        self.kl = [self._judged()]

    def new(self) -> CausalStudent:
        """The student before training; the last one that is asked for is the one in training."""
        self._latest = copied(self._begun)
        return self._latest

    def __call__(self, name: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        """A run's progress, of which figures come at an epoch's end alone."""
        if name == "student" and figures:
            self.kl.append(self._judged())

    def _judged(self) -> float:
        return following(self._latest, self._original, self._items, self._said).kl


def _tuned_first(work: Run, asked: LocalWriter, loop: Train, then: Callable[[], Any], took: list[float]) -> Any:
    """The control that the paper lacks: the same terms trained on the texts alone, and then the forward divergence."""
    told = told_by([work.ask(work.teachers[0], work.pool)], work.pool)
    with attached(asked.model.module, 8, 2.0, seed=work.seed), tempfile.TemporaryDirectory() as folder:
        side = Side(asked.model, default_objective(told), loop, steady=True)
        train.fit([side], train.Fit("teacher", told, loop, work.seed, Path(folder), timed=took.extend))
        return then()


def _judged(own: CausalStudent, task: Task, test: Items) -> dict[str, float]:
    """On items that were held out: what the world says of them, what the teacher says, what the student says."""
    kind = task.cell.texts
    original = teacher(kind).model
    given = following(own, original, test, own.reader.completions(test.columns["completion"])[0])
    written = [own_words(own, test, seed=seed) for seed in (WRITTEN[:1] if task.search else WRITTEN)]
    alone = [following(own, original, test, one) for one in written]
    kl_own = mean(one.kl for one in alone)
    found = {"kl": given.kl, "kl_own": kl_own, "agreement": given.agreement, "nll": given.nll}
    if task.search:
        return found
    taught = following(own, original, test, _teachers_words(kind))
    surprise = mean(one.teacher_nll for one in alone)
    found |= {"teacher_nll_of_own": surprise, "excess_error": excess_error(kl_own, taught.kl)}
    if kind in KINDS:
        return found | judged(kind, own, test)
    spoken = [own.reader.tokenizer.batch_decode(one, skip_special_tokens=True) for one in written]
    read = own.reader.tokenizer.batch_decode(own.reader.completions(test.columns["completion"])[0], skip_special_tokens=True)
    alike = mean(rouge_l(one, wanted) for each in spoken for one, wanted in zip(each, read, strict=True))
    return found | {"rouge_l": alike, "distinct_2": mean(distinct(each) for each in spoken)}


@cache
def _teachers_words(kind: str) -> list[list[int]]:
    return own_words(teacher(kind).model, texts(kind).test, seed=8)


@cache
def program() -> str:
    """A fingerprint of all that decides what a student comes to."""
    import distrust

    here = [
        Path(__file__).parent / name
        for name in ("_okd_student.py", "_tutoring.py", "_puzzles.py", "_verse.py", "_completions.py", "_words.py")
    ]
    files = sorted([*Path(distrust.__file__).parent.rglob("*.py"), *here])
    return fingerprint([file.read_text() for file in files])[:16]
