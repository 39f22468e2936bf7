"""Divergences of a side from a mixture of both: Jensen-Shannon and the skew KLs, bounded where a plain KL is not.

Knows logits (*items, C) of both sides. The logarithm is that of the mixture, never a mixture of logarithms. p is the
teacher, q the student, everywhere; unknown classes, temperature and its T² as in `divergence`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.losses.divergence import check, check_share, check_temperature, forward_kl, kl, over_known, reverse_kl


def jensen_shannon(logits: Tensor, target_logits: Tensor, temperature: float = 1.0, beta: float = 0.5) -> Tensor:
    """T² · [β · KL(p ‖ m) + (1 - β) · KL(q ‖ m)] with m = β·p + (1 - β)·q; at β = ½ symmetric and at most log 2.

    Args:
        logits: (*items, C) of the student; target_logits: (*items, C) of the teacher; temperature: T > 0.
        beta: the teacher's share of the mixture, in [0, 1]. At the ends the formula is 0 for any two sides; what is computed
            there is its limit over β(1 - β): the forward KL at 0, the reverse KL at 1, as GKD has it. So the value jumps:
            for p = (¼, ¾), q = (½, ½) it is .00014 at β = .999 and .14384 at 1. DistiLLM's code weighs the other way round.

    Source: Agarwal et al. 2024 (GKD, arXiv 2306.13649), the generalised JSD(β).
    """
    check_share("beta", beta)
    if beta == 0:
        return forward_kl(logits, target_logits, temperature)
    if beta == 1:
        return reverse_kl(logits, target_logits, temperature)
    log_q, log_p, nobody = _sides(logits, target_logits, temperature)
    mixed = _log_mixture(log_p, log_q, beta)
    value = beta * kl(log_p, mixed) + (1 - beta) * kl(log_q, mixed)
    return temperature**2 * value.masked_fill(nobody, 0)


def skew_forward_kl(logits: Tensor, target_logits: Tensor, temperature: float = 1.0, skew: float = 0.1) -> Tensor:
    """T² · KL(p ‖ skew·p + (1 - skew)·q), at most -log(skew): forward KL at skew 0.

    Arguments as in `jensen_shannon`; skew: in [0, 1); at 1 there would be nothing to learn.

    Source: Ko et al. 2024 (DistiLLM, arXiv 2402.03898), the α-skew KL.
    """
    _check_skew(skew)
    log_q, log_p, nobody = _sides(logits, target_logits, temperature)
    mixed = _log_mixture(log_p, log_q, skew) if skew else log_q
    return temperature**2 * kl(log_p, mixed).masked_fill(nobody, 0)


def skew_reverse_kl(logits: Tensor, target_logits: Tensor, temperature: float = 1.0, skew: float = 0.1) -> Tensor:
    """T² · KL(q ‖ (1 - skew)·p + skew·q), at most -log(skew): reverse KL at skew 0.

    Arguments and source as in `skew_forward_kl`.
    """
    _check_skew(skew)
    log_q, log_p, nobody = _sides(logits, target_logits, temperature)
    mixed = _log_mixture(log_p, log_q, 1 - skew) if skew else log_p
    return temperature**2 * kl(log_q, mixed).masked_fill(nobody, 0)


def interpolated_kl(logits: Tensor, target_logits: Tensor, temperature: float = 1.0, share: float | Tensor = 0.5) -> Tensor:
    """T² · KL(m ‖ q) with m = softmax of (1 - share) · student's + share · teacher's logits, the student's taken as given.

    A target on the way from the student, at share 0, to the teacher, at 1. Its gradient at the logits is T · (q - m).

    Args:
        logits, target_logits, temperature: as in `jensen_shannon`; share: in [0, 1], or () on the logits' device.

    Source: Shing et al. 2025 (TAID, arXiv 2501.16937), the interpolated distribution.
    """
    check(target_logits, logits)
    if not isinstance(share, Tensor):
        check_share("share", share)
    unknown, given = target_logits == -torch.inf, logits.detach()
    ruled = given == -torch.inf  # by the student, and so by all on the way to the teacher but the teacher itself
    between = (1 - share) * given.masked_fill(ruled, 0) + share * target_logits.masked_fill(unknown, 0)
    return forward_kl(logits, between.masked_fill(unknown | (ruled & (share < 1)), -torch.inf), temperature)


def _sides(logits: Tensor, target_logits: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    check(target_logits, logits)
    check_temperature(temperature)
    return over_known(logits / temperature, target_logits / temperature)


def _log_mixture(log_p: Tensor, log_q: Tensor, share: float) -> Tensor:
    """log(share · p + (1 - share) · q), -inf where both are 0, with a gradient that is finite there too."""
    nowhere = (log_p == -torch.inf) & (log_q == -torch.inf)
    mixed = torch.logaddexp(
        log_p.masked_fill(nowhere, 0) + math.log(share), log_q.masked_fill(nowhere, 0) + math.log1p(-share)
    )
    return mixed.masked_fill(nowhere, -torch.inf)


def _check_skew(skew: float) -> None:
    if not 0 <= skew < 1:
        raise DataError(f"skew is {skew}; legal is 0 up to, but not, 1.")
