"""What students say of items whose claims they were not told: K folds, each asked of a student of the others.

Knows runs and stages, so an interrupted audit goes on where it was. Knows nothing of noise.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from distrust.data import Items
from distrust.errors import DataError
from distrust.labelled import Labelled, from_targets
from distrust.labels import LabelSpace
from distrust.recipe import NgramStudent
from distrust.run import Run
from distrust.students import ngram
from distrust.train import Progress

STUDENT = NgramStudent(buckets=2**15, dimension=64)  # learns in two epochs what is common, and little by heart
FOLDS = 5
MOST = 16  # epochs; a student that still gains by then is no longer learning what is common


def audit_run(folder: Path, space: LabelSpace, items: Items, seed: int = 0, progress: Progress | None = None) -> Run:
    """A run of small n-gram students over texts, its stages kept in `folder`; close it when done.

    Raises RunError for a folder that cannot be written or is in use, DataError for items that are no texts.
    """
    frequencies = ngram.inverse_frequencies(STUDENT, items)
    return Run(
        folder,
        space=space,
        pool=items,
        teachers=[],
        new_student=lambda seed: ngram.build(STUDENT, space, seed, items, frequencies),
        seed=seed,
        progress=progress,
    )


def numbers_of(items: Items) -> Tensor:
    """Which text each item has, as a number from 0 on: (N,) long; copies share one."""
    met: dict[str, int] = {}
    return torch.tensor([met.setdefault(items.text(row), len(met)) for row in range(len(items))], dtype=torch.long)


def out_of_fold(run: Run, items: Items, claims: Tensor, folds: int = FOLDS) -> Tensor:
    """Probabilities (N, C) by students that were not told the item's claim, nor that of a copy of its text.

    Learning stops early, before a student has noise by heart: on the first fold the epochs are doubled as long as its
    held-out claims become more probable (Liu et al. 2020, early learning), and the other folds take as many.

    Args:
        run: whose students learn, and whose folder keeps each as a stage; its seed draws the folds.
        items: N of them.
        claims: (N,) long.
        folds: K.

    Raises:
        DataError: fewer than two folds, or fewer than two different texts a fold.
    """
    texts = numbers_of(items)
    different = int(texts.max()) + 1 if len(items) else 0
    if folds < 2 or different < 2 * folds:
        raise DataError(
            f"There are {different} different texts for {folds} folds; an audit needs two a fold, and two folds."
        )
    order = torch.randperm(different, generator=torch.Generator().manual_seed(run.seed))
    fold = (torch.empty_like(order).index_put_((order,), torch.arange(different)) % folds)[texts]  # (N,)
    told = from_targets(items, torch.nn.functional.one_hot(claims, len(run.space)).float())
    epochs = _epochs(run, told, fold == 0, claims)
    probabilities = torch.zeros(len(items), len(run.space))
    for turn in range(folds):
        probabilities[fold == turn] = _held(run, told, fold == turn, epochs, f"fold-{turn}")
    return probabilities


def _epochs(run: Run, told: Labelled, out: Tensor, claims: Tensor) -> int:
    """How many epochs make the claims of one fold (N,) bool most probable to a student of the others."""
    best, least, epochs = 1, float("inf"), 1
    while epochs <= MOST:
        chance = _held(run, told, out, epochs, "fold-0").gather(-1, claims[out].unsqueeze(-1))
        miss = -float(chance.clamp(min=1e-12).log().mean())
        if miss >= least:
            break
        best, least, epochs = epochs, miss, 2 * epochs
    return best


def _held(run: Run, told: Labelled, out: Tensor, epochs: int, name: str) -> Tensor:
    """What a student of all but `out` (N,) bool says of those: (n, C)."""
    student = run.fit(name, told.select((~out).nonzero().squeeze(-1)), epochs=epochs)
    return run.ask(student, told.items.select(out.nonzero().squeeze(-1))).distribution()
