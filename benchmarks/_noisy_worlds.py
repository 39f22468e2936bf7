"""The worlds of `peer_advised`: real texts with gold, and a teacher that is wrong in a known way.

Knows files, splits and how a teacher's claims come about. Knows nothing of methods.
"""

from __future__ import annotations

import os
import random
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from distrust.data import Items, load_items
from distrust.evidence import Evidence
from distrust.files import fingerprint
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods import METHODS
from distrust.methods.gold_only import GoldOnly
from distrust.recipe import NgramStudent, Train
from distrust.run import Run
from distrust.students import ngram
from distrust.workshop import instance_dependent, pairwise, symmetric

POOL, TEST, GOLD, WEAK = 4000, 3000, 50, 300  # at most so many items (R52: all); gold; items apart for a weak teacher
SETS = {  # pool's table, test's table (None: a part of the pool's), text, label
    "r52": ("r52_gpt/train_chatgpt", "r52_gpt/test", "text_norm", "label"),
    "esnli": ("distilling_step_by_step/esnli_valid", "distilling_step_by_step/esnli_test", "premise", "label"),
    "trec": ("sentence_classification/trec_raw_train", "sentence_classification/trec_raw_test", "text", "coarse"),
    "clinc150": ("clinc150/train", "clinc150/test", "text", "label"),
    "banking77": ("banking77/train", "banking77/test", "text", "label"),
    "mr": ("sentence_classification/mr_all", None, "text", "label"),
    "sst5": ("sentence_classification/sst5_train", "sentence_classification/sst5_test", "text", "label"),
    "subj": ("sentence_classification/subj_all", None, "text", "label"),
}
ANSWERS = {"r52": "chatgpt_label", "esnli": "palm_label"}  # the columns of real LLM answers
NOISE = {"symmetric": symmetric, "pairwise": pairwise}


@dataclass(frozen=True)
class World:
    """A pool with a teacher's claims and the truth, gold of it, and test items.

    Args:
        pool, truth, claims: N items, their classes (N,) and what the teacher says (N,), -1 where nothing usable.
        gold: rows (n,) of the pool whose truth a person gives.
        test, test_labels: (T,).
        curve: further gold-labelled items for the learning curve, rows (K,) of the pool that are in random order.
    """

    space: LabelSpace
    pool: Items
    truth: Tensor
    claims: Tensor
    gold: Tensor
    test: Items
    test_labels: Tensor
    curve: Tensor


class Said:
    """A teacher whose claims (N,) on the pool are known."""

    keeps_answers = True

    def __init__(self, here: World) -> None:
        self.name, self.space, self.here = "teacher", here.space, here
        self.fingerprint = fingerprint("claims", here.claims)
        self.row_of = {item: row for row, item in enumerate(here.pool.ids)}

    def ask(self, items: Items) -> Evidence:
        rows = [self.row_of[item] for item in items.ids]
        return Evidence(self.name, items.ids, self.space, self.here.claims[rows][None])


def world(name: str, teacher: str, amount: int, seed: int, most: int = POOL) -> World:
    """A set with a teacher: `llm` (recorded), `weak` (n-grams trained on `amount` labels), or noise at `amount` per cent.

    The pool has `most` items at most (R52's: all).
    Which items a weak teacher or gold gets depends on the seed, and so does noise; the test items never do.
    """
    items, labels, test, test_labels = _read(name)
    space = LabelSpace(tuple(sorted({*labels, *test_labels})))
    truth = torch.tensor([space.index(one) for one in labels])
    order = list(range(len(items)))
    random.Random(f"{name}/{seed}").shuffle(order)
    apart, rows = order[:WEAK], order[WEAK : WEAK + most]
    if teacher == "llm":
        rows = order if name == "r52" else order[:most]
    pool, right = items.select(rows), truth[rows]
    if teacher == "llm":
        said = items.columns[ANSWERS[name]]
        claims = torch.tensor([space.find(str(said[row]).strip()) for row in rows])
    elif teacher in NOISE:
        claims = NOISE[teacher](right, len(space), amount / 100, seed)
    else:
        chances = _weak(items, truth, space, apart[: amount if teacher == "weak" else WEAK], pool, seed)
        claims = chances.argmax(-1)
        if teacher == "instance":
            claims = instance_dependent(right, len(space), amount / 100, seed, chances)
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    answers = torch.tensor([space.index(one) for one in test_labels])
    bare = Items(pool.ids, pool.inputs)
    return World(space, bare, right, claims, drawn[:GOLD], test, answers, drawn)


def _read(name: str) -> tuple[Items, list[str], Items, list[str]]:
    """Items and gold names of the pool's table and of the test's, without columns that tell anything else."""
    pool, test, text, label = SETS[name]
    pair = {"text_pair": "hypothesis"} if name == "esnli" else {}

    def read(table: str) -> tuple[Items, list[str]]:
        path = Path(os.environ["DISTRUST_DATA"]) / f"{table}.parquet"
        found = load_items(str(path), text=text, **pair)
        return found, [str(one) for one in found.columns[label]]

    items, labels = read(pool)
    if test is not None:
        judged, answers = read(test)
        return items, labels, Items(judged.ids[:TEST], judged.inputs[:TEST]), answers[:TEST]
    order = random.Random(name).sample(range(len(items)), len(items))  # no test set of its own: a part that no seed changes
    held, rest = order[:TEST], order[TEST:]
    judged = items.select(held)
    return items.select(rest), [labels[row] for row in rest], Items(judged.ids, judged.inputs), [labels[row] for row in held]


def _weak(items: Items, truth: Tensor, space: LabelSpace, rows: list[int], pool: Items, seed: int) -> Tensor:
    """What a teacher trained on a few labels that nobody else has says of the pool: (N, C)."""
    taught = items.select(rows)
    taught = Items(taught.ids, taught.inputs)
    options = NgramStudent()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            Path(folder),
            space=space,
            pool=taught,
            teachers=[],
            new_student=lambda start: ngram.build(options, space, start, pool),
            gold=Gold(taught.ids, truth[rows], space),
            options=Train(),
            seed=1000 + seed,
        )
        with closing(run):
            student = METHODS["gold-only"].run(run, GoldOnly())
            return run.ask(student, Items(pool.ids, pool.inputs)).distribution()
