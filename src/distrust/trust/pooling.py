"""What several opinions of an item amount to together: a log-linear pool, each opinion's say fitted on gold.

Knows log-probabilities and gold labels. Does not know whose opinions they are. An opinion with little say is one that gold
found wrong, or sure of itself beyond its merit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distrust import combine
from distrust.errors import DataError
from distrust.evidence import votes

SHRINKAGES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # of the claims' error model; gold chooses
RIDGE = 1.0  # pulls each say towards where it starts: so many nats at a distance of 1
FLOOR = 1e-4  # no opinion rules a class out
TURNS = 50  # gold is left out in so many turns: one by one up to 50 labels


@dataclass(frozen=True)
class Advice:
    """What claims and a peer's opinion amount to.

    Args:
        posterior: (N, C) P(class) of every item of the pool.
        on_gold: (K, n, C) the same of gold items with each peer's opinion, by claims' error models that have not seen them.
        say: (3,) exponents of the peer's opinion, of what the claims mean, and of the bare claims.
        shrinkage: of the claims' error model, chosen by gold.
    """

    posterior: Tensor
    on_gold: Tensor
    say: Tensor
    shrinkage: float


def advise(
    peer: Tensor,
    peer_on_gold: Tensor,
    claims: Tensor,
    claims_on_gold: Tensor,
    labels: Tensor,
    known: Tensor | None = None,
) -> Advice:
    """Weigh a peer's opinion against teachers' claims, as gold has it.

    P(class | item) is proportional to peer^a · P(class | claims)^b · exp(c · share of the claims): a, b, c >= 0 have the
    largest likelihood on gold under a ridge. P(class | claims) is `combine.fit_confusions`; of a gold item it is fitted
    on the other gold, which is what the fit of a, b and c sees; where there is one gold label alone, on that one. Of gold
    every peer has an opinion, as alone as it is used in the pool: the mean of several would be surer of itself and
    oftener right than any of them. All K opinions of a gold item together count as one item.

    Args:
        peer: (N, C) probabilities of a peer that was not trained on the item.
        peer_on_gold: (K, n, C) those of gold items by K peers.
        claims: (M, N) long, claims_on_gold: (M, n) long; -1 abstains.
        labels: (n,) long gold classes.
        known: (M, C) bool, which classes a teacher knows; None: all.

    Raises:
        DataError: no gold, or shapes that do not fit.

    Source: ours; the pool is Genest and Zidek 1986, the error model Dawid and Skene 1979 counted on gold.
    """
    classes = peer.shape[-1]
    if not len(labels):
        raise DataError("A peer's say is fitted on gold, and there is none; give gold.")
    if peer_on_gold.ndim != 3 or not peer_on_gold.shape[1] == len(labels) == claims_on_gold.shape[1]:
        raise DataError(
            f"There are {len(labels)} gold labels, opinions {tuple(peer_on_gold.shape)} and {claims_on_gold.shape[1]} "
            f"claims on gold; legal opinions are (peers, {len(labels)}, {classes}), and each item has a claim."
        )
    if claims.shape[1] != len(peer):
        raise DataError(
            f"There are {len(peer)} opinions and {claims.shape[1]} claims on the pool; each item has one of each."
        )

    def meaning(rows: Tensor, asked: Tensor, shrinkage: float) -> Tensor:
        fitted = combine.fit_confusions(claims_on_gold[:, rows], labels[rows], claims, classes, shrinkage, known)
        return fitted.posterior(asked)

    every = torch.arange(len(labels))
    turns = [every[turn::TURNS] for turn in range(min(TURNS, len(labels)))]
    best: tuple[float, Tensor, float, Tensor] | None = None
    for shrinkage in SHRINKAGES:
        held = torch.zeros(len(labels), classes)
        for turn in turns:
            rest = every[~torch.isin(every, turn)] if len(turns) > 1 else every
            held[turn] = meaning(rest, claims_on_gold[:, turn], shrinkage)
        opinions = torch.stack([_opinions(one, held, claims_on_gold) for one in peer_on_gold], 1)  # (3, K, n, C)
        say, loss = fit_say(opinions, labels, (1.0, 1.0, 0.0))
        if best is None or loss < best[0]:
            best = (loss, say, shrinkage, opinions)
    assert best is not None, "there is at least one shrinkage"
    _, say, shrinkage, on_gold = best
    opinions = _opinions(peer, meaning(every, claims, shrinkage), claims)
    return Advice(pool(opinions, say), pool(on_gold, say), say, shrinkage)


def pool(opinions: Tensor, say: Tensor) -> Tensor:
    """Log-linear pool: log opinions (F, ..., C) with exponents (F,) to probabilities (..., C)."""
    return torch.einsum("f,f...c->...c", say.to(opinions), opinions).softmax(-1).float()


def fit_say(opinions: Tensor, labels: Tensor, start: Sequence[float]) -> tuple[Tensor, float]:
    """Exponents (F,) >= 0 of largest likelihood on gold, under a ridge towards `start`; and the mean log-loss there.

    Args:
        opinions: (F, K, n, C) log-probabilities, K of each kind for each item, which count as one together.
        labels: (n,) long.
        start: F exponents.
    """
    from scipy.optimize import minimize

    peers = opinions.shape[1]
    said, first = opinions.flatten(1, 2).double().numpy(), np.asarray(start, dtype=np.float64)  # (F, K · n, C)
    gold = labels.repeat(peers).numpy()
    here = np.arange(len(gold))

    def loss(say: np.ndarray) -> tuple[float, np.ndarray]:
        scores = np.einsum("f,fnc->nc", say, said)
        scores -= scores.max(1, keepdims=True)
        chances = np.exp(scores)
        total = chances.sum(1, keepdims=True)
        wrong = chances / total  # (n, C) less the gold class: the gradient of the log-loss by the scores
        wrong[here, gold] -= 1
        away = say - first
        value = float((np.log(total[:, 0]) - scores[here, gold]).sum() / peers + RIDGE * away @ away)
        return value, np.einsum("fnc,nc->f", said, wrong) / peers + 2 * RIDGE * away

    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(first))
    mean = (float(found.fun) - RIDGE * float(((found.x - first) ** 2).sum())) / len(labels)
    return torch.from_numpy(found.x.copy()), mean


def _opinions(peer: Tensor, meaning: Tensor, claims: Tensor) -> Tensor:
    """The pool's three opinions: (B, C), (B, C) and (M, B) to logs and shares (3, B, C)."""
    counts = votes(claims, peer.shape[-1])  # (B, C)
    shares = counts / counts.sum(-1, keepdim=True).clamp(min=1)
    return torch.stack([peer.double().clamp(min=FLOOR).log(), meaning.double().clamp(min=1e-6).log(), shares.double()])
