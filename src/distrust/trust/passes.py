"""How sure a source is over several answers of its own: Monte-Carlo passes, or the members of an ensemble.

Knows distributions (P, ..., C), one a pass. Does not know how passes came to differ, or who else was asked.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.trust.distribution import certainty, entropy


def mc_certainty(passes: Tensor) -> Tensor:
    """One minus the normalised entropy of the mean pass, a trust: (P, ..., C) to (...), in [0, 1]. MUKA, equations 3 and 4.

    The entropy of the mean, not the mean entropy: passes that are sure of opposite things are unsure together. With one
    class it is 1, and a single pass is its own mean. Raises DataError without any pass.
    """
    return certainty(_mean(passes))


def consensus(passes: Tensor) -> Tensor:
    """One minus the normalised mutual information of class and pass, a trust: (P, ..., C) to (...), in [0, 1].

    1 where all passes (or members of an ensemble) say the same, however unsure they are of it; 0 where they split evenly
    over all classes and each is certain. Source: BALD (Houlsby et al. 2011); Lakshminarayanan et al. 2017 for ensembles.
    Raises DataError without any pass.
    """
    mean = _mean(passes)
    return spread_apart(mean, entropy(passes).mean(0))


def spread_apart(mean: Tensor, expected: Tensor) -> Tensor:
    """`consensus` from what passes leave: their mean (..., C) and the mean of their entropies in nats (...)."""
    scale = torch.tensor(float(max(mean.shape[-1], 2)), dtype=mean.dtype, device=mean.device).log()
    return (1 - (entropy(mean) - expected) / scale).clamp(0, 1)


def _mean(passes: Tensor) -> Tensor:
    if passes.dim() < 2 or not len(passes):
        raise DataError(f"Passes are {tuple(passes.shape)}; legal is (passes, ..., classes), with a pass or more.")
    return passes.mean(0)
