"""Labels made wrong in a controlled way, to see what a method does about it.

Knows labels, classes and chances; every function is pure and draws from its seed alone. Knows nothing of items, of teachers
or of what is learned from the result. An abstention (-1) stays one. A table of claims (M, N) is a row for each call.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.labels import ABSTAIN
from distrust.processes import mix
from distrust.workshop.draws import ByItem, Draws, Together

Seed = int | ByItem  # of the draw of all items together, or for each by its id alone


def symmetric(labels: Tensor, classes: int, rate: float, seed: Seed) -> Tensor:
    """Each label becomes, with the same chance, any other class alike. Source: van Rooyen et al. 2015, symmetric noise.

    Args:
        labels: (N,) long true classes; -1 abstains.
        classes: C, at least 2.
        rate: chance in [0, 1] that a label is wrong; never "redrawn, and perhaps right after all".
        seed: of the draw, or a `ByItem`; the global random state is neither read nor changed.

    Returns:
        (N,) long noisy labels.

    Raises:
        DataError: fewer than two classes, a label outside them, a rate outside [0, 1].
    """
    draws = checked(labels, classes, rate, seed)
    wrong = (labels + draws.integers(1, classes)) % classes
    return mixed(labels, wrong, rate, draws)


def pairwise(labels: Tensor, classes: int, rate: float, seed: Seed) -> Tensor:
    """Each label becomes, with the same chance, the next class, the last one the first. Source: Han et al. 2018, pair flip.

    From a rate of 0.5 on the wrong class is the more frequent answer, and nothing but gold can tell.

    Args, Returns, Raises: as for `symmetric`.
    """
    draws = checked(labels, classes, rate, seed)
    return mixed(labels, (labels + 1) % classes, rate, draws)


def instance_dependent(labels: Tensor, classes: int, rate: float, seed: Seed, probabilities: Tensor) -> Tensor:
    """Hard items are mislabelled, as the classes that they look like: what a weak but honest teacher does.

    An item's chance to be wrong grows with 1 - P(its label), scaled so that the mean chance is `rate` (and cut at 1); its
    wrong class is drawn in proportion to what the probabilities give the others. Source: after Chen et al. 2021 ("Beyond
    class-conditional assumption"), with chances in place of their fixed ranking.

    Args:
        labels, classes, rate, seed: as for `symmetric`.
        probabilities: (N, C) of any classifier, better one that has not learned these very labels; rows are scaled to one.

    Returns, Raises: as for `symmetric`; DataError also for probabilities of another shape, negative or not finite.
    """
    draws = checked(labels, classes, rate, seed)
    if probabilities.shape != (len(labels), classes) or not bool((probabilities.isfinite() & (probabilities >= 0)).all()):
        raise DataError(f"Probabilities are {tuple(probabilities.shape)}; legal is ({len(labels)}, {classes}), at least 0.")
    wrong, hard = looks_like(labels, probabilities, draws)
    return mixed(labels, wrong, _scaled(hard, labels >= 0, rate), draws)


def looks_like(labels: Tensor, probabilities: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Of labels (N,) and probabilities (N, C): another class each, in proportion, and 1 - P(label), both (N,)."""
    chance = probabilities.detach().double() + 1e-6  # so that a saturated row can still be wrong, as any class
    chance = chance / chance.sum(-1, keepdim=True)
    own = labels.clamp(min=0).unsqueeze(-1)
    hard = 1 - chance.gather(-1, own).squeeze(-1)
    return draws.choice(chance.scatter(-1, own, 0.0)), hard


def near_clones(labels: Tensor, classes: int, copies: int, rate: float, seed: int) -> Tensor:
    """Copies of one teacher's claims that differ in a few items: several voices that are hardly more than one.

    Args:
        labels: (N,) long, what the teacher that they copy claims; -1 abstains, and so do its copies.
        classes, rate: as for `symmetric`, which each copy is, by a seed of its own.
        copies: how many, at least 1.
        seed: of all copies.

    Returns:
        (copies, N) long.

    Raises: as for `symmetric`; DataError also for no copy.
    """
    if copies < 1:
        raise DataError(f"There are {copies} copies; legal is 1 or more.")
    return torch.stack([symmetric(labels, classes, rate, mix(seed, turn)) for turn in range(copies)])


def abstaining(labels: Tensor, classes: int, rate: float, seed: Seed) -> Tensor:
    """Each label is withheld (-1) with the same chance `rate`. Args, Returns, Raises: as for `symmetric`."""
    draws = checked(labels, classes, rate, seed)
    return mixed(labels, torch.full_like(labels, ABSTAIN), rate, draws)


def over_confident(logits: Tensor, sharpness: float) -> Tensor:
    """Logits (..., C) times `sharpness` (above 0; below 1 it is too modest): the same answers, stated with other odds.

    Raises:
        DataError: a sharpness that is not above 0 and finite.
    """
    if not 0 < sharpness < float("inf"):
        raise DataError(f"The sharpness is {sharpness}; legal is any number above 0.")
    return logits * sharpness


def _scaled(hard: Tensor, counted: Tensor, rate: float) -> Tensor:
    """min(1, s · hard), with s such that the mean over what is counted is the rate: (N,) and (N,) bool to (N,)."""
    low, high = 0.0, float(1 / hard.min().clamp(min=1e-9)) if len(hard) else 1.0
    for _ in range(60):
        middle = (low + high) / 2
        short = float((middle * hard[counted]).clamp(max=1).mean()) < rate
        low, high = (middle, high) if short else (low, middle)
    return (high * hard).clamp(max=1)


def mixed(labels: Tensor, wrong: Tensor, chance: Tensor | float, draws: Draws) -> Tensor:
    """The wrong label (N,) with its chance, (N,) or one for all, else the true one. An abstention stays one."""
    return torch.where((draws.uniform() < chance) & (labels >= 0), wrong, labels)


def checked(labels: Tensor, classes: int, rate: float, seed: Seed) -> Draws:
    """The draws of a seed, once labels, classes and rate are legal."""
    if classes < 2:
        raise DataError(f"There are {classes} classes; a wrong label needs at least 2.")
    if not 0 <= rate <= 1:
        raise DataError(f"The noise rate is {rate}; legal is 0 to 1.")
    if labels.dim() != 1 or not bool(((labels >= ABSTAIN) & (labels < classes)).all()):
        raise DataError(f"Labels {tuple(labels.shape)} do not fit; legal is (N,) with classes -1 to {classes - 1}.")
    return seed if isinstance(seed, ByItem) else Together(len(labels), torch.Generator().manual_seed(seed))
