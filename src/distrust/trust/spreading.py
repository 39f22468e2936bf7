"""What is known of a few items, told of those that are like them: it spreads over a graph of neighbours.

Knows features of items, and what is said of some. Does not know who the features are from, or what is made of the chances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.neighbors import kneighbors_graph
from torch import Tensor
from torch.nn.functional import normalize

from distrust.errors import DataError

NEIGHBOURS = 10
FAR = 0.9  # α: how much of an item's label comes over the graph, the rest being its own
NEAR = 0.3  # the same for chances that every item has already: chosen on CLINC150, TREC and digits
STEPS = 50  # 0.9 ** 50 is half a hundredth
FAINT = 1e-3  # of what is told on average, beside what those nearby say


def neighbourhood(features: Sequence[Tensor], neighbours: int = NEIGHBOURS) -> Any:
    """Who is near whom: a sparse symmetric matrix (N, N), scaled by both sides' degrees, for `spread`.

    Args:
        features: of the same N > 1 items, one a source, (N, D_source); each source counts as much as another.

    Raises:
        DataError: no source, items that differ, fewer than two, or features that are not finite.
    """
    if not features or len({len(one) for one in features}) != 1 or len(features[0]) < 2:
        raise DataError(
            f"Features are of {[len(one) for one in features]} items; legal is the same number of each source, 2 or more."
        )
    beside = torch.cat([normalize(one.float().flatten(1), dim=1) for one in features], 1)
    if not bool(beside.isfinite().all()):
        raise DataError("Features hold a number that is not finite, so nothing is near them.")
    near = kneighbors_graph(beside.numpy(), min(neighbours, len(beside) - 1))
    both = near.maximum(near.T)
    scale = 1 / np.sqrt(np.asarray(both.sum(1)).ravel())
    return both.multiply(scale[:, None]).multiply(scale[None, :]).tocsr()


def spread(graph: Any, rows: Tensor, told: Tensor) -> Tensor:
    """What is told of some items, spread to all that are near them: (N, K) chances; what is told on average where none is.

    Args:
        graph: (N, N), of `neighbourhood`.
        rows: (n,) long, the places of items that are told of, each once; told: (n, K) in [0, 1], such as their classes, or
            who knows these. It need not sum to one, and each of its columns spreads by itself.

    Raises:
        DataError: nothing that is told.

    Source: Zhou et al. 2004 (Learning with local and global consistency), iterated.
    """
    if not len(rows):
        raise DataError("Nothing is told of any item, so nothing spreads; legal is one item or more.")
    start = np.zeros((graph.shape[0], told.shape[1] + 1))  # the last column: how near anything is that is told of
    start[rows.numpy(), :-1] = told.numpy()
    start[rows.numpy(), -1] = 1
    mass = _settled(graph, start, FAR)
    usual, total = told.double().mean(0).numpy(), mass[:, -1:]
    chances = np.where(total > 0, mass[:, :-1] / np.where(total > 0, total, 1), usual)
    return torch.from_numpy((1 - FAINT) * chances + FAINT * usual).float()


def smooth(graph: Any, chances: Tensor) -> Tensor:
    """Chances that items have, and three tenths of what those nearby have: (N, K) to (N, K), rows of the same sums."""
    mass = torch.from_numpy(_settled(graph, chances.double().numpy(), NEAR))
    total = mass.sum(1, keepdim=True)
    return (chances.sum(1, keepdim=True) * mass / torch.where(total > 0, total, 1.0)).to(chances.dtype)


def _settled(graph: Any, start: Any, far: float) -> Any:
    """Where mass (N, K) ends that goes over the graph by `far` and stays where it began by the rest."""
    mass = start
    for _ in range(STEPS):
        mass = far * (graph @ mass) + (1 - far) * start
    return mass
