"""How far two clouds of features lie apart, as distributions rather than item by item.

Knows features of one size. Knows nothing of whose they are, or of what is learned from the distance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernels, over the mean squared distance


def discrepancy(one: Tensor, other: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two clouds under five Gaussian kernels: (n, d) and (m, d) to (), at least 0.

    The widths go by the mean squared distance between all points, which is taken as given: no gradient follows it. 0 where
    the clouds are equal, and where all points are one. Source: Gretton et al. 2012, equation 5.

    Raises:
        DataError: an empty cloud, or sizes that differ.
    """
    if one.dim() != 2 or other.dim() != 2 or one.shape[1] != other.shape[1] or not len(one) or not len(other):
        raise DataError(
            f"Features are {tuple(one.shape)} and {tuple(other.shape)}; legal are (n, d) and (m, d), some of each."
        )
    points = torch.cat([one, other])
    length = points.square().sum(-1)
    apart = (length.unsqueeze(0) + length.unsqueeze(1) - 2 * points @ points.T).clamp(min=0)  # (n + m, n + m), squared
    scale = apart.detach().mean()
    scale = torch.where(scale > 0, scale, 1.0)
    kernel = sum(((-apart / (width * scale)).exp() for width in WIDTHS), torch.zeros_like(apart)) / len(WIDTHS)
    count = len(one)
    value: Tensor = kernel[:count, :count].mean() + kernel[count:, count:].mean() - 2 * kernel[:count, count:].mean()
    return value.clamp(min=0)
