"""A language model that knows a toy task, students half its size, and runs in which one learns from the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from distrust.answers import Answers
from distrust.data import REFERENCE, Items
from distrust.gold import Gold
from distrust.labels import OPEN
from distrust.recipe import Answer, Recorded, Train
from distrust.run import Run
from distrust.students import Student
from distrust.students.causal import CausalStudent, build
from distrust.students.sampling import Sampling
from distrust.teachers.local_writer import LocalWriter
from distrust.teachers.recorded import RecordedTeacher
from tests import writers

LOOP = Train(num_train_epochs=2, per_device_train_batch_size=16, learning_rate=5e-3, save_seconds=1e9)
HOW = Answers(Answer(kind="yes_no"))
SMALL = {**writers.LLAMA, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_key_value_heads": 4}


def pool(count: int = 48) -> Items:
    items, answers = writers.flips(count)
    return Items(items.ids, items.inputs, {"completion": tuple(answers)})


def judged(count: int = 24) -> Items:
    """Test items with their references."""
    items, answers = writers.flips(count, seed=5)
    return Items(tuple(f"t{row}" for row in range(count)), items.inputs, {REFERENCE: tuple(answers)})


def student(seed: int = 0, kind: str = "small", **more: object) -> CausalStudent:
    """Untrained, its tokenizer the teacher's: made of the same prompts."""
    options = writers.options("llama" if kind == "small" else kind, **more)
    if kind == "small":
        options = options.model_copy(update={"config": SMALL})
    return build(options, HOW, seed, writers.flips(60)[0])


@cache
def _trained(kind: str) -> dict[str, torch.Tensor]:
    """Weights of a teacher after some steps on the task."""
    items, answers = writers.flips(400, seed=9)
    teacher = build(writers.options(kind), HOW, 3, writers.flips(60)[0])
    read = teacher.encode_told(items, answers)
    optimiser = torch.optim.AdamW(teacher.module.parameters(), 5e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(60):
        batch = read.batch(torch.randint(len(items), (32,), generator=order))
        loss = torch.nn.functional.cross_entropy(teacher.logits(batch).flatten(0, 1), batch["labels"].flatten())
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return teacher.module.state_dict()


def teacher(kind: str = "llama", name: str = "big") -> LocalWriter:
    made = build(writers.options(kind), HOW, 3, writers.flips(60)[0])
    made.module.load_state_dict(_trained(kind))
    made.module.eval()
    return LocalWriter(name, made, Sampling())


@contextmanager
def opened(
    folder: Path, asked: LocalWriter, loop: Train = LOOP, recorded: bool = True, gold: int = 0, kind: str = "small"
) -> Iterator[Run]:
    items = pool()
    said = Recorded(kind="recorded", name="texts", column="completion")
    texts = [RecordedTeacher(said, OPEN, items, HOW)] if recorded else []
    chosen = items.select(range(gold))
    known = Items(chosen.ids, chosen.inputs, {REFERENCE: chosen.columns["completion"]})

    def new_student(seed: int) -> Student:
        return student(seed, "small" if kind == "llama" else kind)

    run = Run(
        folder,
        space=None,
        answers=HOW,
        pool=items,
        teachers=[*texts, asked],
        new_student=new_student,
        gold=Gold(chosen.ids, torch.zeros(gold, dtype=torch.long), OPEN),
        gold_items=known,
        options=loop,
    )
    try:
        yield run
    finally:
        run.close()
