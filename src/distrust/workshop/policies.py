"""Labels made wrong class by class: confused, exchanged, never said, lied about, or filed by an older policy.

Knows labels and classes, and draws from its seed alone. Knows nothing of items or of teachers. An abstention (-1) stays one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.workshop.flips import Seed, checked, mixed


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
    checked(labels, classes, share, seed)
    return _said_for(exchange(classes, share, seed), labels)


def exchange(classes: int, share: float, seed: int) -> Tensor:
    """What `exchanged` says for each class: (C,) long."""
    chosen = torch.randperm(classes, generator=torch.Generator().manual_seed(seed))[: int(share * classes) // 2 * 2]
    said_for = torch.arange(classes)
    said_for[chosen[0::2]], said_for[chosen[1::2]] = chosen[1::2], chosen[0::2]
    return said_for


def forgotten(labels: Tensor, classes: int, lost: Tensor, seed: Seed) -> Tensor:
    """Items of some classes get any class at random, the right one too: a teacher that is strong on the others alone.

    Args:
        labels: (N,) long true classes; -1 abstains.
        classes: C, at least 2.
        lost: (C,) bool, the classes that it confuses with all.
        seed: of the draw, or a `ByItem`; the global random state is neither read nor changed.

    Returns, Raises: as for `symmetric`; DataError also for `lost` of another size.
    """
    draws = checked(labels, classes, 0.0, seed)
    _check_mask("lost", lost, classes)
    any_class = draws.integers(0, classes)
    return torch.where((labels >= 0) & lost[labels.clamp(min=0)], any_class, labels)


def class_blind(labels: Tensor, classes: int, blind: Tensor, seed: Seed) -> Tensor:
    """Some classes are never said: their items get any of the others, drawn for each. `forgotten` still says them.

    Args:
        labels, classes, seed: as for `symmetric`.
        blind: (C,) bool, the classes that are never said; not all of them.

    Returns, Raises: as for `symmetric`; DataError also for a `blind` of another size, or that leaves nothing to say.
    """
    draws = checked(labels, classes, 0.0, seed)
    _check_mask("blind", blind, classes)
    if bool(blind.all()):
        raise DataError("A teacher that is blind to every class has nothing to say; leave it one.")
    seen = (~blind).nonzero().squeeze(-1)
    other = seen[draws.integers(0, len(seen))]
    return torch.where((labels >= 0) & blind[labels.clamp(min=0)], other, labels)


def adversary(labels: Tensor, classes: int, rate: float, seed: Seed) -> Tensor:
    """It knows better and lies: what it makes wrong of a class is always the same other class, drawn once.

    The classes stand in a ring of a drawn order, and each is called the next. Unlike `pairwise` the order is a secret;
    unlike `exchanged` every class is lied about.

    Args, Returns, Raises: as for `symmetric`; a rate of 1 lies always.
    """
    draws = checked(labels, classes, rate, seed)
    ring = torch.randperm(classes, generator=torch.Generator().manual_seed(seed if isinstance(seed, int) else seed.seed))
    said_for = torch.empty_like(ring)
    said_for[ring] = ring.roll(-1)
    return mixed(labels, said_for[labels.clamp(min=0)], rate, draws)


def stale(labels: Tensor, classes: int, share: float, seed: int) -> Tensor:
    """Yesterday's teacher: it answers by an older label policy, in which some of today's classes did not exist yet.

    What belongs to such a class now, it files where that was filed then: under one of the older classes, the same for
    the whole class. So it is right on every older class, never says a newer one, and is as sure as ever.

    Args:
        labels: (N,) long true classes; -1 abstains.
        classes: C, at least 2.
        share: of the classes that are newer than the teacher, rounded down; one class at least is older.
        seed: which classes, and where they were filed.

    Returns, Raises: as for `symmetric`.
    """
    checked(labels, classes, share, seed)
    return _said_for(older_policy(classes, share, seed), labels)


def older_policy(classes: int, share: float, seed: int) -> Tensor:
    """What `stale` says for each class: (C,) long."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(classes, generator=generator)
    newer = min(int(share * classes), classes - 1)
    said_for = torch.arange(classes)
    older = order[newer:]
    said_for[order[:newer]] = older[torch.randint(len(older), (newer,), generator=generator)]
    return said_for


def _said_for(said_for: Tensor, labels: Tensor) -> Tensor:
    """By what is said for each class (C,): labels (N,) to (N,)."""
    return torch.where(labels >= 0, said_for[labels.clamp(min=0)], labels)


def _check_mask(name: str, mask: Tensor, classes: int) -> None:
    if mask.shape != (classes,) or mask.dtype != torch.bool:
        raise DataError(f"`{name}` is {tuple(mask.shape)} {mask.dtype}; legal is ({classes},) bool, one for each class.")
