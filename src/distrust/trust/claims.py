"""Trust in one source's claims, read off what another source says of the same items.

Knows a judge's probabilities and somebody's claims. Does not know who judged, or whether the judge is right: a judge that
was taught a consistent error finds it likely.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from distrust.errors import DataError


def label_likelihood(probabilities: Tensor, claims: Tensor) -> Tensor:
    """How likely the judge finds each claim: (B, C) and (B,) to (B,), in [0, 1]; 0 where nothing is claimed.

    Args:
        probabilities: (B, C) of the judge.
        claims: (B,) long, -1 abstains; or (B, C) shares of a claim that is split between classes (a tied vote), which is
            as likely as its classes are on average.

    Raises:
        DataError: claims that do not fit the probabilities.

    Source: Peer-Advised KD, equation 1, with a probability in place of the 0-or-1 score of a class (the card's port).
    """
    return (probabilities * _shares(claims, probabilities)).sum(-1)


def label_match(probabilities: Tensor, claims: Tensor) -> Tensor:
    """Whether the judge claims the same: arguments as for `label_likelihood`, to (B,), 0 or 1 (a tied vote: its share).

    Source: Peer-Advised KD, equation 1, taken literally: the score of a class is right or wrong.
    """
    top = probabilities.argmax(-1, keepdim=True)
    return _shares(claims, probabilities).gather(-1, top).squeeze(-1)


def clean_probability(losses: Tensor, seed: int = 0) -> Tensor:
    """How likely each claim is one of the cleanly labelled ones: a judge's loss on it (B,) to (B,), in [0, 1].

    The posterior of the component of smaller mean, of two Gaussians fitted to the losses scaled to [0, 1], with the settings
    of DivideMix's code. Where all losses are equal nothing tells claims apart, and all are taken as clean.

    Raises:
        DataError: fewer than two losses, or one that is not finite.

    Source: Li et al. 2020 (DivideMix), section 3.1; Arazo et al. 2019.
    """
    if len(losses) < 2 or not bool(losses.isfinite().all()):
        raise DataError(f"A mixture of two is fitted to {len(losses)} losses; legal are two or more, all finite.")
    scaled = losses.double() - losses.double().min()
    if not bool(scaled.any()):
        return torch.ones_like(losses)
    from sklearn.mixture import GaussianMixture  # a second to import

    column = (scaled / scaled.max()).unsqueeze(-1).cpu().numpy()  # (B, 1)
    mixture = GaussianMixture(n_components=2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=seed % 2**32).fit(column)
    clean = mixture.predict_proba(column)[:, mixture.means_.argmin()]
    return torch.from_numpy(clean).to(losses)


def _shares(claims: Tensor, probabilities: Tensor) -> Tensor:
    """Claims (B,) or shares (B, C) as shares (B, C); a row of zeros where nothing is claimed."""
    if claims.shape == probabilities.shape:
        return claims.to(probabilities.dtype)
    if claims.dtype != torch.long or claims.shape != probabilities.shape[:-1]:
        fit = f"({probabilities.shape[0]},) long or {tuple(probabilities.shape)}"
        raise DataError(f"Claims are {tuple(claims.shape)} {claims.dtype}; legal is {fit}.")
    said = one_hot(claims.clamp(min=0), probabilities.shape[-1]).to(probabilities.dtype)
    return said * (claims >= 0).unsqueeze(-1)
