"""Which source knows an item, learned from what all of them say of it side by side.

A specialist that meets a stranger's item answers in a way of its own: a teacher of banking says "transfer" of every flight.
One score a source throws that away. Knows the sources' logits in a row, and who knows some items, from gold or from the
items that one source is far ahead on. Does not know classes, or what is learned from the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.trust.adequacy import soft_choice

ROUNDS = 100  # of the fit, which is convex but for one number
HALF, MOST = 0.5, 0.8  # of each source's items: what a pattern is learned from first, and is tried on and learned from then
CARRIES = 0.6  # agreement beyond chance from which on a pattern is believed: chosen on CLINC150 and TREC


@dataclass(frozen=True)
class Pattern:
    """Log-odds of each source, linear in its score and in what everybody says."""

    centre: Tensor  # (D,) of what was said over the items it was made from, and
    spread: Tensor  # (D,)
    slope: Tensor  # () of the scores, at least 0; 0 where none were given
    weight: Tensor  # (M, D)
    bias: Tensor  # (M,)

    def scores(self, scores: Tensor, said: Tensor) -> Tensor:
        """Scores (M, n) and what everybody says (n, D) to log-odds (M, n); -inf where a source said nothing."""
        odds = self.weight @ _scaled(said, self.centre, self.spread).T + self.bias.unsqueeze(-1)
        silent = scores == -torch.inf
        return (odds + self.slope * scores.masked_fill(silent, 0.0)).masked_fill(silent, -torch.inf)


def fit_pattern(scores: Tensor, said: Tensor, adequate: Tensor, strength: float = 1.0) -> Pattern:
    """Fit a pattern where it is known who knows: multinomial logistic regression with the scores as a head start.

    Args:
        scores: (M, n) log-odds up to a factor, such as energies; zeros: no head start.
        said: (n, D) what all sources say, side by side; finite.
        adequate: (M, n) bool, who knows the item; where several do any of them is right.
        strength: of the pull towards the scores alone, in gold items, above 0.

    Raises:
        DataError: shapes that do not fit, a strength that is not above 0, or no item that tells the sources apart.
    """
    if adequate.shape != scores.shape or len(said) != scores.shape[-1]:
        sizes = f"{tuple(scores.shape)}, {tuple(said.shape)} and {tuple(adequate.shape)}"
        raise DataError(f"Scores, what was said and who knows are {sizes}; legal are (M, n), (n, D) and (M, n).")
    if not strength > 0:
        raise DataError(f"strength is {strength}; legal is any number above 0.")
    spoke = scores > -torch.inf
    told = (adequate & spoke).any(0) & (~adequate & spoke).any(0)
    if not bool(told.any()):
        raise DataError("No gold item tells the teachers apart: one whose class some of them know and others do not.")
    heard: Tensor = said[told].double()
    start, known = scores[:, told].double(), adequate[:, told]
    centre, spread = heard.mean(0), heard.std(0, unbiased=False).clamp(min=1e-6)
    shape = (len(scores), said.shape[1])
    weight = torch.zeros(shape, dtype=torch.double, requires_grad=True)
    bias = torch.zeros(len(scores), dtype=torch.double, requires_grad=True)
    slope = torch.zeros((), dtype=torch.double, requires_grad=True)  # its logarithm
    search = torch.optim.LBFGS([weight, bias, slope], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        odds = Pattern(centre, spread, slope.exp(), weight, bias).scores(start, heard)
        right = odds.logsumexp(0) - odds.masked_fill(~known, -torch.inf).logsumexp(0)
        pull = weight.square().sum() + 0.01 * (bias.square().sum() + slope.square())
        loss = right.mean() + strength * pull / right.shape[0]
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    search.step(closure)  # type: ignore[no-untyped-call]
    parts = (centre, spread, slope.detach().exp(), weight.detach(), bias.detach())
    return Pattern(*(part.to(scores.dtype) for part in parts))


def self_taught(odds: Tensor, said: Tensor) -> tuple[Tensor, float]:
    """Log-odds without gold: their own, plus those of a pattern learned where one source is clearly ahead.

    A pattern is believed if it carries: learned from the clearer half of each source's items it must find again, on the next
    three tenths, what the odds say there. Else the odds' own log-chances come back.

    Args:
        odds: (M, N) log-odds, such as energies.
        said: (N, D) what all sources say, side by side; finite.

    Returns:
        Log-chances (M, N), and how well the pattern carries: its agreement with the odds on those items, corrected for
        chance, 1 at most; 0 where fewer than two sources are ahead anywhere.
    """
    chances = soft_choice(odds, 1.0)
    top = chances.topk(min(2, len(odds)), dim=0).values
    ahead = top[0] - top[-1] * (len(odds) > 1)  # (N,)
    first = chances.argmax(0).masked_fill(top[0] == 0, -1)  # (N,)
    clear, next_ = (
        [_ahead(ahead, first == source, *span) for source in range(len(odds))] for span in ((0, HALF), (HALF, MOST))
    )
    leading = sum(bool(len(one)) for one in clear)
    carries = 0.0
    if leading > 1 and any(len(one) for one in next_):
        held = torch.cat(next_)
        again = float((_learned(odds, said, first, torch.cat(clear))[:, held].argmax(0) == first[held]).double().mean())
        carries = (again - 1 / leading) / (1 - 1 / leading)
    if carries >= CARRIES:
        taken = torch.cat(clear + next_)
        learned = _learned(odds, said, first, taken)
        chances = soft_choice(_log(chances) + _log(learned), 1.0).masked_fill(odds == -torch.inf, 0.0)
    silent = odds == -torch.inf
    return _log(chances).masked_fill(silent, -torch.inf), max(carries, 0.0)


def _learned(odds: Tensor, said: Tensor, first: Tensor, rows: Tensor) -> Tensor:
    """Chances (M, N) by a pattern that takes `first` (N,) for right on some rows, and starts from nothing."""
    known = torch.nn.functional.one_hot(first[rows], len(odds)).T.bool()
    level = torch.zeros_like(odds).masked_fill(odds == -torch.inf, -torch.inf)
    return soft_choice(fit_pattern(level[:, rows], said[rows], known).scores(level, said), 1.0)


def _log(chances: Tensor) -> Tensor:
    return chances.clamp(min=torch.finfo(chances.dtype).tiny).log()


def _ahead(ahead: Tensor, own: Tensor, start: float, stop: float) -> Tensor:
    """Rows of `own` (N,) bool, from one share to another in the order of how far ahead they are."""
    rows = own.nonzero().squeeze(-1)
    order: Tensor = rows[ahead[rows].argsort(descending=True, stable=True)]
    return order[round(start * len(rows)) : round(stop * len(rows))]


def _scaled(said: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    scaled: Tensor = (said - centre) / (spread * said.shape[1] ** 0.5)
    return scaled
