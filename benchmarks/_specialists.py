"""The worlds of `muka`: real items whose classes are split among specialists, each trained on items of its own.

Knows files, splits, how specialists are trained. Knows nothing of methods.
"""

from __future__ import annotations

import io
import lzma
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distrust.data import Items, load_table
from distrust.labels import LabelSpace
from distrust.teachers.module import ModuleTeacher

SETS = {  # tables of training and test items, text, label, what the classes are grouped by
    "clinc150": ("clinc150/train", "clinc150/test", "text", "label", "domain"),
    "trec": ("sentence_classification/trec_raw_train", "sentence_classification/trec_raw_test", "text", "coarse", None),
    "banking77": ("banking77/train", "banking77/test", "text", "label", None),
}
POOL, TEST, WIDTH = 8000, 3000, 128  # at most so many items; units of every network
AXES, WORDS = (
    200,
    2000,
)  # dimensions that networks read texts in; words and pairs of words that a mixed pair's linear one reads
EPOCHS, RATE, BATCH = 12, 3e-3, 64  # of specialists, as of students


@dataclass(frozen=True)
class World:
    """Specialists, unlabelled items whose truth only the benchmark knows, gold of them, and test items.

    Args:
        pool, truth: N items and their classes (N,).
        gold: rows (n,) of the pool, ten of each class.
        test, test_labels: (T,).
        mixed: whether specialists are of two kinds, as `world` has it.
    """

    space: LabelSpace
    teachers: list[ModuleTeacher]
    pool: Items
    truth: Tensor
    gold: Tensor
    test: Items
    test_labels: Tensor
    mixed: bool = False


def world(name: str, parts: int, seed: int, mixed: bool = False) -> World:
    """A set split among `parts` specialists, or sets joined by a plus sign, one specialist each, which may share classes.

    Half of the items are the specialists', half the pool; none learns from another set than its own.

    Args:
        mixed: of texts: specialists are in turn a linear model of words and pairs, without dropout, and a network; no
            features are kept. Items then hold what networks read in their first AXES columns, and words in the others.
    """
    read = [_mnist() if one == "mnist" else _texts(one) for one in name.split("+")]
    classes = [[one for group in groups for one in group] for groups, *_ in read]
    pieces = classes if len(read) > 1 else _split(read[0][0], parts)
    assert len(pieces) == parts, f"{name} has {len(pieces)} sets and so many specialists"
    space = LabelSpace(tuple(dict.fromkeys(one for piece in pieces for one in piece)))
    inputs, labels, test, answers = _joined([rest for _, *rest in read])
    origin = torch.tensor([place for place, (_, _, own, *_) in enumerate(read) for _ in own])
    truth = torch.tensor([space.index(one) for one in labels])
    order = list(range(len(truth)))
    random.Random(f"{name}/{parts}/{seed}").shuffle(order)
    half = len(order) // 2
    apart, rows = torch.tensor(order[:half]), torch.tensor(order[half : half + POOL])
    chosen = torch.tensor(random.Random(0).sample(range(len(answers)), min(TEST, len(answers))))
    features, held = _features(inputs, torch.cat([apart, rows]), test, mixed)
    teachers = []
    for n, piece in enumerate(pieces):
        theirs = apart[origin[apart] == n] if len(read) > 1 else apart
        kind = None if not mixed else "network" if n % 2 else "words"
        teachers.append(_specialist(f"specialist {n}", piece, space, features[theirs], truth[theirs], seed, kind))
    pool = Items(tuple(f"p{row}" for row in rows.tolist()), features[rows])
    return World(
        space,
        teachers,
        pool,
        truth[rows],
        _few(truth[rows], len(space), seed),
        Items(tuple(f"t{row}" for row in chosen.tolist()), held[chosen]),
        torch.tensor([space.index(one) for one in answers])[chosen],
        mixed,
    )


def network(width: int, classes: int, seed: int, units: int = WIDTH) -> nn.Sequential:
    """What every specialist and student is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Dropout(0.1), nn.Linear(width, units), nn.ReLU(), nn.Dropout(0.3), nn.Linear(units, classes))


class Columns(nn.Module):
    """Some of the columns of (n, D)."""

    def __init__(self, start: int, stop: int | None = None) -> None:
        super().__init__()
        self._part = slice(start, stop)

    def forward(self, given: Tensor) -> Tensor:
        return given[:, self._part]


def _split(groups: Sequence[Sequence[str]], parts: int) -> list[list[str]]:
    """Groups of classes in `parts` pieces: whole groups where there are enough, else all classes, sorted."""
    whole: list[Any] = list(groups) if len(groups) >= parts else [[one] for group in groups for one in group]
    cuts = [len(whole) * piece // parts for piece in range(parts + 1)]
    return [[one for group in whole[start:stop] for one in group] for start, stop in pairwise(cuts)]


def _specialist(
    name: str, piece: list[str], space: LabelSpace, inputs: Tensor, truth: Tensor, seed: int, kind: str | None = None
) -> ModuleTeacher:
    """A network that has learned its classes from labelled items of its own; `kind`: of a mixed pair's, which one."""
    own = torch.tensor([space.index(one) for one in piece])
    place = torch.full((len(space),), -1).index_put_((own,), torch.arange(len(own)))[truth]
    told = (place >= 0).nonzero().squeeze(-1)
    draw = 1000 * seed + int(own[0])
    if kind == "words":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw)
            net = nn.Sequential(Columns(AXES), nn.Linear(inputs.shape[1] - AXES, len(piece)))
    else:
        net = network(inputs.shape[1] if kind is None else AXES, len(piece), draw)
        net = net if kind is None else nn.Sequential(Columns(0, AXES), net)
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(EPOCHS):
            for rows in told[torch.randperm(len(told))].split(BATCH):
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(inputs[rows]), place[rows]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    kept = {"hidden": "2"} if kind is None else {}
    return ModuleTeacher(name, net.eval(), LabelSpace(tuple(piece)), features=kept, batch_size=1024)


def _few(truth: Tensor, classes: int, seed: int, each: int = 10) -> Tensor:
    """Ten items of every class, or all there are: rows (n,)."""
    draw = random.Random(seed)
    rows = [(truth == one).nonzero().squeeze(-1).tolist() for one in range(classes)]
    return torch.tensor(sorted(row for own in rows for row in draw.sample(own, min(each, len(own)))))


def _features(inputs: Any, seen: Tensor, test: Any, words_too: bool = False) -> tuple[Tensor, Tensor]:
    """Images as they are; texts by their words' and pairs' tf-idf in 200 dimensions, found on the items that are seen.

    Args:
        words_too: beside these, the tf-idf of the most frequent words and pairs themselves.
    """
    if isinstance(inputs, Tensor):
        return inputs, test
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(max_features=8000, sublinear_tf=True, ngram_range=(1, 2))
    counts = words.fit_transform([inputs[row] for row in seen.tolist()])
    axes = TruncatedSVD(AXES, random_state=0).fit(counts)
    frequent = np.asarray(counts.sum(0)).ravel().argsort()[::-1][:WORDS]
    made = []
    for texts in (inputs, test):
        found = words.transform(texts)
        read = [axes.transform(found), *([found[:, frequent].toarray()] if words_too else [])]
        made.append(torch.tensor(5 * np.concatenate(read, 1), dtype=torch.float32))
    return tuple(made)  # type: ignore[return-value]


def _joined(sets: Sequence[Sequence[Any]]) -> tuple[Any, list[str], Any, list[str]]:
    if len(sets) == 1:
        return tuple(sets[0])  # type: ignore[return-value]
    inputs, labels, test, answers = ([one for part in column for one in part] for column in zip(*sets, strict=True))
    return inputs, labels, test, answers


def _texts(name: str) -> tuple[list[list[str]], list[str], list[str], list[str], list[str]]:
    """Groups of classes; texts and labels; test texts and labels."""
    train, test, text, label, group = SETS[name]
    folder = Path(os.environ["DISTRUST_DATA"])
    here, held = (load_table(str(folder / f"{table}.parquet")) for table in (train, test))
    labels, answers = ([str(one) for one in table[label]] for table in (here, held))
    names = sorted({*labels, *answers})
    of = dict(zip(labels, map(str, here[group]), strict=True)) if group else dict.fromkeys(names, "")
    groups = [[one for one in names if of[one] == kind] for kind in sorted(set(of.values()))]
    return groups, [str(one) for one in here[text]], labels, [str(one) for one in held[text]], answers


def _mnist() -> tuple[list[list[str]], Tensor, list[str], Tensor, list[str]]:
    """Digits, every pixel in [-1, 1]; as `_texts`."""
    with lzma.open(Path(os.environ["DISTRUST_DATA"]) / "mnist" / "mnist.npz.xz") as file:
        arrays = np.load(io.BytesIO(file.read()))
    made: list[Any] = []
    for split in ("train", "test"):
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        made += [
            torch.tensor(images.reshape(len(images), -1) / 127.5 - 1, dtype=torch.float32),
            [str(one) for one in labels],
        ]
    return ([[str(digit) for digit in range(10)]], *made)  # type: ignore[return-value]
