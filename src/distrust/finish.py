"""The end of a run: the student judged and saved, and everything a report is made from.

Knows what is gathered from a run. Knows nothing of how it was trained, or of how a page looks.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from distrust import __version__
from distrust.bought import buying
from distrust.data import Items
from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.files import write_atomically
from distrust.labelled import Labelled
from distrust.learning_curve import students_of
from distrust.methods import METHODS, find
from distrust.open_facts import open_facts
from distrust.recipe import CausalTeacher, Classifier, Price, Recipe
from distrust.report.facts import Facts, LearningCurve, Spending
from distrust.report.saved import save_facts
from distrust.report.signals import figures
from distrust.run import Run
from distrust.stages import surroundings
from distrust.students import Student
from distrust.task import Task
from distrust.teachers import Teacher
from distrust.whatif import refits

REFERENCE = "gold-only"  # what the same student learns without teachers: every run says whether they were worth it


def carry_out(run: Run, task: Task, recipe: Recipe) -> tuple[Facts, Student]:
    """The recipe's method, the reference beside it, and what there is to say of both; the student to keep."""
    method, options = find(recipe.method.name, recipe.method.options)
    student = method.run(run, options)
    seconds = sum(run.stages.seconds.values())
    students = {"student": student}
    if recipe.method.name != REFERENCE and len(run.gold_labelled()):
        students[REFERENCE] = METHODS[REFERENCE].run(run, METHODS[REFERENCE].options())
    facts = gather(
        run,
        students,
        task.test,
        method=recipe.method.name,
        options=options.model_dump(),
        recipe=recipe.model_dump(mode="json"),
        kinds={teacher.name: teacher.kind for teacher in recipe.teachers},
        prices=prices(recipe),
        seconds=round(seconds, 3),
        curve=() if task.spare is None or recipe.worth is None else students_of(run, *task.spare, recipe.worth),
    )
    return facts, student


def prices(recipe: Recipe) -> dict[str, Price]:
    """The price of everybody who is asked, by name; a local classifier has none to pay."""
    free = Price(per_call=0)
    return {one.name: free if isinstance(one, Classifier | CausalTeacher) else one.price for one in recipe.asked}


def gather(
    run: Run,
    students: Mapping[str, Student],
    test: tuple[Items, Tensor] | None,
    *,
    method: str,
    options: Mapping[str, Any],
    recipe: Mapping[str, Any],
    kinds: Mapping[str, str],
    prices: Mapping[str, Price],
    simulated: Sequence[str] = (),
    seconds: float | None = None,
    curve: Iterable[tuple[int, Student]] = (),
) -> Facts:
    """Everything a report shows of a run. Students answer the test items here, and nowhere before.

    Args:
        run: the run, its fits done.
        students: by name, the one to keep as "student".
        test: items and gold labels (n,), or None.
        method, options, recipe: what was done, as plain values.
        kinds, prices: of each teacher, by name.
        simulated: a sentence for each part that stands in for something real.
        seconds: process time of the method's stages, whoever built them.
        curve: numbers of human labels, rising, each with a student of nothing else; taken one at a time.
    """
    for teacher in run.teachers if run.fits.get("student") and not run.metered else ():
        if not hasattr(teacher, "spending"):
            run.ask(teacher, run.gold_items)  # at no price; a paid one is judged on what a method asked it
    heard = run.heard()
    evidence = [one.on(run.pool.ids) for one in heard]
    fitted = run.fits.get("student")
    told = None if fitted is None else fitted.labelled
    said = {} if test is None else {name: run.ask(one, test[0]) for name, one in students.items()}
    on_test = [] if test is None else _on_test(run, test[0])
    if run.answers is None:
        decided = _class_facts(run, heard, told, said, on_test, test)
    else:
        decided = open_facts(run, heard, told, said, on_test, None if test is None else test[0], students["student"])
    drawn = None if test is None else _curve(run, curve, *test)
    weights = None if told is None else told.extra.get("weights")
    if test is None:
        run.warn("There is no test set, so nothing is said of how good the student is; give data.test.")
    return Facts(
        **decided,
        title=run.folder.resolve().name,
        method=method,
        options=options,
        recipe=recipe,
        pool=run.pool,
        kinds=kinds,
        test=None if test is None else test[0],
        curve=drawn,
        weights=_spread(told, weights, run.pool).T if told is not None and isinstance(weights, Tensor) else None,
        what_if=_what_if(run, told, students, test),
        history=[row for fit in run.fits.values() for row in fit.history],
        spending=spending(run, [*(heard if run.metered else evidence), *run.assisted()], prices),
        signals=figures(run.signals),
        choice=run.choice,
        buying=None if test is None else buying(run, students, test, prices),
        warnings=[*run.warnings, *_outside(evidence)],
        notes=run.notes,
        simulated=[*simulated, *(one.simulated for one in run.teachers if hasattr(one, "simulated"))],
        environment={**surroundings(), **versions(), "seed": run.seed, "method_seconds": seconds},
    )


def _class_facts(
    run: Run,
    heard: Sequence[Evidence],
    told: Labelled | None,
    said: Mapping[str, Evidence],
    on_test: Sequence[Evidence],
    test: tuple[Items, Tensor] | None,
) -> dict[str, Any]:
    """The fields of Facts that the label space decides; `open_facts` has them where answers are open."""
    return {
        "space": run.space,
        "evidence": [one.on(run.pool.ids) for one in heard],
        "gold": run.gold if len(run.gold) else None,
        "gold_evidence": [one.on(run.gold.ids) for one in heard],
        "targets": None if told is None else _spread(told, _said(told), run.pool),
        "target_weight": None if told is None else _spread(told, told.weight, run.pool),
        "test_labels": None if test is None else test[1],
        "predictions": {name: one.distribution() for name, one in said.items()},
        "test_evidence": on_test,
    }


def _what_if(
    run: Run, told: Labelled | None, students: Mapping[str, Student], test: tuple[Items, Tensor] | None
) -> dict[str, Tensor]:
    """What the student would say of the test items, had it been told what the method could have told it instead."""
    if told is None or test is None or not run.alternatives:
        return {}
    others = {name: build() for name, build in run.alternatives.items()}
    return refits(students["student"], told, others, test[0], run.options.per_device_eval_batch_size)


def _curve(run: Run, students: Iterable[tuple[int, Student]], items: Items, labels: Tensor) -> LearningCurve | None:
    """Which test items (n,) each student of the learning curve is right about."""
    right = {count: run.ask(student, items).distribution().argmax(-1) == labels for count, student in students}
    return LearningCurve(tuple(right), torch.stack(list(right.values()))) if right else None


def write(facts: Facts, student: Student, folder: Path) -> Path:
    """Save the student with its card, the facts, the metrics of every fit and the report; returns the report's path."""
    from distrust.card import model_card
    from distrust.report.metrics import metrics
    from distrust.report.page import write_report

    found = metrics(facts)
    student.save(folder / "student")
    write_atomically(folder / "student" / "README.md", model_card(facts, found))
    write_atomically(folder / "metrics.jsonl", "".join(json.dumps(dict(row)) + "\n" for row in facts.history))
    save_facts(facts, folder / "facts")
    return write_report(facts, folder, found)


def versions() -> dict[str, str]:
    """Versions of what decides a run's figures."""
    return {"distrust": __version__, "python": platform.python_version(), "machine": platform.machine()}


def _said(labelled: Labelled) -> Tensor:
    """What each item of a training set was told: its target, or its gold label: (B, C)."""
    gold = one_hot(labelled.labels.clamp(min=0), labelled.targets.shape[1]).to(labelled.targets.dtype)
    return torch.where((labelled.labels >= 0).unsqueeze(-1), gold, labelled.targets)


def _spread(labelled: Labelled, values: Tensor, pool: Items) -> Tensor:
    """Values of a training set (B, ...) in the pool's order (N, ...); zero where an item was left out."""
    row_of = {item: row for row, item in enumerate(labelled.items.ids)}
    rows = torch.tensor([row_of.get(item, -1) for item in pool.ids], dtype=torch.long)
    there = (rows >= 0).reshape(-1, *(1 for _ in values.shape[1:]))
    return torch.where(there, values[rows.clamp(min=0)], torch.zeros_like(values[:1]))


def _on_test(run: Run, test: Items) -> list[Evidence]:
    """Teachers that can answer the test items at no price; one that cannot answer any of them is left out."""
    free = [run.ask(teacher, test) for teacher in run.teachers if not hasattr(teacher, "spending")]
    return [one for one in free if bool((one.claims >= 0).any())]


def spending(run: Run, evidence: Sequence[Evidence], prices: Mapping[str, Price]) -> list[Spending]:
    """What everybody who was asked cost: by the ledger, or by its price for answers that were bought before."""
    by_name = {one.name: one for one in (*run.teachers, run.assistant) if one is not None}
    return [_spending(by_name[one.source], one, prices[one.source]) for one in evidence]


def _spending(teacher: Teacher, evidence: Evidence, price: Price) -> Spending:
    paid = getattr(teacher, "spending", None)
    if paid is not None:
        spent: Spending = paid()
        return spent
    answers = int((evidence.claims >= 0).any(0).sum())
    return Spending(teacher.name, 0, 0, 0, None if price.per_call is None else price.per_call * answers)


def _outside(evidence: Sequence[Evidence]) -> list[str]:
    return [
        f"{one.source}: {count} answers {what}; they abstain."
        for one in evidence
        for what, count in one.notes.items()
        if what in ("outside the label space", "could not parse")
    ]


def check_method(recipe: Recipe) -> None:
    """Refuse a method or an option that does not exist before any data is read or anything is bought."""
    find(recipe.method.name, recipe.method.options)
    if not recipe.teachers and recipe.method.name != REFERENCE:
        raise RunError(f"The method {recipe.method.name} asks teachers; name one under `teachers`.")
