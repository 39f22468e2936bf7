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
from benchmarks._reasoning import Family
from benchmarks._reasoning_models import MOST, items_of, save_tokenizer, size, told, trained_until
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
REPEATED = 0.9  # of the questions, by a model that has read enough
STUDENT = (64, 3)  # width and layers
MADE_BY = (  # of the package, what decides what a fit and its texts come to
    *("train.py", "optim.py", "objective.py", "distillation.py", "labelled.py", "rows.py", "losses/divergence.py"),
    *("answers.py", "students/causal.py", "students/completions.py", "students/sampling.py"),
)


@dataclass(frozen=True)
class Taught:
    """A writer that learns gold chains of made questions, none of them of the pool or the test, until it is `right` often.

    It writes at the highest temperature at which it still is: it is to err as often as is wanted.
    """

    width: int
    layers: int
    questions: int
    passes: int  # over them, again and again until it is right
    right: float


@dataclass(frozen=True)
class Upbringing:
    """Who a family's models are. Each first reads unlabelled questions until it can repeat others."""

    read: int
    passes: int  # over them, again and again until it can
    assistant: Taught
    teacher: Taught | None = None  # None: the answers are recorded
    parts: int = 6  # so often at most


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
        how = Upbringing(100, 1, how.assistant, parts=1)
        wrong = {"teacher": 3, "assistant": 5}  # every third and every fifth says what is true of another question
        columns |= {who: [pool[row - (not row % every)].chain for row in range(len(pool))] for who, every in wrong.items()}
    known_by = [asdict(how), [one.text for one in pool], [asdict(one) for one in family.questions(50, UNLABELLED)]]
    here = KEPT / f"{family.name}-{fingerprint(*known_by, family.longest, program())[:12]}"
    home = _Home(family, how, here, apart)
    student = _read(home, (32, 2) if smaller else STUDENT)
    if not smaller:
        columns["assistant"] = _written(home, how.assistant, "assistant", items, SAMPLES)
        columns["teacher"] = [text for _, text in family.recorded]
        if how.teacher is not None:
            said = _written(home, how.teacher, "teacher", items, 1)
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


@dataclass(frozen=True)
class _Home:
    """Where a family's models grow up."""

    family: Family
    how: Upbringing
    here: Path
    apart: frozenset[str]  # questions that nobody may see before


def _read(home: _Home, shape: tuple[int, int]) -> Path:
    """A model that has read questions: it repeats each, which takes copying, and no answer is shown."""
    family, how = home.family, home.how
    questions = family.questions(how.read, UNLABELLED, home.apart)
    tried = family.questions(TRIED, TRIED_SEED, home.apart)
    tokenizer = home.here / "tokenizer"
    if not tokenizer.is_dir():
        save_tokenizer([f"{one.text} {one.chain}" for one in questions], tokenizer)
    folder = home.here / f"read-{shape[0]}-{shape[1]}"
    options = options_of(folder, family, config=size(*shape), tokenizer=str(tokenizer), max_completion_length=MOST)
    loop = Train(num_train_epochs=how.passes, learning_rate=2e-3, per_device_train_batch_size=16, warmup_ratio=0.05)

    def repeats(model: causal.CausalStudent) -> bool:
        said = generate(model, items_of(tried)).texts
        share = sum(text == one.text for (text,), one in zip(said, tried, strict=True)) / len(tried)
        print(f"{family.name}: a reader of {shape[0]} by {shape[1]} repeats {share:.2f}", flush=True)
        return share >= REPEATED

    lesson = told(items_of(questions), [one.text for one in questions])
    return trained_until(repeats, how.parts, folder, options, family.answer, lesson, loop)


def _written(home: _Home, who: Taught, name: str, items: Items, samples: int) -> list[list[str]]:
    """What a taught writer says of items, as often right as is wanted of it."""
    kept = home.here / f"{name}.says.json"
    if not kept.is_file():
        model = causal.load(_taught(home, who, name, samples))
        low, high = _lowest(samples), 2.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            enough = _tried(home, model, samples, middle) >= who.right
            low, high = (middle, high) if enough else (low, middle)
        write_json(kept, generate(model, items, samples=samples, temperature=low).texts)
        print(f"{home.family.name}: the {name} writes at {low:.2f}", flush=True)
    found: list[list[str]] = read_json(kept)
    return found


def _taught(home: _Home, who: Taught, name: str, samples: int) -> Path:
    """A reader that has learned gold chains until it is right often enough."""
    family = home.family
    start = _read(home, (who.width, who.layers))
    seen = home.apart | {one.text for one in family.questions(home.how.read, UNLABELLED, home.apart)}
    questions = family.questions(who.questions, TAUGHT_SEED + (name == "teacher"), seen)
    loop = Train(num_train_epochs=who.passes, learning_rate=2e-3, per_device_train_batch_size=16, warmup_ratio=0.1)

    def enough(model: causal.CausalStudent) -> bool:
        share = _tried(home, model, samples, _lowest(samples))
        print(f"{family.name}: the {name} is right {share:.2f}", flush=True)
        return share >= who.right

    lesson = told(items_of(questions), [one.chain for one in questions])
    where = home.here / name
    return trained_until(enough, home.how.parts, where, options_of(start, family), family.answer, lesson, loop)


def _lowest(samples: int) -> float:
    """The lowest temperature at which a writer is asked: samples that are all alike would agree about everything."""
    return 0.2 if samples > 1 else 0.0


def _tried(home: _Home, model: causal.CausalStudent, samples: int, temperature: float) -> float:
    """How often most of a writer's samples are right, of questions that are nobody's else."""
    tried = home.family.questions(TRIED, TRIED_SEED, home.apart)
    said = generate(model, items_of(tried, "w"), samples=samples, temperature=temperature).texts
    return _right(Answers(home.family.answer), said, [one.answer for one in tried])


def _right(answers: Answers, texts: list[list[str]], gold: list[str]) -> float:
    """Share of the items of which most of the answers that can be read are the gold one."""
    read = [Counter(answer for text in each if (answer := answers.read(text)) is not None) for each in texts]
    most = [max(one, key=lambda answer: one[answer], default=None) for one in read]
    return sum(one == answers.reference(wanted) for one, wanted in zip(most, gold, strict=True)) / len(gold)
