"""From a recipe to a run: the one place where the kinds of teachers and students are chosen.

Knows every room's way in. Knows nothing of what they do once built.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from distrust.answers import Answers
from distrust.data import REFERENCE
from distrust.errors import DataError, RecipeError, RunError, nearest
from distrust.files import read_json, write_atomically, write_json
from distrust.gold import Gold
from distrust.labels import LabelSpace, doubt
from distrust.processes import rank, wait
from distrust.products import routed
from distrust.recipe import (
    Answer,
    Asked,
    CausalAssistant,
    CausalStudent,
    CausalTeacher,
    Classifier,
    Endpoint,
    NgramStudent,
    Recipe,
    Recorded,
    StudentRecipe,
    TeacherRecipe,
    TransformerStudent,
    is_judge,
)
from distrust.run import Run
from distrust.secrets import expand
from distrust.students import Student
from distrust.task import Task, load_task
from distrust.teachers import Teacher
from distrust.train import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distrust.ledger import Ledger

LEDGER = "ledger.sqlite"


@contextmanager
def opened(
    recipe: Recipe,
    progress: Progress | None = None,
    asked: Callable[[Any], None] | None = None,
    shared: Path | None = None,
    kept: Path | None = None,
) -> Iterator[tuple[Run, Task]]:
    """A run in the recipe's folder, its data read and its teachers at hand; the ledger is closed at the end.

    Args:
        recipe: the recipe.
        progress: called as fits go on; asked: called as buying goes on, with `teachers.buying.Progress`.
        shared: folder of stages, and of evidence that has no `evidence_dir`, that several runs share; default the run's own.
        kept: where paid answers were kept for several runs: endpoint teachers are then those, and buy nothing.

    Raises:
        DistrustError: whatever is wrong with data, teachers, student, folder or machine; nothing has been asked by then.
    """
    folder = Path(expand(recipe.output_dir))
    evidence = None if shared is None else shared / "evidence"
    task = read_task(recipe)
    check_folder(folder, task)
    with routed(recipe.onednn), ledger(recipe, folder, kept) as book:
        made = Run(
            folder,
            space=task.space if task.answers is None else None,
            answers=task.answers,
            pool=task.pool,
            teachers=[
                _as_said(build_teacher(one, task, book, recipe, asked, kept), one, task.answers) for one in recipe.teachers
            ],
            assistant=_assistant(task, book, recipe, asked, kept),
            new_student=student_maker(recipe.student, task.space, task),
            gold=task.gold,
            gold_items=task.gold_items,
            options=recipe.train,
            seed=recipe.seed,
            validation=task.validation,
            progress=progress,
            evidence=evidence if recipe.evidence_dir is None else Path(expand(recipe.evidence_dir)),
            stages=None if shared is None else shared / "stages",
        )
        with closing(made) as run:
            if rank() == 0:
                write_json(folder / "task.json", task.identity)
                resolved = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
                write_atomically(folder / "recipe.yaml", resolved)
            for sentence in (*task.warnings, *doubt(task.space.names)):
                run.warn(sentence)
            yield run, task


def read_task(recipe: Recipe) -> Task:
    """The recipe's data. Teachers name the classes where the recipe does not: only then are classifiers loaded for it."""
    own = (_own(one, recipe) for one in recipe.teachers if recipe.labels is None)
    return load_task(recipe, [space for space in own if space is not None])


def _own(options: TeacherRecipe, recipe: Recipe) -> LabelSpace | None:
    """The classes that a teacher is known to know before anybody asks it."""
    if isinstance(options, Classifier):
        return _classifier(options, None, recipe).space
    return None if isinstance(options, CausalTeacher) or options.knows is None else LabelSpace(tuple(options.knows))


def known(options: Recorded | Endpoint, task: LabelSpace) -> LabelSpace:
    """The classes that a teacher answers with. Raises RecipeError for one that the task lacks."""
    for name in options.knows or ():
        if task.find(name) < 0:
            raise RecipeError(f"{options.name} knows {name!r}, no class of the task; {nearest(name, task.names)}.")
    return task if options.knows in (None, list(task.names)) else LabelSpace(tuple(options.knows))


@contextmanager
def ledger(recipe: Recipe, folder: Path, kept: Path | None = None) -> Iterator[Ledger | None]:
    """The run's ledger, where the recipe has a teacher that is paid and whose answers are not kept elsewhere."""
    if kept is not None or not any(isinstance(teacher, Endpoint) for teacher in recipe.asked):
        yield None
        return
    from distrust.ledger import Ledger

    if rank() != 0:
        wait()  # rank 0 makes the file; the others only read what it buys
    with Ledger(folder / LEDGER, readonly=rank() != 0) as book:
        if rank() == 0:
            wait()
        yield book


def build_teacher(
    options: TeacherRecipe,
    task: Task,
    book: Ledger | None,
    recipe: Recipe,
    asked: Callable[[Any], None] | None = None,
    kept: Path | None = None,
) -> Teacher:
    """A teacher by its part of the recipe."""
    if isinstance(options, Recorded):
        from distrust.teachers.recorded import RecordedTeacher

        return RecordedTeacher(options, known(options, task.space), task.pool, task.answers)
    if isinstance(options, Classifier):
        return _classifier(options, task.space, recipe)
    if isinstance(options, CausalTeacher):
        return _writer(options, task)
    if kept is not None:
        from distrust.teachers.kept import KeptTeacher

        return KeptTeacher(kept, options.name)
    from distrust.teachers.endpoint import EndpointTeacher

    assert book is not None, "an endpoint teacher is built beside an open ledger"
    return EndpointTeacher(
        options, known(options, task.space), book, recipe.budget, few_shot(task, options), asked, task.answers
    )


def _as_said(teacher: Teacher, options: Asked, answers: Answers | None) -> Teacher:
    """The teacher, made wrong on purpose where its part of the recipe says so."""
    if isinstance(options, CausalTeacher) or options.wrong is None:
        return teacher
    from distrust.workshop import SimulatedTeacher

    return SimulatedTeacher(teacher, options.wrong, answers=answers)


def as_they_are(recipe: Recipe) -> Recipe:
    """The recipe with no teacher made wrong: what is bought of a real one serves every way of making it wrong."""
    plain = [one if isinstance(one, CausalTeacher) else one.model_copy(update={"wrong": None}) for one in recipe.teachers]
    return recipe.model_copy(update={"teachers": plain})


def _assistant(
    task: Task, book: Ledger | None, recipe: Recipe, asked: Callable[[Any], None] | None, kept: Path | None
) -> Teacher | None:
    """The recipe's assistant. One that is shown answers says True or False of them, whatever the task's answers are."""
    if recipe.assistant is None:
        return None
    if kept is not None and isinstance(recipe.assistant, Endpoint):
        raise RecipeError(
            f"A comparison buys what teachers say before there is anything to ask the assistant {recipe.assistant.name}; "
            "give it an assistant whose answers are recorded, or a local one."
        )
    if is_judge(recipe.assistant):
        from distrust.assistant import TRUTH

        task = replace(task, space=TRUTH, answers=None, gold=Gold((), torch.zeros(0, dtype=torch.long), TRUTH))
    return _as_said(build_teacher(recipe.assistant, task, book, recipe, asked, kept), recipe.assistant, task.answers)


def _writer(options: CausalTeacher, task: Task) -> Teacher:
    from distrust.students import causal
    from distrust.students.sampling import Sampling
    from distrust.teachers.local_writer import LocalWriter

    shared = set(CausalStudent.model_fields) & set(CausalTeacher.model_fields) - {"kind"}
    made = CausalStudent(kind="causal", **options.model_dump(include=shared))
    model = causal.build(made, task.answers or Answers(Answer()), 0, task.pool, options.name)
    model.module.to(torch.bfloat16 if options.bf16 else torch.float32)
    judges = isinstance(options, CausalAssistant) and options.says == "truth"
    return LocalWriter(options.name, model, None if judges else Sampling(options.samples, options.temperature))


def few_shot(task: Task, options: Endpoint) -> list[tuple[str, str]]:
    """Text and label of the gold items that a teacher's prompts quote, of the classes it knows; or text and reference."""
    part, space = task.gold.part("prompt"), known(options, task.space)
    rows = task.gold_items.rows(part.ids[: options.few_shot])
    if task.answers is not None:
        return [(task.gold_items.text(row), task.gold_items.columns[REFERENCE][row]) for row in rows]
    names = [task.space.names[int(label)] for label in part.labels[: options.few_shot]]
    quoted = [(task.gold_items.text(row), name) for row, name in zip(rows, names, strict=True)]
    return [(text, name) for text, name in quoted if space.find(name) >= 0]


def student_maker(options: StudentRecipe, space: LabelSpace, task: Task) -> Callable[[int], Student]:
    """From a seed to an untrained student of the recipe's kind."""
    if isinstance(options, NgramStudent):
        from distrust.students import ngram

        shared = cache(lambda: ngram.inverse_frequencies(options, task.pool))
        return lambda seed: ngram.build(options, space, seed, task.pool, shared())
    if isinstance(options, TransformerStudent):
        from distrust.students import transformer

        return lambda seed: transformer.build(options, space, seed, task.pool)
    from distrust.students import causal

    answers = task.answers
    assert answers is not None, "a recipe's causal student comes with a generation task"
    return lambda seed: causal.build(options, answers, seed, task.pool)


def load_student(folder: Path) -> Student:
    """A saved student, whatever its kind. Raises RunError where the folder holds none."""
    about = folder / "student.json"
    if not about.is_file():
        raise RunError(f"{folder} holds no student; name a run's `student` folder.")
    told = read_json(about)
    kind = told.get("kind") if isinstance(told, dict) else None
    if kind not in ("ngram", "transformer", "causal"):
        raise RunError(f"{folder} holds a student of kind {kind!r}; only its own program can load a bare torch module.")
    loader = importlib.import_module(f"distrust.students.{kind}")
    try:
        return loader.load(folder)  # type: ignore[no-any-return]
    except (TypeError, ValueError, RuntimeError) as error:  # what is said there fits neither this version nor the weights
        raise DataError(f"{folder} does not fit what its {about.name} says: of another version, or edited.") from error


def check_folder(folder: Path, task: Task) -> None:
    """Refuse a run folder of another task: what was bought and learned there belongs to other items or labels."""
    known = folder / "task.json"
    if not known.is_file():
        return
    before = read_json(known)
    now = task.identity
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        raise RunError(f"{folder} is the run of another recipe: {' and '.join(changed)} differ; choose another output_dir.")


def _classifier(options: Classifier, space: LabelSpace | None, recipe: Recipe) -> Teacher:
    from distrust.teachers.classifier import ClassifierTeacher
    from distrust.teachers.one_at_a_time import OneAtATime, crowded

    return OneAtATime(options, space) if crowded(recipe.asked) else ClassifierTeacher(options, space)
