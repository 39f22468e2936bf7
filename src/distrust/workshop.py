"""The noise workshop: labels made wrong in a controlled way, to see what a method does about it.

Knows labels, classes and chances; every function is pure and draws from its seed alone. Knows nothing of items, of teachers
or of what is learned from the result. An abstention (-1) stays one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.labels import ABSTAIN


def symmetric(labels: Tensor, classes: int, rate: float, seed: int) -> Tensor:
    """Each label becomes, with the same chance, any other class alike. Source: van Rooyen et al. 2015, symmetric noise.

    Args:
        labels: (N,) long true classes; -1 abstains.
        classes: C, at least 2.
        rate: chance in [0, 1] that a label is wrong; never "redrawn, and perhaps right after all".
        seed: of the draw; the global random state is neither read nor changed.

    Returns:
        (N,) long noisy labels.

    Raises:
        DataError: fewer than two classes, a label outside them, a rate outside [0, 1].
    """
    generator = _generator(labels, classes, rate, seed)
    wrong = (labels + torch.randint(1, classes, labels.shape, generator=generator)) % classes
    return _mixed(labels, wrong, torch.full(labels.shape, rate, dtype=torch.float64), generator)


def pairwise(labels: Tensor, classes: int, rate: float, seed: int) -> Tensor:
    """Each label becomes, with the same chance, the next class, the last one the first. Source: Han et al. 2018, pair flip.

    From a rate of 0.5 on the wrong class is the more frequent answer, and nothing but gold can tell.

    Args, Returns, Raises: as for `symmetric`.
    """
    generator = _generator(labels, classes, rate, seed)
    return _mixed(labels, (labels + 1) % classes, torch.full(labels.shape, rate, dtype=torch.float64), generator)


def exchanged(labels: Tensor, classes: int, share: float, seed: int) -> Tensor:
    """Classes drawn at random are exchanged in pairs, in every item: a teacher whose label map is wrong.

    Nothing in such a teacher's answers tells, however sure it is. Source: CA-MKD card, world `swap`.

    Args:
        labels: (N,) long true classes; -1 abstains.
        classes: C, at least 2.
        share: of the classes that are exchanged, rounded down to whole pairs.
        seed: which classes; the global random state is neither read nor changed.

    Returns, Raises: as for `symmetric`.
    """
    generator = _generator(labels, classes, share, seed)
    chosen = torch.randperm(classes, generator=generator)[: int(share * classes) // 2 * 2]
    said_for = torch.arange(classes)
    said_for[chosen[0::2]], said_for[chosen[1::2]] = chosen[1::2], chosen[0::2]
    return torch.where(labels >= 0, said_for[labels.clamp(min=0)], labels)


def forgotten(labels: Tensor, classes: int, lost: Tensor, seed: int) -> Tensor:
    """Items of some classes get any class at random, the right one too: a teacher that is strong on the others alone.

    Args:
        labels: (N,) long true classes; -1 abstains.
        classes: C, at least 2.
        lost: (C,) bool, the classes that it confuses with all.
        seed: of the draw; the global random state is neither read nor changed.

    Returns, Raises: as for `symmetric`; DataError also for `lost` of another size.
    """
    generator = _generator(labels, classes, 0.0, seed)
    if lost.shape != (classes,):
        raise DataError(f"`lost` is {tuple(lost.shape)}; legal is ({classes},), one for each class.")
    any_class = torch.randint(classes, labels.shape, generator=generator)
    return torch.where((labels >= 0) & lost[labels.clamp(min=0)], any_class, labels)


def instance_dependent(labels: Tensor, classes: int, rate: float, seed: int, probabilities: Tensor) -> Tensor:
    """Hard items are mislabelled, as the classes that they look like: what a weak but honest teacher does.

    An item's chance to be wrong grows with 1 - P(its label), scaled so that the mean chance is `rate` (and cut at 1); its
    wrong class is drawn in proportion to what the probabilities give the others. Source: after Chen et al. 2021 ("Beyond
    class-conditional assumption"), with chances in place of their fixed ranking.

    Args:
        labels, classes, rate, seed: as for `symmetric`.
        probabilities: (N, C) of any classifier, better one that has not learned these very labels; rows are scaled to one.

    Returns, Raises: as for `symmetric`; DataError also for probabilities of another shape, negative or not finite.
    """
    generator = _generator(labels, classes, rate, seed)
    if probabilities.shape != (len(labels), classes) or not bool((probabilities.isfinite() & (probabilities >= 0)).all()):
        raise DataError(f"Probabilities are {tuple(probabilities.shape)}; legal is ({len(labels)}, {classes}), at least 0.")
    chance = probabilities.detach().double() + 1e-6  # so that a saturated row can still be wrong, as any class
    chance = chance / chance.sum(-1, keepdim=True)
    own = labels.clamp(min=0).unsqueeze(-1)
    hard = 1 - chance.gather(-1, own).squeeze(-1)  # (N,)
    others = chance.scatter(-1, own, 0.0)
    wrong = torch.multinomial(others, 1, generator=generator).squeeze(-1) if len(labels) else labels
    return _mixed(labels, wrong, _scaled(hard, labels >= 0, rate), generator)


def _scaled(hard: Tensor, counted: Tensor, rate: float) -> Tensor:
    """min(1, s · hard), with s such that the mean over what is counted is the rate: (N,) and (N,) bool to (N,)."""
    low, high = 0.0, float(1 / hard.min().clamp(min=1e-9)) if len(hard) else 1.0
    for _ in range(60):
        middle = (low + high) / 2
        short = float((middle * hard[counted]).clamp(max=1).mean()) < rate
        low, high = (middle, high) if short else (low, middle)
    return (high * hard).clamp(max=1)


def _mixed(labels: Tensor, wrong: Tensor, chance: Tensor, generator: torch.Generator) -> Tensor:
    """The wrong label with its chance, else the true one; (N,) each. An abstention stays one."""
    flip = torch.rand(len(labels), generator=generator, dtype=torch.float64) < chance
    return torch.where(flip & (labels >= 0), wrong, labels)


def _generator(labels: Tensor, classes: int, rate: float, seed: int) -> torch.Generator:
    if classes < 2:
        raise DataError(f"There are {classes} classes; a wrong label needs at least 2.")
    if not 0 <= rate <= 1:
        raise DataError(f"The noise rate is {rate}; legal is 0 to 1.")
    if labels.dim() != 1 or not bool(((labels >= ABSTAIN) & (labels < classes)).all()):
        raise DataError(f"Labels {tuple(labels.shape)} do not fit; legal is (N,) with classes -1 to {classes - 1}.")
    return torch.Generator().manual_seed(seed)
