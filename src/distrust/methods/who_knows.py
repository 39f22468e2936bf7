"""Who knows an item, as values: scores of all teachers on all items, and what all of them say side by side.

Does not know how an item is scored, or what a student is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distrust.errors import RunError
from distrust.methods.specialists import Specialists
from distrust.secrets import show
from distrust.trust.adequacy import choice, soft_choice
from distrust.trust.spreading import neighbourhood

MOST = 50_000  # items of which each pair is looked at for who is near whom


@dataclass(frozen=True)
class Scored:
    """Scores (M, N), higher for who knows the item better, -inf where nothing was said; and how they are to be read."""

    scores: Tensor
    odds: bool  # log-odds, whose softmax over teachers are chances; else in [0, 1], as in the paper

    def weights(self, hard: bool, tau: float) -> Tensor:
        """(M, N): MUKA, equation 5 or 6. τ is of scores in [0, 1]; log-odds are chances as they are."""
        return choice(self.scores) if hard else soft_choice(self.scores, 1.0 if self.odds else tau)

    @property
    def on_one_scale(self) -> Tensor:
        """(M, N) in [0, 1], as equation 7 compares them: the scores, or the chances that log-odds stand for."""
        silent = self.scores == -torch.inf
        return soft_choice(self.scores, 1.0).masked_fill(silent, -torch.inf) if self.odds else self.scores


def side_by_side(here: Specialists) -> Tensor:
    """All teachers' logits in a row: (N, ΣC_own); 0 where one said nothing."""
    said = torch.cat([one.logits for one in here.members], 1)
    return said.masked_fill(~said.isfinite(), 0.0)


def beside(odds: Tensor, seen: Tensor) -> Tensor:
    """Log-chances of the one plus those of the other: (M, N) twice to (M, N); silence stays silence."""
    chances = soft_choice(odds, 1.0).clamp(min=torch.finfo(odds.dtype).tiny)
    return (chances.log() + seen).masked_fill(odds == -torch.inf, -torch.inf)


def nearby(here: Specialists) -> Any | None:
    """Who is near whom in all teachers' features (N, N); None where one keeps none, or there are too many items to look.

    Raises:
        RunError: a feature that is not finite.
    """
    if not all(one.evidence.features for one in here.members) or not 1 < len(here.items) <= MOST or len(here.members) < 2:
        return None
    features = []
    for one in here.members:
        kept = next(iter(one.evidence.features.values()))[:]
        odd = (~kept.flatten(1).isfinite().all(1)).nonzero().squeeze(-1)
        if len(odd):
            item = here.items.ids[int(odd[0])]
            raise RunError(f"{one.teacher.name} has a feature of {show(item)} that is not finite; legal are finite numbers.")
        features.append(kept)
    return neighbourhood(features)
