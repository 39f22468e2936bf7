"""The ordinary objective: what a student minimises when a method asks for nothing else. Hinton et al. 2015.

Knows targets at a temperature and gold labels at 1. Knows nothing of teachers, of trust, or of loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor
from torch.nn import functional

from distrust.labelled import Labelled
from distrust.losses import cross_entropy
from distrust.objective import Objective, Term

torch_cross_entropy = partial(functional.cross_entropy, reduction="none")


def to_tokens(logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy to the next token: logits (n, T, V) and the batch's labels (n, T), to (n, T); 0 where none counts."""
    return torch_cross_entropy(logits.transpose(1, 2), batch["labels"])  # -100 is ignored


def default_objective(labelled: Labelled, temperature: float = 1.0) -> Objective:
    """T² times cross-entropy to the targets at temperature T, and cross-entropy to the gold labels at 1.

    A row without the one or the other gets no loss from it, and a training set without the one or the other no term.
    Where answers are open, cross-entropy to each token of the completions, at temperature 1.
    Source: Hinton et al. 2015, section 2 (as a cross-entropy: the same gradient as the forward KL).
    """
    if labelled.texts is not None:
        return Objective({"completion": Term(to_tokens)})

    # torch's own is a fifth of a small step faster, and NaN where a target of 0 meets a logit of -inf: only without zeros
    to_target = cross_entropy if bool((labelled.targets == 0).any()) else torch_cross_entropy

    def to_targets(logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        if temperature == 1.0:
            return to_target(logits, batch["targets"])
        return temperature**2 * to_target(logits / temperature, batch["targets"])

    def to_gold(logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        return cross_entropy(logits, batch["labels"])

    terms = {"target": Term(to_targets)} if labelled.has_targets else {}
    return Objective(terms | ({"gold": Term(to_gold)} if labelled.has_labels else {}))
