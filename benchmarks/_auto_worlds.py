"""The worlds of `auto`: those of `peer_advised`, `worlds` and `muka`, and one answered in words, as runs and test items.

Knows where each world comes from, how its students are made there, and how they are judged. Knows nothing of methods.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import _noisy_worlds, _specialists, _worlds
from benchmarks._words import tokenizer
from distrust.answers import Answers
from distrust.data import REFERENCE, Items
from distrust.gold import Gold
from distrust.labels import OPEN
from distrust.methods.assisted import outcomes
from distrust.recipe import Answer, CausalStudent, NgramStudent, Recorded, Train
from distrust.run import Run
from distrust.students import Student, causal, ngram
from distrust.students.module import ModuleStudent
from distrust.teachers.recorded import RecordedTeacher

FEW = {"digits": 100, "mnist": 100, "trec": 200, "clinc150": 450}  # gold labels of several teachers' worlds, as `worlds` has
LOOP = Train(num_train_epochs=12, per_device_train_batch_size=64, learning_rate=3e-3)  # of specialists' students
WRITING = Train(num_train_epochs=10, per_device_train_batch_size=32, learning_rate=2e-3)  # of those who write
WORDS = 3000  # that a writer knows, the most common ones
SAID = "said"
DEVELOPMENT = ("r52", "trec", "clinc150", "digits")


@dataclass(frozen=True)
class Row:
    """One world: `one` teacher that is wrong in a known way, `several`, `specialists`, or `open` answers."""

    kind: str
    set: str
    about: str  # noise and its amount, the world, or how many specialists
    gold: int = 50  # of one teacher's worlds and of open answers; 0: none

    @property
    def name(self) -> str:
        return ".".join([self.set, self.about] + ([] if self.gold == 50 else [f"gold{self.gold}"]))

    @property
    def closing(self) -> bool:
        """Whether it is opened for the closing figures alone."""
        return self.set not in DEVELOPMENT


@dataclass(frozen=True)
class Opened:
    """A run of a world, and what its students are judged on."""

    run: Run
    test: Items
    labels: Tensor | None = None  # (T,); None: answers are open, and the items have references

    def right(self, student: Student) -> list[bool]:
        """On which of T test items a student is right."""
        said = self.run.ask(student, self.test)
        found = said.claims[0] == self.labels if self.labels is not None else outcomes(self.run, said, self.test).bool()
        right: list[bool] = found.tolist()
        return right


def opened(row: Row, seed: int, folder: Path) -> Opened:
    """The row's run in a folder, to be closed by the caller."""
    return {"one": _one, "several": _several, "specialists": _merged, "open": _written}[row.kind](row, seed, folder)


def _one(row: Row, seed: int, folder: Path) -> Opened:
    teacher, _, amount = row.about.partition(" ")
    here = _noisy_worlds.world(row.set, teacher, int(amount or 0), seed)
    plain = NgramStudent()
    idf = ngram.inverse_frequencies(plain, here.pool)
    order = torch.randperm(len(here.pool), generator=torch.Generator().manual_seed(seed))
    rows = order[: row.gold]
    run = Run(
        folder / "run",
        space=here.space,
        pool=here.pool,
        teachers=[_noisy_worlds.Said(here)],
        new_student=lambda start: ngram.build(plain, here.space, start, here.pool, idf),
        gold=Gold(tuple(here.pool.ids[row] for row in rows.tolist()), here.truth[rows], here.space),
        seed=seed,
    )
    return Opened(run, here.test, here.test_labels)


def _several(row: Row, seed: int, folder: Path) -> Opened:
    here = _worlds.world(row.set, row.about, seed, folder / "teachers")
    split, pictures = here.split, row.set in _worlds.PICTURES
    drawn = torch.randperm(len(split.pool), generator=torch.Generator().manual_seed(seed))[: FEW[row.set]]
    run = Run(
        folder / "run",
        space=split.space,
        pool=split.pool,
        teachers=here.teachers,
        new_student=here.new_student,
        gold=Gold(tuple(split.pool.ids[row] for row in drawn.tolist()), split.truth[drawn], split.space),
        options=Train(num_train_epochs=60 if pictures else 10, per_device_train_batch_size=64 if pictures else 32),
        seed=seed,
    )
    return Opened(run, split.test, split.test_labels)


def _merged(row: Row, seed: int, folder: Path) -> Opened:
    here = _specialists.world(row.set, int(row.about.split(" ")[0]), seed)
    width, rows = here.pool.inputs.shape[1], here.gold.tolist() if row.gold else []  # type: ignore[union-attr]
    run = Run(
        folder / "run",
        space=here.space,
        pool=here.pool,
        teachers=here.teachers,
        new_student=lambda start: ModuleStudent(_specialists.network(width, len(here.space), 7 + start), here.space),
        gold=Gold(tuple(here.pool.ids[row] for row in rows), here.truth[rows], here.space),
        options=LOOP,
        seed=seed,
    )
    return Opened(run, here.test, here.test_labels)


def _written(row: Row, seed: int, folder: Path) -> Opened:
    """As `_one`, but for the answers: the classes' names are words, which a small language model learns to write."""
    teacher, amount, *_ = row.about.split()
    here = _noisy_worlds.world(row.set, teacher, int(amount), seed)
    answers, names = Answers(Answer(kind="short")), here.space.names
    common = Counter(word for text in here.pool.inputs for word in str(text).split()).most_common(WORDS)
    words = tokenizer((*names, *sorted({word for word, _ in common} - set(names))))
    said = {SAID: [names[claim] for claim in here.claims.tolist()], REFERENCE: [names[one] for one in here.truth.tolist()]}
    pool = Items(here.pool.ids, here.pool.inputs, said)
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
    vouched = pool.select(order[: row.gold].tolist())
    run = Run(
        folder / "run",
        space=None,
        answers=answers,
        pool=pool,
        teachers=[RecordedTeacher(Recorded(kind="recorded", name="teacher", column=SAID), OPEN, pool, answers)],
        new_student=lambda start: causal.build(_writer(words), answers, start, pool),
        gold=Gold(vouched.ids, torch.zeros(len(vouched), dtype=torch.long), OPEN),
        gold_items=vouched,
        options=WRITING,
        seed=seed,
    )
    judged = {REFERENCE: [names[one] for one in here.test_labels.tolist()]}
    return Opened(run, Items(here.test.ids, here.test.inputs, judged))


def _writer(words: str) -> CausalStudent:
    config = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2}
    config |= {"num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 64}
    lengths = {"max_prompt_length": 48, "max_completion_length": 4}
    return CausalStudent(kind="causal", config=config, tokenizer=words, template="{prompt}", **lengths)
