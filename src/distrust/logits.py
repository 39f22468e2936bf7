"""Logits as they are kept: for every class, for the k likeliest, or as hidden states with the head that makes them.

Knows how each kind becomes dense, and which sizes fit together. Knows nothing of who gave them or about which items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.errors import DataError

NO = math.log(torch.finfo(torch.float32).tiny)  # the log-probability of what a teacher is sure not to say


@dataclass(frozen=True)
class Dense:
    """Logits (or log-probabilities) for every class."""

    values: Tensor  # (*items, C); a row of -inf says nothing

    @property
    def given(self) -> Tensor:
        return self.values

    @property
    def classes(self) -> int:
        return self.values.shape[-1]

    def dense(self) -> Tensor:
        return self.values

    def select(self, rows: Tensor) -> Dense:
        return Dense(self.values[rows])


@dataclass(frozen=True)
class TopK:
    """The k largest log-probabilities and the probability mass of all other classes."""

    ids: Tensor  # (*items, k) long
    logp: Tensor  # (*items, k)
    tail: Tensor  # (*items,) probability mass outside ids
    classes: int

    @property
    def given(self) -> Tensor:
        return self.logp

    def check(self, source: str) -> None:
        """Raises DataError for sizes that do not fit, a class that is none, or a tail that is no mass."""
        if self.ids.shape != self.logp.shape or self.tail.shape != self.logp.shape[:-1]:
            sizes = f"{tuple(self.ids.shape)}, {tuple(self.logp.shape)} and {tuple(self.tail.shape)}"
            raise DataError(f"{source}'s top ids, logp and tail are {sizes}; legal is (items, k) twice and (items,).")
        if bool(((self.ids < 0) | (self.ids >= self.classes)).any()):
            raise DataError(f"{source}'s top ids leave its {self.classes} classes; legal are 0 to C - 1.")
        if not bool(((self.tail > -1e-3) & (self.tail < 1 + 1e-3)).all()):
            raise DataError(f"{source}'s tail is no probability mass; legal is 0 to 1.")

    def dense(self) -> Tensor:
        """Log-probabilities (*items, C), the tail mass spread evenly over the classes outside the top k.

        A tail of 0 below k classes that may be is a "no": the least there is, not the -inf of a class that is not known.
        """
        rest = max(self.classes - self.ids.shape[-1], 1)
        even = (self.tail.clamp(min=0) / rest).log()  # (*items,)
        even = even.masked_fill((even == -torch.inf) & (self.logp > -torch.inf).all(-1), NO)
        return even.unsqueeze(-1).expand(*self.tail.shape, self.classes).scatter(-1, self.ids, self.logp)

    def select(self, rows: Tensor) -> TopK:
        return TopK(self.ids[rows], self.logp[rows], self.tail[rows], self.classes)


def top(values: Tensor, k: int) -> TopK:
    """The k likeliest classes of logits (*items, C) and the exact mass of all others, both by a double-precision softmax.

    What is lost: how the rest of the mass is spread. It is read as spread evenly, also where a temperature softens it. A row
    of -inf, which says nothing, still says nothing.

    Raises:
        DataError: a k that is no number of classes.
    """
    if not 1 <= k <= values.shape[-1]:
        raise DataError(f"The top {k} of {values.shape[-1]} classes cannot be kept; legal is 1 to {values.shape[-1]}.")
    logp = values.double().log_softmax(-1).nan_to_num(nan=-torch.inf)
    kept, ids = logp.topk(k, -1)
    tail = logp.exp().scatter(-1, ids, 0.0).sum(-1)
    return TopK(ids, kept.to(values.dtype), tail.to(values.dtype), values.shape[-1])


@dataclass(frozen=True)
class Hidden:
    """Last hidden states and the head that turns them into logits: small to store when C is a vocabulary."""

    h: Tensor  # (*items, d)
    head: Tensor  # (C, d)

    @property
    def given(self) -> Tensor:
        return self.h

    @property
    def classes(self) -> int:
        return self.head.shape[0]

    def dense(self) -> Tensor:
        return self.h @ self.head.T

    def select(self, rows: Tensor) -> Hidden:
        return Hidden(self.h[rows], self.head)
