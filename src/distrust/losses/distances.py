"""Distances that are no KL: total variation, the alpha-beta family, and one between vocabularies that do not match.

Knows logits of both sides; p is the teacher, q the student, everywhere. Unknown classes, temperature and its T² as in
`divergence`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from distrust.errors import DataError
from distrust.losses.divergence import check, check_temperature, kl, over_known


def total_variation(logits: Tensor, target_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · ½ Σ |p - q|: at most T², with a bounded gradient (0 where p = q).

    Args:
        logits: (*items, C) of the student; target_logits: (*items, C) of the teacher; temperature: T > 0.

    Source: Wen et al. 2023 (f-distill), the total variation distance.
    """
    check(target_logits, logits)
    check_temperature(temperature)
    log_q, log_p, nobody = over_known(logits / temperature, target_logits / temperature)
    return temperature**2 * ((log_p.exp() - log_q.exp()).abs().sum(-1) / 2).masked_fill(nobody, 0)


def alpha_beta(
    logits: Tensor, target_logits: Tensor, temperature: float = 1.0, alpha: float = 0.2, beta: float = 0.7
) -> Tensor:
    """T² · -1/(αβ) · Σ [p^α q^β - α/(α+β) · p^(α+β) - β/(α+β) · q^(α+β)], continued to α = 0 and to β = 0.

    (1, 0) is the forward KL and (0, 1) the reverse KL; (½, ½) is four times the squared Hellinger distance.

    Args:
        logits: (*items, C) of the student; target_logits: (*items, C) of the teacher; temperature: T > 0.
        alpha, beta: at least 0, not both 0: others divide by a probability that may be 0.

    Source: Wang et al. 2025 (ABKD, arXiv 2505.04560), definition of the α-β-divergence; Cichocki et al. 2011 for its limits.
    """
    check(target_logits, logits)
    check_temperature(temperature)
    if not (alpha >= 0 and beta >= 0 and alpha + beta > 0):
        raise DataError(f"alpha is {alpha} and beta {beta}; legal is 0 or above for both, not 0 for both.")
    log_q, log_p, nobody = over_known(logits / temperature, target_logits / temperature)
    if not beta:
        value = _one_sided(log_p, log_q, alpha)
    elif not alpha:
        value = _one_sided(log_q, log_p, beta)
    else:
        both = alpha + beta
        product = (alpha * log_p + beta * log_q).exp()
        means = alpha / both * (both * log_p).exp() + beta / both * (both * log_q).exp()
        value = ((means - product) / (alpha * beta)).sum(-1)
    return temperature**2 * value.masked_fill(nobody, 0)


def sorted_distance(logits: Tensor, target_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · Σ_i |p_(i) - q_(i)| between the probabilities of both sides, each sorted: names of classes do not matter.

    So the two may have different tokenizers; the smaller vocabulary is filled up with zeros. It tells how sure to be and not
    of what: beside it belongs a loss on labels. Positions are aligned by the caller; the paper cuts the longer answer to the
    shorter one's length.

    Args:
        logits: (*items, C) of the student; target_logits: (*items, C_own) of the teacher; temperature: T > 0.

    Raises:
        DataError: items that do not fit.

    Source: Boizard et al. 2025 (ULD, arXiv 2402.12030), its closed form of the Wasserstein distance.
    """
    if logits.shape[:-1] != target_logits.shape[:-1]:
        raise DataError(
            f"The student's logits are {tuple(logits.shape)} and the target {tuple(target_logits.shape)}; "
            "legal are (*items, C) and (*items, own C): the last size alone may differ."
        )
    check_temperature(temperature)
    nobody = (target_logits == -torch.inf).all(-1)
    sides = logits, target_logits.masked_fill(nobody.unsqueeze(-1), 0)
    size = max(side.shape[-1] for side in sides)
    q, p = (pad((side / temperature).softmax(-1).sort(-1, True).values, (0, size - side.shape[-1])) for side in sides)
    return temperature**2 * (p - q).abs().sum(-1).masked_fill(nobody, 0)


def _one_sided(log_p: Tensor, log_q: Tensor, power: float) -> Tensor:
    """The limit for one exponent 0: 1/a² · Σ [p^a · log(p^a / q^a) - p^a + q^a], a KL of powers that need not sum to one."""
    extra = ((power * log_q).exp() - (power * log_p).exp()).sum(-1)
    return (kl(power * log_p, power * log_q) + extra) / power**2
