"""How much to believe each teacher on each item, from how well it foretells the item's label.

Knows logits of several teachers, -inf at classes that a teacher does not know, and what is known of the items: labels, or a
distribution where nobody labelled. Blind to teachers that learned these very items by heart: all look alike there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from distrust.errors import DataError, nearest


def label_loss(logits: Tensor, labels: Tensor, answered: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cross-entropy of every teacher with the label, and how much of the label each teacher can speak of. CA-MKD, eq. 1.

    Args:
        logits: (M, *items, C), finite or -inf at classes that a teacher does not know; temperature 1.
        labels: (*items) long, -1 where nothing is known; or (*items, C) probabilities, a row of zeros where nothing is.
        answered: (M, *items) bool; None: wherever a teacher knows any class.

    Returns:
        loss (M, *items) in nats, expected over the label's classes that the teacher knows; 0 where it knows none of them.
        heard (M, *items) in [0, 1]: the label's mass on classes that the teacher knows, 0 where it did not answer; where
        nothing is known of the item, 1 for all who answered.

    Raises:
        DataError: labels or a mask of another shape.
    """
    if labels.dtype == torch.long and labels.shape == logits.shape[1:-1]:
        target = one_hot(labels.clamp(min=0), logits.shape[-1]) * (labels >= 0).unsqueeze(-1)
    elif labels.dtype != torch.long and labels.shape == logits.shape[1:]:
        target = labels
    else:
        legal = f"{tuple(logits.shape[1:-1])} int64, or probabilities {tuple(logits.shape[1:])}"
        raise DataError(f"Labels are {tuple(labels.shape)} {labels.dtype}; legal for these logits is {legal}.")
    speaks = speaking(logits, answered)
    knows = logits > -torch.inf
    said = logits.masked_fill(~knows.any(-1, keepdim=True), 0.0).log_softmax(-1)  # of -inf alone it would be NaN
    target = target.to(said.dtype)
    mass = (target * knows).sum(-1)  # (M, *items)
    nothing = target.sum(-1) == 0  # (*items)
    loss = -(target * said.masked_fill(~knows, 0.0)).sum(-1) / torch.where(mass > 0, mass, 1.0)
    return loss, torch.where(nothing, 1.0, mass) * speaks


def ca_mkd_weights(loss: Tensor, heard: Tensor) -> Tensor:
    """One minus the softmax of the losses, over M - 1: (M, *items) twice to weights (M, *items). CA-MKD, eq. 2.

    M counts those that are heard; a single one gets all. No weight exceeds 1 / (M - 1): the worst teacher is rejected, the
    best not chosen, so a bad majority keeps most of the weight.
    """
    return shared(1 - _over_heard(loss, heard), heard)


def softmin_weights(loss: Tensor, heard: Tensor, tau: float = 1.0) -> Tensor:
    """softmax(-loss / tau) over those that are heard: (M, *items) twice to weights (M, *items); no ceiling.

    Raises:
        DataError: a tau that is not above 0.
    """
    if not tau > 0:
        raise DataError(f"tau is {tau}; legal is any number above 0.")
    return shared(_over_heard(-loss / tau, heard), heard)


def reciprocal_weights(loss: Tensor, heard: Tensor) -> Tensor:
    """1 / (1 + loss), scaled to sum to one: (M, *items) twice to weights (M, *items). MT-BERT (arXiv 2106.01023), scaled."""
    return shared(1 / (1 + loss), heard)


RULES = {"ca_mkd": ca_mkd_weights, "softmin": softmin_weights, "reciprocal": reciprocal_weights}


def label_weights(logits: Tensor, labels: Tensor, answered: Tensor | None = None, rule: str = "ca_mkd") -> Tensor:
    """Weights (M, *items) by one of the rules, `ca_mkd`, `softmin` or `reciprocal`, of the arguments of `label_loss`.

    Zero where a teacher did not answer or does not know the label's class, and they sum to one over the others; where the
    label is a distribution, a teacher counts by the mass of the classes it knows. One teacher gets 1, equal teachers 1 / M.
    A gradient flows through them: detach where the student's own output is weighed.

    Raises:
        DataError: another rule, or shapes that do not fit.
    """
    if rule not in RULES:
        raise DataError(f"There is no rule {rule!r} for weights by label; {nearest(rule, RULES)}.")
    return RULES[rule](*label_loss(logits, labels, answered))


def shared(trust: Tensor, heard: Tensor) -> Tensor:
    """Trust times how much each is heard, scaled to sum to one: (M, *items) twice to the same; evenly where all trust is 0.

    As `combine.normalise`, without its checks: nothing here waits for a device, so it may run within a training step.
    """
    counted = trust * heard
    total = counted.sum(0)
    even = heard / torch.where(heard.sum(0) > 0, heard.sum(0), 1.0)
    return torch.where(total > 0, counted / torch.where(total > 0, total, 1.0), even)


def speaking(logits: Tensor, answered: Tensor | None) -> Tensor:
    """Who says anything of which item: (M, *items) bool. Raises DataError for a mask of another shape."""
    if answered is not None and answered.shape != logits.shape[:-1]:
        raise DataError(f"`answered` is {tuple(answered.shape)}; legal is {tuple(logits.shape[:-1])}, as the logits' rows.")
    knows = (logits > -torch.inf).any(-1)
    return knows if answered is None else knows & answered


def _over_heard(score: Tensor, heard: Tensor) -> Tensor:
    """Softmax over the teachers that are heard, 0 for the others: (M, *items) twice to (M, *items)."""
    return score.masked_fill(heard <= 0, torch.finfo(score.dtype).min).softmax(0) * (heard > 0)
