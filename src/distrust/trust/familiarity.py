"""How much an item looks like what a source has learned: by its logits, or by where it lies among its features.

Knows the logits or features of one source. Does not know whether it is right, or how another source scores: scales differ
between sources, and only `trust.adequacy` brings them to one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError

CHUNK = 2**22  # distances worked out at once


def energy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T · log Σ exp(z / T), the negative free energy, a trust: (..., C) to (...); -inf where nothing was said.

    Unlike an entropy it keeps the logits' size, which training raises on what it saw. A soft choice by it at τ = T = 1 is
    the softmax over all teachers' logits side by side. Source: Liu et al. 2020 (arXiv 2010.03759), equation 4.

    Raises:
        DataError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise DataError(f"temperature is {temperature}; legal is any number above 0.")
    return temperature * (logits / temperature).logsumexp(-1)


def max_logit(logits: Tensor) -> Tensor:
    """The largest logit, a trust: (..., C) to (...). Source: Hendrycks et al. 2022 (arXiv 1911.11132)."""
    return logits.amax(-1)


def neighbours(features: Tensor, reference: Tensor, k: int = 10, leave_out: Tensor | None = None) -> Tensor:
    """Minus the distance to the k-th nearest of the reference, features scaled to unit length, a trust: (N, d) to (N,).

    Args:
        reference: (R, d) features of items that the source knows.
        k: from 1; the farthest of the reference where it has fewer.
        leave_out: (N,) long, the row of the reference that is this very item, -1 where none is; it is no neighbour.

    Raises:
        DataError: an empty reference, or a k below 1.

    Source: Sun et al. 2022 (arXiv 2204.06507).
    """
    if not len(reference) or k < 1:
        raise DataError(f"There are {len(reference)} reference items for {k} neighbours; legal is 1 or more of both.")
    here, there = _unit(features), _unit(reference)
    found = []
    for rows in torch.arange(len(here)).split(max(1, CHUNK // len(there))):  # type: ignore[no-untyped-call]
        apart = torch.cdist(here[rows], there)
        if leave_out is not None:
            own = leave_out[rows]
            inside = (own >= 0).nonzero().squeeze(-1)
            apart[inside, own[inside]] = torch.inf
        nearest = apart.topk(min(k, len(there)), largest=False).values
        found.append(nearest.masked_fill(nearest.isinf(), 0).amax(-1))
    return -torch.cat(found) if found else features.new_zeros(0)


def mahalanobis(features: Tensor, reference: Tensor, labels: Tensor) -> Tensor:
    """Minus the squared Mahalanobis distance to the nearest class mean, a trust: (N, d) to (N,).

    One covariance for all classes, shrunk towards its diagonal where the reference is small.

    Args:
        reference: (R, d) features of items that the source knows, and labels: their classes (R,) long.

    Raises:
        DataError: an empty reference, or labels of another length.

    Source: Lee et al. 2018 (arXiv 1807.03888), equation 2.
    """
    if not len(reference) or len(labels) != len(reference):
        raise DataError(f"There are {len(labels)} labels for {len(reference)} reference items; legal is one each, and some.")
    _, place = torch.unique(labels, return_inverse=True)
    counts = place.bincount().to(reference.dtype)
    means = torch.zeros(len(counts), reference.shape[1], dtype=reference.dtype).index_add_(0, place, reference)
    means = means / counts.unsqueeze(-1)
    apart = reference - means[place]
    spread = apart.T @ apart / len(reference)
    size = reference.shape[1]
    share = size / (size + len(reference))  # of the diagonal: more dimensions than items leave nothing else to trust
    own = spread.diagonal()
    floor = own.mean().clamp(min=1e-12) * 1e-3
    spread = (1 - share) * spread + torch.diag(share * own + floor)
    whiten = torch.linalg.cholesky(spread)
    whole = torch.linalg.solve_triangular(whiten, torch.cat([features, means]).T, upper=False).T
    return -torch.cdist(whole[: len(features)], whole[len(features) :]).square().amin(-1)


def _unit(features: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features.flatten(1), dim=-1)
