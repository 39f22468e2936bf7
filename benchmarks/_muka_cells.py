"""One cell of `muka`: a world with a seed, every method's student on it, and how often each score finds who knows an item.

Knows worlds, runs and methods. Knows nothing of rows, goals or pages.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks._cells import kept, once
from benchmarks._specialists import AXES, BATCH, EPOCHS, RATE, WIDTH, Columns, World, network, world
from distrust.distillation import default_objective
from distrust.gold import Gold
from distrust.labelled import from_gold
from distrust.methods import find
from distrust.methods.adequate import scored
from distrust.methods.auto_suited import MERGED
from distrust.methods.specialists import Specialists, gather, told
from distrust.recipe import Train
from distrust.run import Run
from distrust.students import Student
from distrust.students.module import ModuleStudent
from distrust.teachers.module import ModuleTeacher
from distrust.trust.adequacy import choice

AUTO = {"score": "auto", "target": "soft", "margin": False}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {  # name in a recipe, options; `.gold10`: the same, and gold
    "padded_average": ("padded-average", {}),
    "uhc": ("uhc", {}),
    "cfl": ("cfl", {}),
    "dfa": ("dfa", {}),
    "concatenated": ("concatenated", {}),
    "muka": ("muka", {}),
    "muka.soft": ("muka", {"target": "soft"}),
    "muka.one_pass": ("muka", {"passes": 1}),
    "muka.max_logit": ("muka", {"score": "max_logit", "margin": False}),
    "auto": ("muka", AUTO),
    "auto.hard_margin": ("muka", {"score": "auto"}),  # all else as in the paper
    "merge": ("muka", dict(MERGED)),  # what `distrust merge` writes without --features
    "gold_only.gold10": ("gold-only", {}),
    "padded_average.gold10": ("padded-average", {}),
    "uhc.gold10": ("uhc", {}),
    "dfa.gold10": ("dfa", {}),  # cfl costs most of all, and without gold it is within .3 of concatenated in every row
    "concatenated.gold10": ("concatenated", {}),
    "muka.gold10": ("muka", {}),
    "auto.gold10": ("muka", AUTO),
    "merge.gold10": ("muka", dict(MERGED)),
}
BARE = ("merge", "merge.gold10")  # their teachers keep no features
ORACLES = ("oracle", "oracle.gold10")
NO_GOLD = [name for name in METHODS if not name.endswith(".gold10")]
GOLD = [name for name in METHODS if name.endswith(".gold10")]
SCORES = ("mc_entropy", "entropy", "disagreement", "energy", "max_logit", "neighbours", "mahalanobis")
SIDES = {"width32": WIDTH // 4, "width512": 4 * WIDTH, "mixed": WIDTH}  # units of the student; `mixed`: also of worlds
ASIDE = ("concatenated", "auto", "oracle", "concatenated.gold10", "auto.gold10")  # what a side is measured for
MADE_BY = ("_muka_cells.py", "_specialists.py")
LOOP = Train(num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH, learning_rate=RATE, save_seconds=1e9)


@dataclass(frozen=True)
class Task:
    """One row of the table with one seed.

    Args:
        side: "", or one of SIDES: what differs from the row's networks.
    """

    set: str
    parts: int
    seed: int
    side: str = ""

    @property
    def row(self) -> str:
        return f"{self.set}.{self.parts}"


def measured(task: Task) -> dict[str, float]:
    """Figures by name, read back where this very program has found them."""
    name = "-".join([task.row, str(task.seed), *([task.side] if task.side else [])])
    known: dict[str, float] = once(kept("muka", *MADE_BY) / f"{name}.json", lambda: _measured(task))
    return known


def _measured(task: Task) -> dict[str, float]:
    torch.set_num_threads(1)
    here = world(task.set, task.parts, task.seed, mixed=task.side == "mixed")
    with tempfile.TemporaryDirectory() as folder:
        return _side(here, task, Path(folder)) if task.side else _all(here, task.seed, Path(folder))


def _all(here: World, seed: int, folder: Path) -> dict[str, float]:
    """Accuracies of all students, in points, and how often each score finds a specialist that knows the item."""
    found = _students(here, seed, folder, [*METHODS, *ORACLES])
    with closing(_work(here, folder, seed, "oracle.gold10")) as work:
        known = gather(work)
        for name in SCORES:
            found[f"found.{name}"] = _rate(choice(scored(work, known, name, 16).scores), known, here)
        labelled = from_gold(here.pool, here.truth, len(here.space))
        found["supervised"] = _accuracy(work, work.fit("supervised", labelled), here)
    return found


def _side(here: World, task: Task, folder: Path) -> dict[str, float]:
    """The same of a few methods, each figure's name ending in the side."""
    found = _students(here, task.seed, folder, ASIDE, SIDES[task.side])
    return {f"{name}.{task.side}": value for name, value in found.items()}


def _students(here: World, seed: int, folder: Path, names: Iterable[str], units: int = WIDTH) -> dict[str, float]:
    """Accuracies by name; of `auto`, whose scores were fitted or weighed, also how often whom it believed knew."""
    found = {}
    for name in names:
        with closing(_work(here, folder, seed, name, units)) as work:
            if name in ORACLES:
                found[name] = _accuracy(work, _oracle(work, here, name.endswith(".gold10")), here)
                continue
            method, options = METHODS[name]
            made, checked = find(method, options)
            found[name] = _accuracy(work, made.run(work, checked), here)
            if options.get("score") == "auto":
                told_by = work.fits["student"].labelled.extra["weights"][:].T  # (M, N), as sure as each is taken for
                found[f"found.{name}"] = _rate(choice(told_by), gather(work), here)
    return found


def _work(here: World, folder: Path, seed: int, name: str, units: int = WIDTH) -> Run:
    """A run for a method by name; all of a cell share their stages, such as passes and scouts."""
    gold = name.endswith(".gold10")
    rows = here.gold.tolist() if gold else []
    teachers = [_bare(one) for one in here.teachers] if name in BARE else here.teachers
    return Run(
        folder / ("bare" if name in BARE else "kept") / str(gold),
        space=here.space,
        pool=here.pool,
        teachers=teachers,
        new_student=lambda start: _student(here, units, 7 + start),
        gold=Gold(tuple(here.pool.ids[row] for row in rows), here.truth[rows], here.space),
        options=LOOP,
        seed=seed,
        stages=folder / "stages",
    )


def _student(here: World, units: int, seed: int) -> ModuleStudent:
    width, mixed = here.test.inputs[0].shape[0], here.mixed
    net = network(AXES if mixed else width, len(here.space), seed, units)
    return ModuleStudent(torch.nn.Sequential(Columns(0, AXES), net) if mixed else net, here.space)


def _bare(teacher: ModuleTeacher) -> ModuleTeacher:
    """The same without features."""
    return ModuleTeacher(teacher.name, teacher._module, teacher.space, batch_size=1024)


def _oracle(work: Run, here: World, gold: bool) -> Student:
    """Told by the specialist that knows the item's class, of which only a benchmark can know."""
    known = gather(work)
    right = known.adequate(here.truth).float()
    training = told(work, known, known.target(right / right.sum(0)), float(gold))
    return work.fit("oracle", replace(training, extra={}), default_objective(training), find("muka", {})[1])


def _rate(believed: Tensor, known: Specialists, here: World) -> float:
    """How often who is believed, (M, N) summing to one, knows the item's class: in points, over items that are no gold."""
    rest = torch.ones(len(here.pool), dtype=torch.bool)
    rest[here.gold] = False
    right = known.adequate(here.truth).float()
    return 100 * float((believed * right).sum(0)[rest].mean())


def _accuracy(work: Run, student: Student, here: World) -> float:
    claims: Tensor = work.ask(student, here.test).claims[0]
    return 100 * float((claims == here.test_labels).float().mean())
