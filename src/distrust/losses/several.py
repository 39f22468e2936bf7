"""Losses towards several targets: weighted divergence, hints from features, and which gradient lowers all of them.

Knows stacked logits (M, *items, C), features of any one size, weights from elsewhere. Knows nothing of whom to believe, of
trainable parts, or of loops: nothing here waits for a device.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, one_hot

from distrust.errors import DataError
from distrust.losses.divergence import cross_entropy

ROUNDS = 8  # exchanges for each teacher: beyond, the square of the norm falls by less than 1e-4 of the gradients' own


def weighted_kl(logits: Tensor, target_logits: Tensor, weights: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · Σ_k w_k · KL(softmax(z_k / T) ‖ softmax(z / T)), as one divergence from the weighted mean. CA-MKD, equation 3.

    The student's gradient is that of one KL to the mean target; what depends on teachers alone is added for the value.

    Args:
        logits: (*items, C) of the student.
        target_logits: (M, *items, C), each teacher's; -inf at classes that it does not know: its probability there is 0.
        weights: (M, *items), at least 0. They need not sum to one; a teacher of weight 0 may be silent (-inf everywhere).
        temperature: T > 0, of both.

    Returns:
        (*items), 0 where the student says what all teachers say.

    Raises:
        DataError: shapes that do not fit, or a temperature that is not above 0.
    """
    if target_logits.shape[1:] != logits.shape or weights.shape != target_logits.shape[:-1]:
        given = f"{tuple(logits.shape)}, {tuple(target_logits.shape)} and weights {tuple(weights.shape)}"
        raise DataError(f"Student, targets and weights are {given}; legal are (items, C), (M, items, C) and (M, items).")
    if not temperature > 0:
        raise DataError(f"temperature is {temperature}; legal is any number above 0.")
    silent = (target_logits == -torch.inf).all(-1, keepdim=True)
    soft = (target_logits / temperature).masked_fill(silent, 0.0)
    said = soft.softmax(-1)  # (M, *items, C)
    weights = weights * ~silent.squeeze(-1)
    mean = (weights.unsqueeze(-1) * said).sum(0)
    entropy = cross_entropy(soft, said)  # (M, *items)
    return temperature**2 * (cross_entropy(logits / temperature, mean) - (weights * entropy).sum(0))


def hint(projected: Tensor, feature: Tensor) -> Tensor:
    """Mean squared error over everything but items: (n, ...) twice to (n,). Romero et al. 2015; the term of CA-MKD, eq. 5.

    A mean rather than a squared norm, as in the official code: β = 50 is tuned to it.

    Raises:
        DataError: features of different shapes.
    """
    if projected.shape != feature.shape:
        raise DataError(
            f"A feature is {tuple(feature.shape)} and what is held to it {tuple(projected.shape)}; both are one size."
        )
    return (projected - feature).square().flatten(1).mean(1)


def resized(feature: Tensor, size: tuple[int, int]) -> Tensor:
    """A feature map at a teacher's size: (n, C, H, W) to (n, C, *size).

    Pooled to a mean where it is larger in both directions or equal, else interpolated. CA-MKD card, algorithm.
    """
    height, width = feature.shape[-2:]
    if (height, width) == size:
        return feature
    if height >= size[0] and width >= size[1]:
        return adaptive_avg_pool2d(feature, size)
    return interpolate(feature, size, mode="bilinear", align_corners=False)


def least_combination(gradients: Tensor, cap: float = 1.0) -> Tensor:
    """Combine gradients to the least norm: min_a ½‖Σ_k a_k g_k‖², Σ a = 1, 0 ≤ a_k ≤ cap. AEKD, Du et al. 2020.

    Where it is not zero, moving against it lowers every teacher's loss that no cap holds back. Found on the M x M products
    by a fixed number of exact exchanges, between the teacher that should gain most and the one that should give most.

    Args:
        gradients: (M, D), each teacher's.
        cap: at most so much of one teacher; where M · cap < 1 no such combination exists and each gets 1 / M.

    Returns:
        (M,) without gradient.

    Raises:
        DataError: gradients of another shape, or a cap that is not above 0.
    """
    if gradients.dim() != 2 or not len(gradients):
        raise DataError(f"Gradients are {tuple(gradients.shape)}; legal is (teachers, size), with a teacher or more.")
    if not cap > 0:
        raise DataError(f"cap is {cap}; legal is any number above 0.")
    count = len(gradients)
    cap = max(cap, 1 / count)
    flat = gradients.detach().double()
    products = flat @ flat.T  # (M, M)
    share = torch.full((count,), 1 / count, dtype=torch.float64, device=flat.device)
    for _ in range(ROUNDS * count):
        slope = products @ share
        # one-hot rather than an index: a place on the device would have to be waited for
        gains = one_hot(slope.masked_fill(share >= cap, torch.inf).argmin(), count).double()
        gives = one_hot(slope.masked_fill(share <= 0, -torch.inf).argmax(), count).double()
        way = gains - gives
        bend = way @ products @ way
        best = -(slope @ way) / torch.where(bend > 0, bend, 1.0)
        moved = torch.minimum(torch.minimum(best, cap - share @ gains), share @ gives).clamp(min=0)
        share = (share + moved * way).clamp(0, cap)
    return share.to(gradients.dtype)
