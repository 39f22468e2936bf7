"""What sources say in a run: each asked once about an item, and what it said kept.

Knows which sources keep their own answers, which go into the evidence store, and which are stages. Knows nothing of why
anybody is asked, or whom to believe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import cast

from distrust.answers import Answers
from distrust.data import Items
from distrust.errors import RunError
from distrust.evidence import Evidence, join
from distrust.evidence_store import EvidenceStore
from distrust.files import file_name, fingerprint
from distrust.processes import count, rank, wait
from distrust.readings import Readings
from distrust.stages import Stages
from distrust.store import load_evidence, save_evidence
from distrust.students import Student, answer
from distrust.students.causal import writer
from distrust.students.sampling import Sampling, answer_texts
from distrust.teachers import Teacher


class Hearing:
    """The asking of a run.

    Args:
        folder: the run's.
        store: where what local teachers say is kept, by item.
        stages: where what students say is kept, and teachers of open answers.
        answers: how texts are read where answers are open; None where there are classes.
        readings: items as students read them.
        rows: of a batch.
    """

    def __init__(
        self, folder: Path, store: EvidenceStore, stages: Stages, answers: Answers | None, readings: Readings, rows: int
    ) -> None:
        self.store, self._folder, self._stages = store, folder, stages
        self._answers, self._readings, self._rows = answers, readings, rows
        self._asked: dict[str, set[str]] = {}  # teacher: items
        self.heard: dict[str, dict[str, Evidence]] = {}  # teacher: items' key: what it said of them in this run
        self.names: dict[str, str] = {}  # key of a trained student: what the method calls it

    def of(self, teacher: str) -> list[Evidence]:
        """What a teacher has said in this run, as one; nothing where it was not asked."""
        said = self.heard.get(teacher, {})
        return [join(list(said.values()))] if said else []

    def ask(self, source: Teacher | Student, items: Items, sampling: Sampling | None = None) -> Evidence:
        """Ask a teacher or a trained student: `run.Run.ask`."""
        if not hasattr(source, "ask"):
            return self._ask_student(source, items, sampling or Sampling())
        teacher = cast(Teacher, source)
        new = self._new(teacher.name, items)
        if 0 < len(new) < len(items) and (teacher.keeps_answers or self._answers is None):
            self._hear(teacher, items.select(new))  # alone: notes count over a set, so the others' would be counted twice
        return self._hear(teacher, items)

    def _hear(self, teacher: Teacher, items: Items) -> Evidence:
        """What it says of items, kept for the report."""
        if teacher.keeps_answers:
            said = teacher.ask(items) if count() == 1 else self._shared(teacher, items)
        elif self._answers is None:
            said = self.store.ask(teacher, items)
        else:
            said = self._kept(teacher.name, teacher.fingerprint, items, lambda: teacher.ask(items))
        self.heard.setdefault(teacher.name, {})[items.key] = said
        return said

    def _new(self, teacher: str, items: Items) -> list[int]:
        """Rows of the items of which a teacher was not asked yet; now it is."""
        known = self._asked.setdefault(teacher, set())
        new = [row for row, item in enumerate(items.ids) if item not in known]
        known.update(items.ids)
        return new

    def passes(self, teacher: Teacher, items: Items, passes: int, seed: int) -> Evidence:
        """A local teacher with its dropout on: `run.Run.passes`."""
        ask = getattr(teacher, "passes", None)
        if ask is None:
            raise RunError(f"{teacher.name} is no local model, so it has no dropout passes; use the score entropy.")
        key = fingerprint("passes", teacher.fingerprint, passes, seed)
        return self._kept(f"{teacher.name}-passes", key, items, lambda: ask(items, passes, seed))

    def answer(self, student: Student, items: Items, name: str) -> Evidence:
        """What a student of classes says now; kept nowhere."""
        return answer(student, items, self._rows, name, self._readings.of(student, items))

    def _ask_student(self, student: Student, items: Items, how: Sampling) -> Evidence:
        name = self.names.get(student.key, "student")
        if self._answers is None:
            return self._kept(name, student.key, items, lambda: self.answer(student, items, name))
        key = fingerprint(student.key, asdict(how))
        return self._kept(name, key, items, lambda: answer_texts(writer(student), items, how, name, self._rows))

    def _kept(self, name: str, key: str, items: Items, ask: Callable[[], Evidence]) -> Evidence:
        """Evidence kept as a stage: who was asked (by fingerprint) about which items decides its key."""
        folder = self._stages.done(
            f"ask-{name}", fingerprint("ask", name, key, items.key), lambda here: save_evidence(ask(), here)
        )
        return load_evidence(folder)

    def _shared(self, teacher: Teacher, items: Items) -> Evidence:
        """What rank 0 was answered, for all processes: only one of them may buy."""
        folder = self._folder / "shared" / f"{file_name(teacher.name)}-{fingerprint(teacher.name)[:16]}"
        if rank() == 0:
            save_evidence(teacher.ask(items), folder)
        wait()
        evidence = load_evidence(folder)
        wait()  # until every process has read it, the folder must not change
        return evidence
