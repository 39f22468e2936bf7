"""The worlds of `worlds`: pictures and texts, and three to five teachers some of which are wrong in a known way.

Knows files, splits and how teachers are made: they never see an item of the pool or of the test set. Knows nothing of
methods.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distrust.data import Items, concatenate, load_items
from distrust.evidence import Cost, Evidence
from distrust.files import fingerprint
from distrust.labelled import from_gold
from distrust.labels import LabelSpace
from distrust.modules import seeded
from distrust.recipe import NgramStudent, Train
from distrust.run import Run
from distrust.students import Student, answer, ngram
from distrust.students.module import ModuleStudent
from distrust.teachers.module import ModuleTeacher
from distrust.workshop import exchanged, forgotten, pairwise, symmetric

SHARE, RATE, WEAK = 0.6, 0.6, 12  # of classes exchanged; of labels that are noise; a weak teacher has a twelfth of the items


@dataclass(frozen=True)
class Split:
    """One set: items that teachers learn from, the student's pool, test items; each with its labels."""

    space: LabelSpace
    taught: Items
    taught_labels: Tensor
    pool: Items
    truth: Tensor
    test: Items
    test_labels: Tensor


Told = list[Tensor | int]  # what each teacher is told: labels (N,) of the items that all learn from, or whom it copies


def all_good(truth: Tensor, classes: int, seed: int) -> Told:
    """Three that learned the truth, from other initial weights."""
    return [truth] * 3


def random_noise(truth: Tensor, classes: int, seed: int) -> Told:
    """Two good ones, and one that learned labels of which 60 % are any other class."""
    return [truth, truth, symmetric(truth, classes, RATE, seed)]


def exchanges(truth: Tensor, classes: int, seed: int) -> Told:
    """Two good ones, and one that exchanges 60 % of the classes in pairs."""
    return [truth, truth, exchanged(truth, classes, SHARE, seed)]


def two_exchange(truth: Tensor, classes: int, seed: int) -> Told:
    """A good one, and two that exchange 60 % of the classes, each other pairs."""
    return [truth, exchanged(truth, classes, SHARE, 2 * seed), exchanged(truth, classes, SHARE, 2 * seed + 1)]


def clones(truth: Tensor, classes: int, seed: int) -> Told:
    """Two good ones, and three that copy a weak one."""
    return [truth, truth, -1, -1, -1]


def adversary(truth: Tensor, classes: int, seed: int) -> Told:
    """Two good ones, and one that learned the next class everywhere."""
    return [truth, truth, pairwise(truth, classes, 1.0, seed)]


def different_classes(truth: Tensor, classes: int, seed: int) -> Told:
    """Two strong on one half of the classes and guessing on the other, and one the other way round."""
    lost = torch.randperm(classes, generator=torch.Generator().manual_seed(seed)) < classes // 2
    return [forgotten(truth, classes, side, 3 * seed + turn) for turn, side in enumerate((lost, ~lost, lost))]


WORLDS: dict[str, Callable[[Tensor, int, int], Told]] = {
    "all_good": all_good,
    "random_noise": random_noise,
    "exchanges": exchanges,
    "two_exchange": two_exchange,
    "clones": clones,
    "adversary": adversary,
    "different_classes": different_classes,
}


def digits(seed: int) -> Split:
    """scikit-learn's 1,797 digits: 600 for teachers, 500 of the pool, 697 to test on."""
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    items = Items(tuple(f"d{row}" for row in range(len(labels))), torch.from_numpy(inputs).float() / 16)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return _split(LabelSpace(tuple("0123456789")), items, torch.from_numpy(labels), order, 600, 500)


def texts(table: str, test: str, label: str, taught: int, pool: int, seed: int) -> Split:
    """A table of texts cut in two, one half for teachers and one for the pool, and its own test table."""
    found, judged = _read(table), _read(test)
    space = LabelSpace(tuple(sorted({str(one) for one in found.columns[label]})))
    labels, answers = (torch.tensor([space.index(str(one)) for one in items.columns[label]]) for items in (found, judged))
    order = torch.tensor(random.Random(f"{table}/{seed}").sample(range(len(found)), len(found)))
    split = _split(space, Items(found.ids, found.inputs), labels, order, taught, pool)
    return replace(split, test=Items(judged.ids, judged.inputs), test_labels=answers)


def trec(seed: int) -> Split:
    """TREC's six kinds of question: 2,500 for teachers, 2,500 of the pool, 500 to test on."""
    folder = "sentence_classification"
    return texts(f"{folder}/trec_raw_train", f"{folder}/trec_raw_test", "coarse", 2500, 2500, seed)


def clinc150(seed: int) -> Split:
    """CLINC150's 150 intents: 6,000 for teachers, 3,000 of the pool, 4,500 to test on."""
    return texts("clinc150/train", "clinc150/test", "label", 6000, 3000, seed)


def mnist(seed: int) -> Split:
    """MNIST shrunk to 14 x 14: 3,000 for teachers, 2,000 of the pool, 3,000 of its test set."""
    import io
    import lzma

    import numpy as np

    packed = (Path(os.environ["DISTRUST_DATA"]) / "mnist" / "mnist.npz.xz").read_bytes()
    found = np.load(io.BytesIO(lzma.decompress(packed)))

    def small(part: str, rows: Tensor) -> tuple[Items, Tensor]:
        pictures = torch.from_numpy(found[f"x_{part}"])[rows].float().unsqueeze(1) / 255  # (n, 1, 28, 28)
        shrunk = nn.functional.avg_pool2d(pictures, 2).flatten(1)
        labels = torch.from_numpy(found[f"y_{part}"])[rows].long()
        return Items(tuple(f"{part}{row}" for row in rows.tolist()), shrunk), labels

    order = torch.randperm(60000, generator=torch.Generator().manual_seed(seed))
    items, labels = small("train", order[:5000])
    split = _split(LabelSpace(tuple("0123456789")), items, labels, torch.arange(5000), 3000, 2000)
    test, answers = small("test", torch.arange(3000))
    return replace(split, test=test, test_labels=answers)


SETS: dict[str, Callable[[int], Split]] = {"digits": digits, "trec": trec, "clinc150": clinc150, "mnist": mnist}
PICTURES = ("digits", "mnist")


def labellers(seed: int) -> World:
    """Ten weak labellers of YouTube comments, who may abstain: real ones, on 1,586 comments; 250 to test on."""
    table, judged = (_read(f"youtube_spam_weak/{part}") for part in ("train", "test"))
    space = LabelSpace(("ham", "spam"))
    truth, answers = (torch.tensor([int(one) for one in items.columns["label"]]) for items in (table, judged))
    said = torch.tensor([[int(one) for one in row] for row in table.columns["weak_labels"]]).T  # (10, N)
    pool, test = (
        Items(tuple(f"{part}{row}" for row in range(len(items))), items.inputs)
        for part, items in (("c", table), ("t", judged))
    )
    teachers = [Said(f"labeller {place + 1}", space, pool, claims) for place, claims in enumerate(said)]
    narrow = NgramStudent()
    idf = ngram.inverse_frequencies(narrow, pool)
    nobody = pool.select([])
    split = Split(space, nobody, truth[:0], pool, truth, test, answers)
    return World(split, teachers, lambda start: ngram.build(narrow, space, start, pool, idf))


class Said:
    """A labeller whose claims (N,) on some items are known; of others it has nothing to say."""

    keeps_answers = True

    def __init__(self, name: str, space: LabelSpace, items: Items, claims: Tensor) -> None:
        self.name, self.space, self.fingerprint = name, space, fingerprint("said", name, items.key, claims)
        self._claims = dict(zip(items.ids, claims.tolist(), strict=True))

    def ask(self, items: Items) -> Evidence:
        return Evidence(self.name, items.ids, self.space, torch.tensor([[self._claims.get(one, -1) for one in items.ids]]))


class Asked:
    """A trained student as a teacher: its claims and logits."""

    keeps_answers = False

    def __init__(self, name: str, student: Student) -> None:
        self.name, self.space, self.fingerprint, self._student = name, student.space, student.key, student

    def ask(self, items: Items) -> Evidence:
        found = answer(self._student, items, 256, self.name)
        return replace(found, cost=Cost.free(len(items)))


@dataclass(frozen=True)
class World:
    """A split with its teachers and a student to be."""

    split: Split
    teachers: list[Any]
    new_student: Callable[[int], Student]


def world(name: str, kind: str, seed: int, folder: Path) -> World:
    """A set and a world; its teachers are trained in `folder`, or read from there."""
    if kind == "labellers":
        return labellers(seed)
    split = SETS[name](seed)
    grown, small = _makers(name, split)
    told = WORLDS[kind](split.taught_labels, len(split.space), seed)
    run = Run(
        folder,
        space=split.space,
        pool=split.taught,
        teachers=[],
        new_student=grown,
        options=Train(num_train_epochs=60 if name in PICTURES else 10),
        seed=seed,
    )
    with closing(run):
        weak: Tensor | None = None
        teachers = []
        for place, labels in enumerate(told):
            if isinstance(labels, int):  # a copy of the weak one: it learns what that one says
                weak = _weak(run, split, seed) if weak is None else weak
                labels = weak
            told_items = from_gold(split.taught, labels, len(split.space))
            student = run.fit(f"teacher-{place}", told_items, seed=1000 * (seed + 1) + place)
            teachers.append(_teacher(f"teacher {place + 1}", student))
    return World(split, teachers, small)


def _weak(run: Run, split: Split, seed: int) -> Tensor:
    """What a teacher of a twelfth of the items says of all: (N,)."""
    few = max(len(split.taught) // WEAK, 2 * len(split.space))
    rows = list(range(min(few, len(split.taught))))
    told = from_gold(split.taught.select(rows), split.taught_labels[rows], len(split.space))
    student = run.fit("weak", told, seed=1000 * (seed + 1) + 999)
    return run.ask(student, split.taught).claims[0]


def _teacher(name: str, student: Student) -> Any:
    if isinstance(student, ModuleStudent):
        return ModuleTeacher(name, student.module, student.space, features={"feature": "2.input"}, heads={"feature": ["2"]})
    return Asked(name, student)


def _makers(name: str, split: Split) -> tuple[Callable[[int], Student], Callable[[int], Student]]:
    """Makers of teachers and of students."""
    if name in PICTURES:
        size = split.pool.inputs.shape[1]  # type: ignore[union-attr]
        return tuple(partial(_network, size=size, width=width, space=split.space) for width in (128, 32))  # type: ignore[return-value]
    both = concatenate(split.taught, split.pool)
    wide, narrow = NgramStudent(dimension=64), NgramStudent()
    idf = {one.dimension: ngram.inverse_frequencies(one, items) for one, items in ((wide, both), (narrow, split.pool))}
    return (
        lambda seed: ngram.build(wide, split.space, seed, both, idf[wide.dimension]),
        lambda seed: ngram.build(narrow, split.space, seed, split.pool, idf[narrow.dimension]),
    )


def _network(seed: int, size: int, width: int, space: LabelSpace) -> ModuleStudent:
    with seeded(seed):
        module = nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, len(space)))
    return ModuleStudent(module, space, default_learning_rate=1e-2 if width < 100 else 3e-3)


def _split(space: LabelSpace, items: Items, labels: Tensor, order: Tensor, taught: int, pool: int) -> Split:
    parts = [order[:taught], order[taught : taught + pool], order[taught + pool :]]
    cut = [(items.select(rows), labels[rows]) for rows in parts]
    return Split(space, *cut[0], *cut[1], *cut[2])


def _read(table: str) -> Items:
    return load_items(str(Path(os.environ["DISTRUST_DATA"]) / f"{table}.parquet"), text="text")
