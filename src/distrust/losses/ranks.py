"""Losses that go by the order of classes: the head and the tail of a distribution weighed apart, and ranks themselves.

Knows logits (*items, C) of both sides; p is the teacher, q the student. Unknown classes as in `divergence`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.losses.divergence import check, check_share, check_temperature, kl, over_known

SMALLEST = 1e-3  # of a spread of ranks that is still divided by: ranks lie about 1 apart


def adaptive_kl(logits: Tensor, target_logits: Tensor, temperature: float = 1.0, head: float = 0.5) -> Tensor:
    """T² · [w · KL(p ‖ q) + (1 - w) · KL(q ‖ p)], w the share of Σ |p - q| that lies in the teacher's head.

    The head is the likeliest class and those after it while their mass together is at most `head`. w is taken as given, no
    gradient follows it; it is ½ where the sides agree.

    Args:
        logits: (*items, C) of the student; target_logits: (*items, C) of the teacher; temperature: T > 0; head: in [0, 1].

    Source: Wu et al. 2024 (AKL, arXiv 2404.02657), for T = 1; that the likeliest class always counts as head: official code.
    """
    check(target_logits, logits)
    check_temperature(temperature)
    check_share("head", head)
    log_q, log_p, nobody = over_known(logits / temperature, target_logits / temperature)
    p, q = log_p.detach().exp(), log_q.detach().exp()
    ordered, order = p.sort(dim=-1, descending=True, stable=True)
    gap = (p - q).abs()
    in_head = ordered.cumsum(-1) <= head
    in_head[..., :1] = True
    all_gap = gap.sum(-1)
    share = (gap.gather(-1, order) * in_head).sum(-1) / torch.where(all_gap > 0, all_gap, 1)
    share = torch.where(all_gap > 0, share, 0.5)
    forward, reverse = kl(log_p, log_q), kl(log_q, log_p)
    value = _weighed(share, forward) + _weighed(1 - share, reverse)
    return temperature**2 * value.masked_fill(nobody, 0)


def ranking(logits: Tensor, target_logits: Tensor, temperature: float = 1.0, top: int = 10) -> Tensor:
    """1 - Spearman's ρ between soft ranks, on the teacher's likeliest classes and on the student's, the mean of both.

    The soft rank of a class is 1 + Σ over the others of sigmoid((z_other - z) / T). In [0, 2], 0 at equality; stands
    beside a divergence, since it says nothing of how likely. Where ranks hardly spread, they are taken as tied.

    Args:
        logits: (*items, C) of the student; target_logits: (*items, C) of the teacher.
        temperature: T > 0, how soft a rank is; no factor of T². top: how many classes of each side, at least 1.

    Source: RLKD (arXiv 2409.12545) as an idea: no code is known, and how ranks are softened is ours.
    """
    check(target_logits, logits)
    check_temperature(temperature)
    if top < 1:
        raise DataError(f"top is {top}; legal is 1 or more.")
    log_q, log_p, nobody = over_known(logits, target_logits)
    log_q = torch.where(nobody.unsqueeze(-1), log_q.detach(), log_q)
    kept = min(top, logits.shape[-1])
    apart = [_rank_distance(log_q, log_p, side.detach().topk(kept, -1).indices, temperature) for side in (log_p, log_q)]
    return ((apart[0] + apart[1]) / 2).masked_fill(nobody, 0)


def _rank_distance(log_q: Tensor, log_p: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Half the squared distance of centred ranks at length 1, which is 1 - ρ: (*items, C) at (*items, k) to (*items,)."""
    known = log_p.gather(-1, classes) != -torch.inf  # NaN stays NaN
    ranks = []
    for side in (log_q, log_p):
        z = side.gather(-1, classes)
        low = torch.finfo(z.dtype).min / 4  # a class that is ruled out ranks last, with no gradient
        z = z.masked_fill(z == -torch.inf, low)
        rank = ((z.unsqueeze(-2) - z.unsqueeze(-1)) / temperature).sigmoid() * known.unsqueeze(-2)  # (*items, k, k)
        rank = rank.sum(-1) * known
        rank = (rank - rank.sum(-1, keepdim=True) / known.sum(-1, keepdim=True).clamp(min=1)) * known
        length = (rank.square().sum(-1, keepdim=True) + SMALLEST**2).sqrt()
        ranks.append(rank / length)
    return (ranks[0] - ranks[1]).square().sum(-1) / 2


def _weighed(share: Tensor, value: Tensor) -> Tensor:
    """share · value, where a share of 0 leaves out an infinite value too."""
    return share * torch.where(share > 0, value, 0)
