"""Divergences between a target distribution and a student's logits.

Knows temperature and its T² factor. Gradients stay finite at -inf logits and saturated rows; a value is +inf only
where the student rules out a class that the target wants, and NaN where logits are NaN or +inf: nothing is hidden.
Does not know where the target came from. Every function maps (*items, C) to (*items,), in nats.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy -Σ target · log softmax(logits).

    Args:
        logits: (*items, C) of the student.
        target: (*items) long class indices, -1 for "no target" (loss 0, no gradient); or (*items, C) probabilities.
            A target row of zeros says nobody knows: its loss is 0.

    Raises:
        DataError: a target of another shape; on the CPU, a class index that is none.
    """
    if target.dtype == torch.long and target.shape == logits.shape[:-1]:
        try:
            flat = torch.nn.functional.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), target.reshape(-1), ignore_index=-1, reduction="none"
            )
        except IndexError as error:
            raise DataError(f"{error} Legal is 0 to {logits.shape[-1] - 1}, -1 for none.") from error
        return flat.reshape(target.shape)
    check(target, logits)
    return _times_log(-target, logits.log_softmax(-1))  # the sign on the side that needs no gradient


def forward_kl(logits: Tensor, target_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · KL(softmax(target / T) ‖ softmax(logits / T)), zero at equality, with the factor T² for every T.

    Args:
        logits: (*items, C) of the student; target_logits: (*items, C) of the teacher, -inf at classes it does not
            know; temperature: T > 0, used for both.

    A class the teacher does not know takes no part: the student is renormalised over the classes it does know, since
    "does not know" is not "no". A row in which it knows none has loss 0.

    Source: Hinton et al. 2015, section 2; OKD card, equation 2 with its sign put right.
    """
    check(target_logits, logits)
    check_temperature(temperature)
    log_q, log_p, nobody = over_known(logits / temperature, target_logits / temperature)
    return temperature**2 * kl(log_p, log_q).masked_fill(nobody, 0)


def reverse_kl(logits: Tensor, target_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · KL(softmax(logits / T) ‖ softmax(target / T)): the student is charged for mass where the teacher has little.

    Arguments and unknown classes as in `forward_kl`.

    Source: Gu et al. 2023 (MiniLLM), equation 1.
    """
    check(target_logits, logits)
    check_temperature(temperature)
    log_q, log_p, nobody = over_known(logits / temperature, target_logits / temperature)
    return temperature**2 * kl(log_q, log_p).masked_fill(nobody, 0)


def symmetric_kl(logits: Tensor, target_logits: Tensor, temperature: float = 1.0, reverse: float = 0.5) -> Tensor:
    """(1 - reverse) · forward KL + reverse · reverse KL; at ½, half of Jeffreys' divergence, symmetric.

    Arguments and unknown classes as in `forward_kl`; reverse: in [0, 1]. DistiLLM's code, where it is a baseline, has .9.

    Source: Jeffreys 1946; Ko et al. 2024 (DistiLLM), official code.
    """
    check(target_logits, logits)
    check_temperature(temperature)
    check_share("reverse", reverse)
    log_q, log_p, nobody = over_known(logits / temperature, target_logits / temperature)
    if reverse in (0.0, 1.0):  # the other side may be infinite, and takes no part
        both = kl(log_q, log_p) if reverse else kl(log_p, log_q)
    else:
        both = (1 - reverse) * kl(log_p, log_q) + reverse * kl(log_q, log_p)
    return temperature**2 * both.masked_fill(nobody, 0)


def over_known(logits: Tensor, target_logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities of student and target over the target's known classes (*items, C), and rows without any (*items)."""
    unknown = target_logits == -torch.inf
    nobody = unknown.all(-1, keepdim=True)
    log_q = logits.masked_fill(unknown & ~nobody, -torch.inf).log_softmax(-1)
    log_p = target_logits.masked_fill(nobody, 0).log_softmax(-1)  # log_softmax of -inf alone would be NaN
    return log_q, log_p, nobody.squeeze(-1)


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p ‖ q) from log-probabilities; where p is 0 it adds nothing, to the value and to the gradient. NaN stays NaN."""
    said = log_p != -torch.inf
    safe_p = torch.where(said, log_p, torch.zeros_like(log_p))
    safe_q = torch.where(said, log_q, torch.zeros_like(log_q))
    return (torch.where(said, safe_p.exp(), torch.zeros_like(safe_p)) * (safe_p - safe_q)).sum(-1)


def _times_log(target: Tensor, log_q: Tensor) -> Tensor:
    """Σ target · log_q with 0 · -inf = 0, gradient included: (*items, C) twice to (*items,)."""
    return (target * log_q.masked_fill(target == 0, 0)).sum(-1)


def check(target: Tensor, logits: Tensor) -> None:
    """Raises DataError for a target of another shape."""
    if target.shape != logits.shape:
        raise DataError(
            f"The target is {tuple(target.shape)} but the student's logits are {tuple(logits.shape)}; legal are the "
            f"same shape, or int64 class indices {tuple(logits.shape[:-1])}."
        )


def check_share(name: str, share: float) -> None:
    """Raises DataError for a share outside [0, 1]."""
    if not 0 <= share <= 1:
        raise DataError(f"{name} is {share}; legal is 0 to 1.")


def check_temperature(temperature: float) -> None:
    """Raises DataError for a temperature that is not above 0."""
    if not temperature > 0:
        raise DataError(f"temperature is {temperature}; legal is any number above 0.")
