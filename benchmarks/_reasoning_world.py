"""A reasoning family as a student meets it: a pool with a teacher's and an assistant's answers, and a pretrained student.

Knows who is trained on how much, and keeps what is trained and written under the program's `runs/`, so that it is made once.
Knows no budgets or methods. No student sees an answer of the pool but through a teacher.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import distrust
from benchmarks._reasoning import Family, Question
from benchmarks._reasoning_models import MOST, items_of, save_tokenizer, size, told, trained
from distrust.answers import Answers
from distrust.data import REFERENCE, Items
from distrust.files import fingerprint, read_json, write_json
from distrust.recipe import CausalStudent, Train
from distrust.students import causal
from distrust.students.sampling import generate

KEPT = Path(__file__).parents[1] / "runs" / "benchmarks" / "reasoning"
POOL, TEST, TRIED, SAMPLES = 1000, 200, 100, 5
UNLABELLED, TEST_SEED, POOL_SEED, TAUGHT_SEED, TRIED_SEED = 1, 2, 3, 4, 6  # seeds of questions
HALVINGS = 5  # of the temperatures up to 2 between which a writer's is sought
STUDENT = (64, 3)  # width and layers
MADE_BY = (  # of the package, what decides what a fit and its texts come to
    *("train.py", "optim.py", "objective.py", "distillation.py", "labelled.py", "rows.py", "losses/divergence.py"),
    *("answers.py", "students/causal.py", "students/completions.py", "students/sampling.py"),
)


@dataclass(frozen=True)
class Taught:
    """A writer that has learned some gold chains of made questions, none of them of the pool or the test.

    It writes at the temperature at which it is `right` that often, or at a low one where it never is, to err as is wanted.
    """

    width: int
    layers: int
    questions: int
    epochs: int
    right: float


@dataclass(frozen=True)
class Upbringing:
    """Who a family's models are: `read` unlabelled questions, in so many epochs, come before anything else."""

    read: int
    epochs: int
    assistant: Taught
    teacher: Taught | None = None  # None: the answers are recorded


@dataclass(frozen=True)
class World:
    """A pool with columns `teacher` (a text each), `assistant` (several) and `gold` (an answer), a test set, a student."""

    family: Family
    pool: Items
    test: Items
    student: Path  # a folder to start from

    def right(self, who: str) -> float:
        """How often a column's text, or most of its texts, give the gold answer."""
        texts = [[one] if isinstance(one, str) else one for one in self.pool.columns[who]]
        return _right(Answers(self.family.answer), texts, self.pool.columns["gold"])


def world(family: Family, how: Upbringing, smaller: bool = False) -> World:
    """A family's world, made now or before. `smaller`: no models but a tiny student, for looking whether all runs."""
    pool = [one for one, _ in family.recorded] or family.questions(100 if smaller else POOL, POOL_SEED)
    known = frozenset(one.text for one in pool)
    test = family.questions(50 if smaller else TEST, TEST_SEED, known)
    apart = known | {one.text for one in test}
    items = items_of(pool, "p")
    columns: dict[str, list[Any]] = {"gold": [f"So the answer is {one.answer}." for one in pool]}
    if smaller:
        how = Upbringing(100, 1, how.assistant)
        wrong = {"teacher": 3, "assistant": 5}  # every third and every fifth says what is true of another question
        columns |= {who: [pool[row - (not row % every)].chain for row in range(len(pool))] for who, every in wrong.items()}
    known_by = [asdict(how), [one.text for one in pool], [asdict(one) for one in family.questions(50, UNLABELLED)]]
    here = KEPT / f"{family.name}-{fingerprint(*known_by, family.longest, program())[:12]}"
    student = _read(family, how, (32, 2) if smaller else STUDENT, here, apart)
    if not smaller:
        columns["assistant"] = _written(family, how, how.assistant, "assistant", items, here, apart, SAMPLES)
        columns["teacher"] = [text for _, text in family.recorded]
        if how.teacher is not None:
            said = _written(family, how, how.teacher, "teacher", items, here, apart, 1)
            columns["teacher"] = [one for (one,) in said]
    judged = items_of(test, "t")
    return World(
        family,
        Items(items.ids, items.inputs, columns),
        Items(judged.ids, judged.inputs, {REFERENCE: [one.answer for one in test]}),
        student,
    )


@cache
def program(modules: tuple[str, ...] = MADE_BY) -> str:
    """A fingerprint of some of the package's modules and of the worlds' own, comments aside: a change makes all anew.

    How a family's questions are made is known by its questions, so that one can be changed without the others.
    """
    src, here = Path(distrust.__file__).parent, Path(__file__).parent
    paths = [here / "_reasoning_models.py", Path(__file__), *(src / one for one in modules)]
    return fingerprint([ast.dump(ast.parse(path.read_text(encoding="utf-8"))) for path in paths])


def options_of(folder: Path, family: Family, **more: Any) -> CausalStudent:
    """A writer that goes on from a folder, if it holds one."""
    known = {"kind": "causal", "max_prompt_length": MOST, "max_completion_length": family.longest}
    return CausalStudent.model_validate({**known, **(more or {"model": str(folder)})})


def _read(family: Family, how: Upbringing, shape: tuple[int, int], here: Path, apart: frozenset[str]) -> Path:
    """A model that has read questions: it repeats each, which takes copying, and no answer is shown."""
    questions = family.questions(how.read, UNLABELLED, apart)
    folder = here / f"read-{shape[0]}-{shape[1]}"
    if not (folder / "student.json").is_file():
        texts = [one.text for one in questions]
        tokenizer = save_tokenizer([f"{one.text} {one.chain}" for one in questions], here / "tokenizer")
        options = options_of(folder, family, config=size(*shape), tokenizer=str(tokenizer), max_completion_length=MOST)
        loop = Train(num_train_epochs=how.epochs, learning_rate=2e-3, per_device_train_batch_size=16, warmup_ratio=0.05)
        trained(folder, options, family.answer, told(items_of(questions), texts), loop)
    return folder


def _written(
    family: Family,
    how: Upbringing,
    who: Taught,
    name: str,
    items: Items,
    here: Path,
    apart: frozenset[str],
    samples: int,
) -> list[list[str]]:
    """What a taught writer says of items."""
    kept = here / f"{name}.json"
    if not kept.is_file():
        model = _taught(family, how, who, name, here, apart)
        warm = _temperature(family, model, who.right, samples, apart)
        write_json(kept, generate(model, items, samples=samples, temperature=warm).texts)
        print(f"{family.name}: the {name} writes at {warm:.2f}", flush=True)
    found: list[list[str]] = read_json(kept)
    return found


def _temperature(family: Family, model: causal.CausalStudent, right: float, samples: int, apart: frozenset[str]) -> float:
    """The highest one at which most of a writer's samples are right so often, tried on questions of their own."""
    tried = family.questions(TRIED, TRIED_SEED, apart)
    items, gold, answers = items_of(tried, "w"), [one.answer for one in tried], Answers(family.answer)
    low, high = (0.2 if samples > 1 else 0.0), 2.0  # samples that are all alike would agree about everything
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = _right(answers, generate(model, items, samples=samples, temperature=middle).texts, gold) >= right
        low, high = (middle, high) if enough else (low, middle)
    return low


def _right(answers: Answers, texts: list[list[str]], gold: list[str]) -> float:
    """Share of the items of which most of the answers that can be read are the gold one."""
    read = [Counter(answer for text in each if (answer := answers.read(text)) is not None) for each in texts]
    most = [max(one, key=lambda answer: one[answer], default=None) for one in read]
    return sum(one == answers.reference(wanted) for one, wanted in zip(most, gold, strict=True)) / len(gold)


def _taught(
    family: Family, how: Upbringing, who: Taught, name: str, here: Path, apart: frozenset[str]
) -> causal.CausalStudent:
    start = _read(family, how, (who.width, who.layers), here, apart)
    seen = apart | {one.text for one in family.questions(how.read, UNLABELLED, apart)}
    questions: list[Question] = family.questions(who.questions, TAUGHT_SEED + (name == "teacher"), seen)
    loop = Train(num_train_epochs=who.epochs, learning_rate=2e-3, per_device_train_batch_size=16, warmup_ratio=0.1)
    lesson = told(items_of(questions), [one.chain for one in questions])
    return trained(here / name, options_of(start, family), family.answer, lesson, loop)
