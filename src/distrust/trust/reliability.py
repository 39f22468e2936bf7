"""What labels show of each teacher, class by class: what its claims mean, and how right it is.

Knows stacked logits and labels, or a posterior that stands for them. A teacher that exchanges classes is read as what it
means; one that is far behind the best of a class has no say there. Blind to teachers that learned these items by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from distrust.errors import DataError
from distrust.trust.label_weights import label_loss, shared, softmin_weights

SURE = 1.96  # standard errors by which a claim must mean another class in more than half of the items
PRIOR = 4.0  # items by which a teacher's worth in a class is drawn to its worth in all
BEHIND = 0.1  # of probability behind the best teacher of a class, for a say lower by the factor e
LEAST = -100.0  # log-probability of a class that a saturated teacher rules out


@dataclass(frozen=True)
class Reliability:
    """What labels show of M teachers.

    Args:
        meaning: (M, C) long, the class as which a teacher's claim of each class is read.
        right: (M, C) mean probability of class c, so read, where c is the label; drawn to the teacher's overall mean.
    """

    meaning: Tensor
    right: Tensor

    @property
    def renames(self) -> bool:
        """Whether any claim is read as another class."""
        return bool((self.meaning != torch.arange(self.meaning.shape[1], device=self.meaning.device)).any())

    def read(self, logits: Tensor) -> Tensor:
        """Log-probabilities of classes as they are read: logits (M, *items, C) to the same shape.

        -inf at classes that a teacher does not know, or that none of its claims means.
        """
        spread = one_hot(self.meaning, logits.shape[-1]).to(logits)  # (M, C, C)
        knows = logits > -torch.inf
        silent = ~knows.any(-1, keepdim=True)
        said = logits.masked_fill(silent, 0.0).softmax(-1)
        read = torch.einsum("m...j,mjc->m...c", said, spread)
        known = torch.einsum("m...j,mjc->m...c", knows.to(logits.dtype), spread) > 0
        floor = torch.finfo(logits.dtype).tiny
        return read.clamp(min=floor).log().clamp(min=LEAST).masked_fill(~known | silent, -torch.inf)

    def weights(self, logits: Tensor, labels: Tensor) -> Tensor:
        """softmax(-cross-entropy) times exp((right - the best's right) / 0.1), scaled to sum to one: (M, *items).

        Args:
            logits: (M, *items, C) as the teachers said them; their cross-entropy is that of what they are read as.
            labels: (*items, C) probabilities, a row of zeros where nothing is known.
        """
        loss, heard = label_loss(self.read(logits), labels)
        say = torch.einsum("mc,...c->m...", self.say.to(logits), labels.to(logits))
        return shared(softmin_weights(loss, heard) * torch.where(labels.sum(-1) > 0, say, 1.0), heard)

    @property
    def say(self) -> Tensor:
        """How much a teacher counts in a class beside the best of it: (M, C) in (0, 1]."""
        return ((self.right - self.right.amax(0)) / BEHIND).exp()

    def of(self, teachers: Sequence[int]) -> Reliability:
        """The same of some teachers, in the order given."""
        return Reliability(self.meaning[list(teachers)], self.right[list(teachers)])


def reliability(logits: Tensor, labels: Tensor) -> Reliability:
    """Count, on labelled items, what each teacher's claims mean and how right it is.

    A claim of class j is read as class c where c is its label in more than half of the items, beyond doubt (the lower end of
    Wilson's interval is above 1/2); else as j.

    Args:
        logits: (M, N, C), -inf at classes that a teacher does not know, and everywhere where it did not answer.
        labels: (N, C) probabilities; a row of zeros where nothing is known.

    Raises:
        DataError: shapes that do not fit.
    """
    if logits.dim() != 3 or labels.shape != logits.shape[1:]:
        given = f"{tuple(logits.shape)} and labels {tuple(labels.shape)}"
        raise DataError(f"Logits are {given}; legal are (teachers, items, classes) and (items, classes).")
    speaks = (logits > -torch.inf).any(-1)
    truth = labels.double()
    claimed = one_hot(logits.argmax(-1), logits.shape[-1]).double() * speaks.unsqueeze(-1)  # (M, N, C)
    counts = torch.einsum("nc,mnj->mcj", truth, claimed)
    most, best = counts.max(1)  # (M, C) of each claim
    own = torch.arange(logits.shape[-1], device=logits.device)
    meaning = torch.where(_surely(most, counts.sum(1)) > 0.5, best, own)
    plain = Reliability(meaning, most)
    chance = plain.read(logits.double()).exp() * speaks.unsqueeze(-1)
    hits = torch.einsum("mnc,nc->mc", chance, truth)
    items = torch.einsum("mn,nc->mc", speaks.double(), truth)
    overall = (hits.sum(-1) / items.sum(-1).clamp(min=1)).unsqueeze(-1)
    return Reliability(meaning, ((hits + PRIOR * overall) / (items + PRIOR)).to(logits.dtype))


def _surely(hits: Tensor, items: Tensor) -> Tensor:
    """Lower end of Wilson's interval of a share; 0 without items."""
    many = items.clamp(min=1e-9)
    share, z = hits / many, SURE**2
    low = (share + z / (2 * many) - SURE * ((share * (1 - share) + z / (4 * many)) / many).sqrt()) / (1 + z / many)
    return torch.where(items > 0, low, 0.0)
