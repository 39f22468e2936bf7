"""okd, its controls and its relatives on a real small language model: quality at equal steps, and what a step costs.

Every student begins from the same fine-tuning and makes the same number of steps on the same batches; each method's learning
rate is chosen from one grid, on another seed and one cell. Divergences are from the *original* teacher, on held-out texts
and on the student's own. Seconds are process time of the fit alone, without the figures of its epochs.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks._tutoring import ANSWERS, BATCH, Cell, copied, student, teacher, texts
from benchmarks.harness import Result
from distrust import train
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

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "fine_tuning": ("distill", {}),
    "forward": ("gkd", {"on_policy": 0}),
    "reverse": ("gkd", {"on_policy": 0, "divergence": "reverse"}),
    "jensen_shannon": ("gkd", {"on_policy": 0, "divergence": "jensen-shannon"}),
    "skew_reverse": ("gkd", {"on_policy": 0, "divergence": "skew-reverse"}),
    "gkd": ("gkd", {"on_policy": 0.5, "divergence": "jensen-shannon"}),
    "gkd_forward": ("gkd", {"on_policy": 1.0}),
    "distillm": ("distillm", {}),
    "taid": ("taid", {}),
    "okd": ("okd", {"rank": 8}),
    "okd.alpha0": ("okd", {"rank": 8, "alpha": 0.0}),
    "okd.alpha10": ("okd", {"rank": 8, "alpha": 0.1}),
    "okd.alpha50": ("okd", {"rank": 8, "alpha": 0.5}),
    "okd.last": ("okd", {"rank": 8, "layers": 1, "store_trunk": True}),
    "tuned_first": ("gkd", {"on_policy": 0}),  # control: the terms learn the texts alone, and then stand still
    "forward_longer": ("gkd", {"on_policy": 0}),  # control: as many more steps as okd's cost buys
}
LONGER = 1.65  # a step of okd in steps of the forward divergence, rounded up
CELLS = [
    *(Cell("stories", width) for width in (16, 32, 48)),
    Cell("stories", 48, "teacher"),
    Cell("shakespeare", 32),
]
QUICK = ("fine_tuning", "forward", "gkd", "okd")
RATES = (2e-3, 5e-3, 1e-2)
SEARCHED = Cell("stories", 32)
EPOCHS = 6


@dataclass(frozen=True)
class Task:
    """One student."""

    cell: Cell
    method: str
    seed: int
    rate: float
    epochs: int


def run(quick: bool) -> Result:
    """All cells and methods; `quick`: one cell, four methods, one seed and one rate."""
    if not os.environ.get("DISTRUST_DATA"):
        raise SystemExit("The benchmark okd needs the optional data sets: set DISTRUST_DATA to their folder.")
    names = QUICK if quick else tuple(METHODS)
    for cell in [SEARCHED] if quick else CELLS:
        texts(cell.texts)  # made once, before several processes want them
    rates = dict.fromkeys(names, 5e-3)
    if not quick:
        search = [Task(SEARCHED, name, 100, rate, EPOCHS) for name in names for rate in RATES]
        found = _all(search)
        for name in names:
            rates[name] = min(RATES, key=lambda rate, name=name: found[Task(SEARCHED, name, 100, rate, EPOCHS)]["kl_own"])
    seeds, epochs = ([0], 3) if quick else ([0, 1, 2], EPOCHS)
    tasks = [
        Task(cell, name, s, rates[name], epochs)
        for cell in ([SEARCHED] if quick else CELLS)
        for name in names
        for s in seeds
    ]
    return _result(_all(tasks), rates, seeds)


def _all(tasks: Sequence[Task]) -> dict[Task, dict[str, float]]:
    found = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for task, figures in zip(tasks, pool.map(_measured, tasks), strict=True):
            found[task] = figures
            print(
                task.cell.name, task.method, task.seed, task.rate, {k: round(v, 3) for k, v in figures.items()}, flush=True
            )
    return found


def _measured(task: Task) -> dict[str, float]:
    """One student's figures, read back where this very program has measured them."""
    import distrust

    files = sorted([*Path(distrust.__file__).parent.rglob("*.py"), Path(__file__).parent / "_tutoring.py"])
    program = fingerprint([file.read_text() for file in files], METHODS)[:16]
    what = f"{task.cell.name}-{task.method}-{task.seed}-{task.rate}-{task.epochs}.json"
    kept = Path(tempfile.gettempdir()) / f"distrust-okd-{program}" / what
    if not kept.is_file():
        torch.set_num_threads(1)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(_figures(task)))
    known: dict[str, float] = json.loads(kept.read_text())
    return known


def _figures(task: Task) -> dict[str, float]:
    asked, read = teacher(), texts(task.cell.texts)
    begun = student(task.cell, task.seed)
    longer = LONGER if task.method == "forward_longer" else 1.0
    loop = Train(
        num_train_epochs=round(task.epochs * longer),
        per_device_train_batch_size=BATCH,
        learning_rate=task.rate,
        lr_scheduler_type="cosine",
        save_seconds=1e9,
    )
    said = RecordedTeacher(Recorded(kind="recorded", name="texts", column="completion"), OPEN, read.pool, ANSWERS)
    with tempfile.TemporaryDirectory() as folder, _timed() as seconds:
        teachers = [said] if task.method == "fine_tuning" else [said, asked]
        work = Run(
            Path(folder),
            space=None,
            answers=ANSWERS,
            pool=read.pool,
            teachers=teachers,
            new_student=lambda seed: copied(begun),
            options=loop,
            seed=task.seed,
        )
        method, options = find(*METHODS[task.method])
        with closing(work):
            if task.method == "tuned_first":
                trained = _tuned_first(work, asked, loop, method.run, options)
            else:
                trained = method.run(work, options)
    return {**_judged(writer(trained), teacher().model, task), "seconds": seconds[0]}


def _tuned_first(work: Run, asked: LocalWriter, loop: Train, method: Callable[..., Any], options: Any) -> Any:
    """The control that the paper lacks: the same terms trained on the texts alone, and then the forward divergence."""
    from distrust.claimed import told_by
    from distrust.distillation import default_objective

    told = told_by([work.ask(work.teachers[0], work.pool)], work.pool)
    with attached(asked.model.module, 8, 2.0, seed=work.seed), tempfile.TemporaryDirectory() as folder:
        side = Side(asked.model, default_objective(told), loop, steady=True)
        train.fit([side], train.Fit("teacher", told, loop, work.seed, Path(folder)))
        return method(work, options)


def _judged(own: CausalStudent, original: CausalStudent, task: Task) -> dict[str, float]:
    """On held-out texts: of the world, of the teacher, of the student itself."""
    test = texts(task.cell.texts).test
    given = following(own, original, test, own.reader.completions(test.columns["completion"])[0])
    written = own_words(own, test, seed=7)
    alone = following(own, original, test, written)
    taught = following(own, original, test, own_words(original, test, seed=8))
    spoken = own.reader.tokenizer.batch_decode(written, skip_special_tokens=True)
    return {
        "kl": given.kl,
        "kl_own": alone.kl,
        "agreement": given.agreement,
        "nll": given.nll,
        "teacher_nll_of_own": alone.teacher_nll,
        "excess_error": excess_error(alone.kl, taught.kl),
        "rouge_l": mean(rouge_l(one, wanted) for one, wanted in zip(spoken, test.columns["completion"], strict=True)),
        "distinct_2": distinct(spoken),
    }


class _timed:
    """Inside: process seconds of the fit of the student alone, the figures of its epochs left out."""

    def __enter__(self) -> list[float]:
        self.plain, self.seconds = train.fit, [0.0]

        def fit(sides: Sequence[Side], task: train.Fit) -> list[dict[str, Any]]:
            aside = [0.0]
            if task.joint is not None and task.joint.measure is not None:
                measure = task.joint.measure

                def measured(them: Sequence[Side]) -> Any:
                    began = time.process_time()
                    found = measure(them)
                    aside[0] += time.process_time() - began
                    return found

                task = replace(task, joint=replace(task.joint, measure=measured))
            began = time.process_time()
            history = self.plain(sides, task)
            self.seconds[0] += time.process_time() - began - aside[0]
            return history

        train.fit = fit
        return self.seconds

    def __exit__(self, *_: object) -> None:
        train.fit = self.plain


def _result(found: dict[Task, dict[str, float]], rates: dict[str, float], seeds: list[int]) -> Result:
    figures: dict[str, float | bool] = {}
    for task, one in found.items():
        start = f"{task.cell.name}.{task.method}"
        same = [own for other, own in found.items() if (other.cell, other.method) == (task.cell, task.method)]
        for name in one:
            values = [own[name] for own in same]
            figures |= {f"{start}.{name}": mean(values)}
            figures |= {f"{start}.{name}.low": min(values), f"{start}.{name}.high": max(values)}
    settings = {"intervals": "least and most of the seeds", "rates": {name: rates[name] for name in rates}, "epochs": EPOCHS}
    settings |= {name: f"{one} {options}" for name, (one, options) in METHODS.items() if name in rates}
    return Result(figures, settings, seeds)
