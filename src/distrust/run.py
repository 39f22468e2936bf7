"""A run: one pool, its gold, its teachers and students, in one folder, and what a method may ask of them.

Methods speak to it in `ask` and `fit`, which are durable stages (`hearing`, `fits`); it knows no paper, and nothing of
what a stage means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from distrust import train
from distrust.answers import Answers
from distrust.bought import Bought
from distrust.data import REFERENCE, Items, column
from distrust.distillation import default_objective
from distrust.errors import RunError
from distrust.evaluate import Quality
from distrust.evidence import Evidence, Stacked, stack
from distrust.evidence_store import EvidenceStore
from distrust.files import fingerprint
from distrust.fits import Fitted, fitted
from distrust.gold import Gold
from distrust.hearing import Hearing
from distrust.labelled import Labelled, from_gold, from_texts
from distrust.labels import OPEN, LabelSpace
from distrust.objective import Objective
from distrust.processes import mix, rank
from distrust.readings import Readings
from distrust.recipe import Train
from distrust.sides import Joint
from distrust.stages import Stages, lock
from distrust.students import Student
from distrust.students.sampling import Sampling
from distrust.teachers import Teacher
from distrust.validation import Validation


class Run:
    """Stages over one pool.

    Args:
        folder: where everything durable goes; made if it is not there.
        space: the task's classes; None where answers are open.
        answers: how texts are read where answers are open; None where there are classes.
            Gold and validation items then have a column `data.REFERENCE`, and their labels only say so.
        pool: the items to learn from.
        teachers: who is asked about them.
        assistant: who judges what students and teachers say, for methods that ask one; nobody else hears it.
        new_student: from a seed to an untrained student.
        gold: the gold set, and gold_items: its items, in its order.
        options: the training loop's.
        seed: of initial weights and of the order of batches.
        validation: items and labels (n,) for early stopping; default the gold part `stop`, where one is reserved.
        progress: called as a stage goes on.
        evidence: folder of the evidence store, and stages: of finished stages, both of which runs may share; default the
            run's own.

    Raises:
        RunError: a folder that cannot be written, or in which another process is at work.
    """

    def __init__(
        self,
        folder: Path,
        *,
        space: LabelSpace | None,
        pool: Items,
        teachers: Sequence[Teacher],
        new_student: Callable[[int], Student],
        gold: Gold | None = None,
        gold_items: Items | None = None,
        options: Train | None = None,
        seed: int = 0,
        validation: tuple[Items, Tensor] | None = None,
        progress: train.Progress | None = None,
        answers: Answers | None = None,
        evidence: Path | None = None,
        stages: Path | None = None,
        assistant: Teacher | None = None,
    ) -> None:
        self.folder, self.pool, self.teachers, self.assistant = folder, pool, list(teachers), assistant
        self._space, self.answers = space, answers
        self.gold = gold if gold is not None else Gold((), torch.zeros(0, dtype=torch.long), space or OPEN)
        self.gold_items = gold_items if gold_items is not None else pool.select(pool.rows(self.gold.ids))
        self.new_student, self.options, self.seed = new_student, options or Train(), seed
        self.progress = progress
        self._readings = Readings(self.pool, self.gold_items)
        self.fits: dict[str, Fitted] = {}
        self.stages = Stages(stages or folder / "stages")
        store = EvidenceStore(evidence or folder / "evidence")
        rows = self.options.per_device_eval_batch_size
        self._hearing = Hearing(folder, store, self.stages, answers, self._readings, rows)
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.signals: dict[str, Quality] = {}  # what gold says of the signals that the method read: for the report
        self.choice: list[Mapping[str, Any]] = []  # what the method tried before it decided: for the report
        self.bought: list[Bought] = []  # what there was to learn after each stage of buying: for the report
        self.metered = False  # whether the method decides what teachers are asked: then a report asks them nothing more
        self.alternatives: dict[str, Callable[[], Labelled]] = {}  # what the student might have been told: for the report
        self._validation = self._held_out(validation)
        self._lock = lock(folder) if rank() == 0 else None

    def beside(self, folder: Path, *, pool: Items, teachers: Sequence[Teacher], gold: Gold, options: Train) -> Run:
        """A smaller run in a folder of its own, for a method that tries before it decides; the caller closes it.

        Its gold is some of this run's; students, seed, validation and the stages' folder are this run's.
        """
        held = self._validation
        return Run(
            folder,
            space=self._space,
            pool=pool,
            teachers=teachers,
            new_student=self.new_student,
            gold=gold,
            gold_items=self.gold_items.select(self.gold_items.rows(gold.ids)),
            options=options,
            seed=self.seed,
            validation=None if held is None else (held.items, held.labels),
            progress=self.progress,
            answers=self.answers,
            stages=self.stages.folder,
        )

    @property
    def space(self) -> LabelSpace:
        """The task's classes. Raises RunError where answers are open: a method that needs classes cannot run there."""
        if self._space is None:
            raise RunError("This method needs classes, and the answers of a generation task are open; distill does not.")
        return self._space

    @property
    def evidence_folder(self) -> Path:
        """Where what local teachers said is kept, which runs may share."""
        return self._hearing.store.folder

    def close(self) -> None:
        """Let go of the folder, for another run in this program; a process that ends lets go by itself."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def evidence(self) -> list[Evidence]:
        """What each teacher says of the pool; asked once, ever."""
        return [self.ask(teacher, self.pool) for teacher in self.teachers]

    def stacked(self) -> Stacked:
        """All teachers' evidence on the pool, in the task's label space."""
        if not self.teachers:
            raise RunError("This method asks teachers and the recipe names none; name one, or use the method gold-only.")
        space = self.space  # open answers are refused before anybody is asked
        return stack(self.evidence(), space, self.pool.ids)

    def heard(self) -> list[Evidence]:
        """What each teacher has said in this run, of whatever it was asked; a teacher that was not asked is left out."""
        aside = None if self.assistant is None else self.assistant.name
        return [said for name in self._hearing.heard if name != aside for said in self._hearing.of(name)]

    def assisted(self) -> list[Evidence]:
        """What the assistant has said in this run; nothing where there is none, or it was not asked."""
        return [] if self.assistant is None else self._hearing.of(self.assistant.name)

    def ask(self, source: Teacher | Student, items: Items, sampling: Sampling | None = None) -> Evidence:
        """Ask a teacher or a trained student. A teacher that keeps its own answers is simply asked again.

        Another teacher is asked once about an item, ever; where it has changed since, TeacherError says so.
        Of a student that writes, one greedy text an item, or as many as `sampling` says; teachers sample by the recipe.
        """
        return self._hearing.ask(source, items, sampling)

    def passes(self, teacher: Teacher, items: Items, passes: int) -> Evidence:
        """The mean answer of a local teacher with its dropout on, kept as a stage; `teachers.passes` says what is in it.

        Raises RunError for a teacher that is no model at hand.
        """
        return self._hearing.passes(teacher, items, passes, self.seed)

    def fit(
        self,
        name: str,
        labelled: Labelled,
        objective: Objective | None = None,
        options: BaseModel | None = None,
        epochs: int | None = None,
        seed: int | None = None,
        begin: Student | None = None,
        joint: Joint | None = None,
    ) -> Student:
        """A new student, trained on a training set to the last epoch (or to the best validated one).

        Args:
            name: what the method calls it: "student", "scout", "peer".
            objective: default cross-entropy to targets and to gold labels.
            options: the method's options: part of the stage's key, and needed with an objective, which was made from them.
            epochs: default the recipe's.
            seed: of initial weights and of batches; default the run's. Several scouts need several.
            begin: a student of this run whose weights it goes on from; default: it starts afresh.
            joint: what it minimises together with others, token by token, in place of an objective.
        """
        assert objective is None or options is not None, "an objective is known to the stage's key by its options"
        given = Objective({}, joint.memory) if joint else objective or default_objective(labelled)
        return self._fit({name: given}, labelled, options, epochs, seed, begin, joint)[0]

    def fit_together(
        self, objectives: Mapping[str, Objective], labelled: Labelled, options: BaseModel, epochs: int | None = None
    ) -> list[Student]:
        """New students of different initial weights, trained in one loop on the same batches: one per objective, by name.

        Each finds the others' logits in its batch, detached, as `NAME.logits`. The first is judged by validation.
        """
        return self._fit(objectives, labelled, options, epochs, None, None, None)

    def _fit(
        self,
        objectives: Mapping[str, Objective],
        labelled: Labelled,
        options: BaseModel | None,
        epochs: int | None,
        seed: int | None,
        begin: Student | None,
        joint: Joint | None,
    ) -> list[Student]:
        first = next(iter(objectives))
        start = self.seed if seed is None else seed
        students = [self.new_student(start if not turn else mix(start, turn)) for turn in range(len(objectives))]
        if begin is not None:
            students[0].module.load_state_dict(begin.module.state_dict())
            students[0].key = fingerprint("continued", students[0].key, begin.key)
        for note in students[0].notes:
            self.warn(note)
        loop = self.options if epochs is None else self.options.model_copy(update={"num_train_epochs": epochs})
        task = train.Fit(
            *(first, labelled, loop, start, self.stages.folder, self.validation_loss, self.progress),
            encode=self._readings.of,
            warn=self.warn,
            joint=joint,
        )
        said = {} if options is None else options.model_dump()
        self.fits[first] = fitted(self.stages, students, objectives, task, said, self.validated_on)
        self._hearing.names |= {student.key: name for name, student in zip(objectives, students, strict=True)}
        return students

    def with_gold(self, labelled: Labelled, weight: float) -> Labelled:
        """A training set of the pool, its gold items told by gold instead; gold outside the pool joins at the end.

        Each gold item counts `weight` times a pool item; 0 leaves gold out of training and to its other purposes.
        """
        part = self.gold.part("train")
        known = set(part.ids)
        if not weight or not known:
            return labelled
        rest = [row for row, item in enumerate(labelled.items.ids) if item not in known]
        return labelled.select(rest) + self.gold_labelled(weight)

    def gold_labelled(self, weight: float = 1.0) -> Labelled:
        """The training set of gold alone: the part of gold that serves training."""
        part = self.gold.part("train")
        if self.answers is not None:
            items = self.gold_items.select(self.gold_items.rows(part.ids))
            told = from_texts(items, [{text: 1.0} for text in self._texts(items)])
            return replace(told, weight=torch.full((len(items),), weight))
        return from_gold(self.gold_items.select(self.gold_items.rows(part.ids)), part.labels, len(self.space), weight)

    def _texts(self, items: Items) -> list[str]:
        """The references of gold or validation items; none where there are classes."""
        return [] if self.answers is None else column(items.columns, REFERENCE, "Gold of open answers")

    def stage(self, name: str, key: str, build: Callable[[Path], None]) -> Path:
        """The folder of a stage of a method's own, finished now or before: `stages.Stages.done`."""
        return self.stages.done(name, key, build)

    def warn(self, sentence: str) -> None:
        """Say once, here and in the report, what a person should know."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def note(self, sentence: str) -> None:
        """Say once in the report what the method decided by itself."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _held_out(self, given: tuple[Items, Tensor] | None) -> Validation | None:
        """What fits are validated on: what was given, else the gold part `stop`, where one is reserved."""
        if given is None and "stop" in self.gold.reserve:
            part = self.gold.part("stop")
            given = self.gold_items.select(self.gold_items.rows(part.ids)), part.labels
        if given is not None:
            return Validation(*given, None if self.answers is None else self._texts(given[0]))
        if self.options.early_stopping_patience is not None:
            raise RunError(
                "train.early_stopping_patience needs something to validate on: give data.validation, or reserve gold "
                "with gold.reserve: {stop: 20}."
            )
        return None

    @property
    def validated_on(self) -> str:
        """A fingerprint of the validation items; empty where there are none."""
        return "" if self._validation is None else self._validation.key

    @property
    def validation_loss(self) -> Callable[[Student], float] | None:
        """How far a student is from the validation items; None where there are none."""
        held = self._validation
        if held is None:
            return None
        return lambda student: held.loss(student, lambda items: self._hearing.answer(student, items, "student"))
