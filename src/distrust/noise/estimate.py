"""From out-of-fold probabilities, claims and gold to the noise rate, the noise matrix and each claim's chance to be wrong.

Knows intervals: with gold they cover 95 %, the rate's whatever the student is worth; without gold they are ranges that
systematic mistakes escape. Does not know where the probabilities came from: they must not have seen an item's own claim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evaluate.scores import Interval, check_labels, wilson
from distrust.noise.counting import FLOOR, Truths, contradicted, explain, with_gold, without_gold

FOLDS = 5  # of gold, for cross-fitting
FEW = 5  # with fewer wrong, or fewer right, gold items than this the student's help is not weighed
HELP = 3  # times the gold there is: no student is credited with more, since its weight is fitted on few items
UNCHECKED = 10.0  # gold labels that the student's word on a claimed class is worth where there is no gold at all
SURE = 0.9  # a claim that the student contradicts so surely is wrong even at the low end
SPREAD = (2.0, 0.5)  # standard deviations of the calibration's intercept about 0 and slope about 1


@dataclass(frozen=True)
class Noise:
    """How noisy a teacher's claims on some items are."""

    rate: Interval  # share of the claims that are wrong
    wrong: Tensor  # (N,) P(this claim is wrong); 0 or 1 where gold says
    truth: Tensor  # (N, C) P(class is true); one-hot where gold says
    matrix: Tensor  # (C, C) P(true | claimed), rows the claimed class
    low: Tensor  # (C, C) and
    high: Tensor  # (C, C): 95 % intervals of the matrix
    weight: Tensor  # (C,) gold labels that each row of the matrix is worth
    claimed: Tensor  # (C,) long, how often each class is claimed
    gold: int  # gold labels used

    @property
    def suggested(self) -> Tensor:
        """The most probable class of each item: (N,) long."""
        return self.truth.argmax(-1)


def estimate(
    probabilities: Tensor,
    claims: Tensor,
    gold_rows: Tensor | None = None,
    gold_labels: Tensor | None = None,
    texts: Tensor | None = None,
) -> Noise:
    """How noisy are these claims?

    Args:
        probabilities: (N, C) of students that were told the claims of *other* texts (`out_of_fold`).
        claims: (N,) long, no abstention among them.
        gold_rows, gold_labels: (n,) long, which items a person has labelled, drawn at random, and as what.
        texts: (N,) long, equal where items are copies of one text; None: no two are.

    Returns:
        With gold drawn at random, `rate` holds whatever the student is worth: the gold items' share of wrong claims,
        corrected by how the cross-fitted P(wrong) differs between gold and pool (prediction-powered inference, Angelopoulos
        et al. 2023, with the variance-minimising weight of PPI++, 2024), in Wilson's interval at the effective number of
        gold labels, at most three times those there are. P(wrong) is calibrated on cross-fitted gold (Platt 1999).
        Without gold, `rate` is the mean P(wrong); its range goes from what the student surely contradicts to all that it
        contradicts. Mistakes that a student can learn are in neither.
        Copies of a text are no more gold than the text (Kish's effective number, 1965; errors summed by text), and where
        they are claimed to be several classes, no rate is below the share that must be wrong.

    Raises:
        DataError: fewer than two items or classes, shapes that do not fit, a class outside the C, a gold row twice.
    """
    rows, labels = _checked(probabilities, claims, gold_rows, gold_labels)
    texts = torch.arange(len(claims)) if texts is None else texts
    if texts.shape != claims.shape:
        raise DataError(f"There are {len(texts)} numbers of texts for {len(claims)} items; each item has one.")
    least = contradicted(texts, claims) / len(claims)
    chance = probabilities.detach().double().clamp(min=FLOOR)
    chance = chance / chance.sum(-1, keepdim=True)
    counts, truth = without_gold(chance, claims)
    claimed = claims.bincount(minlength=chance.shape[1])
    if not len(rows):
        wrong = _wrong(truth, claims)
        truths = Truths(with_gold(counts, torch.zeros_like(counts)).share, torch.full_like(counts[0], UNCHECKED))
        rate = _at_least(_range(wrong, chance, claims), least)
        return Noise(rate, wrong, truth, *_intervals(truths), claimed, 0)
    group = _numbered(texts[rows])
    held, means = _crossfitted(chance, claims, counts, rows, labels, group)
    right = (claims[rows] == labels).double()
    truths, truth = _judged(chance, claims, counts, rows, labels, group)
    truth = _recalibrated(truth, claims, held, 1 - right, _effective(group) / len(rows))
    truth[rows] = torch.nn.functional.one_hot(labels, chance.shape[1]).double()
    rate = _at_least(_powered(1 - right, held - means, len(claims), group), least)
    return Noise(rate, _wrong(truth, claims), truth, *_intervals(truths), claimed, len(rows))


def _judged(
    chance: Tensor, claims: Tensor, counts: Tensor, rows: Tensor, labels: Tensor, group: Tensor
) -> tuple[Truths, Tensor]:
    """The matrix by gold (n,), whose texts are `group` (n,), and what it says of each item, (N, C)."""
    seen = torch.zeros_like(counts)
    each = torch.full((len(rows),), _effective(group) / max(len(rows), 1), dtype=counts.dtype)
    seen.index_put_((claims[rows], labels), each, accumulate=True)
    truths = with_gold(counts, seen)
    return truths, explain(chance, claims, truths.share * counts.sum(-1, keepdim=True))


def _crossfitted(
    chance: Tensor, claims: Tensor, counts: Tensor, rows: Tensor, labels: Tensor, group: Tensor
) -> tuple[Tensor, Tensor]:
    """P(wrong) of each gold item by the other folds' gold (n,), and the pool's mean by the same (n,)."""
    folds = min(FOLDS, int(group.max()) + 1)
    fold = group % folds  # (n,)
    held, means = torch.zeros(len(rows), dtype=torch.double), torch.zeros(len(rows), dtype=torch.double)
    for turn in range(folds):
        out = fold == turn
        wrong = _wrong(_judged(chance, claims, counts, rows[~out], labels[~out], group[~out])[1], claims)
        held[out], means[out] = wrong[rows[out]], wrong.mean()
    return held, means


def _powered(wrong: Tensor, gap: Tensor, items: int, group: Tensor) -> Interval:
    """Noise rate of `items` claims from gold (n,): wrong or not, P(wrong) less its mean over the pool, and of which text."""
    count, texts, gold = len(wrong), int(group.max()) + 1, _effective(group)
    weight, spent = 0.0, 1
    centred = gap - gap.mean()
    mistakes = float(wrong.mean()) * gold
    if min(mistakes, gold - mistakes) > FEW - 0.5 and float(centred.square().sum()) > 0:
        weight, spent = float((centred * wrong).sum() / centred.square().sum()), 2
    corrected = wrong - weight * gap  # (n,)
    value = min(max(float(corrected.mean()), 0.0), 1.0)
    left = max(1 - count / items, 1e-6)  # the pool is finite, and gold is part of it
    errors = torch.zeros(texts).to(corrected)  # summed over a text's copies
    errors.index_add_(0, group, corrected - corrected.mean())
    spread = float(errors.square().sum()) / max(texts - spent, 1) * texts / count**2 * left
    effective = value * (1 - value) / spread if spread > 0 else gold
    effective = max(round(min(max(effective, gold), HELP * gold, items)), 1)
    found = wilson(value * effective, effective)
    assert found is not None  # there is gold
    return found


def _recalibrated(truth: Tensor, claims: Tensor, held: Tensor, wrong: Tensor, each: float) -> Tensor:
    """P(true) (N, C), P(wrong) moved to what cross-fitted gold (n,) of weight `each` bears out, the rest in proportion."""
    from scipy.optimize import minimize

    score, target = _log_odds(held).numpy(), wrong.numpy()
    spread = np.array(SPREAD)

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        line = point[0] + point[1] * score
        prior = (point - np.array([0.0, 1.0])) / spread
        miss = 1 / (1 + np.exp(-line)) - target
        slope = each * np.array([miss.sum(), (miss * score).sum()]) + prior / spread
        return float(each * (np.logaddexp(0, line) - target * line).sum() + (prior**2).sum() / 2), slope

    intercept, slope = minimize(loss, np.array([0.0, 1.0]), jac=True, method="BFGS").x.tolist()
    before = _wrong(truth, claims)
    after = (intercept + slope * _log_odds(before)).sigmoid()
    moved = truth * (after / before.clamp(min=FLOOR)).unsqueeze(-1)
    recalibrated: Tensor = moved.scatter(-1, claims.unsqueeze(-1), (1 - after).unsqueeze(-1))
    return recalibrated


def _range(wrong: Tensor, chance: Tensor, claims: Tensor) -> Interval:
    """Noise rate without gold: the mean of (N,), between what is surely contradicted and all that is."""
    value = float(wrong.mean())
    low, high = float((wrong > SURE).double().mean()), float((chance.argmax(-1) != claims).double().mean())
    return Interval(value, min(low, value), max(high, value))


def _at_least(rate: Interval, least: float) -> Interval:
    """The same where so large a share must be wrong."""
    return Interval(max(rate.value, least), max(rate.low, least), max(rate.high, least))


def _numbered(texts: Tensor) -> Tensor:
    """Numbers of texts (n,) as 0, 1, ... in the order in which each is first met."""
    met: dict[int, int] = {}
    return torch.tensor([met.setdefault(one, len(met)) for one in texts.tolist()], dtype=torch.long)


def _effective(group: Tensor) -> float:
    """Of items (n,) of so many texts, how many independent ones they are worth: Kish's n² / Σ copies²; n without copies."""
    return len(group) ** 2 / max(float(group.bincount().double().square().sum()), 1.0)


def _intervals(truths: Truths) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The matrix, its intervals (the Dirichlet's marginals are Beta), and the rows' weight."""
    from scipy.stats import beta

    first = (truths.share * truths.weight.unsqueeze(-1)).clamp(min=FLOOR).numpy()
    second = ((1 - truths.share) * truths.weight.unsqueeze(-1)).clamp(min=FLOOR).numpy()
    low, high = (torch.from_numpy(beta.ppf(level, first, second)) for level in (0.025, 0.975))
    return truths.share, torch.minimum(low, truths.share), torch.maximum(high, truths.share), truths.weight


def _wrong(truth: Tensor, claims: Tensor) -> Tensor:
    return 1 - truth.gather(-1, claims.unsqueeze(-1)).squeeze(-1).clamp(max=1)


def _log_odds(share: Tensor) -> Tensor:
    return torch.logit(share.clamp(1e-6, 1 - 1e-6))


def _checked(
    probabilities: Tensor, claims: Tensor, gold_rows: Tensor | None, gold_labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    if probabilities.dim() != 2 or min(probabilities.shape) < 2:
        raise DataError(f"Probabilities are {tuple(probabilities.shape)}; legal is (N, C), at least two of each.")
    if not bool((probabilities.isfinite() & (probabilities >= 0)).all()):
        raise DataError("A probability is negative or not finite; softmax turns logits into probabilities.")
    items, classes = probabilities.shape
    check_labels(claims, items, classes, least=0)
    none = torch.zeros(0, dtype=torch.long)
    rows, labels = none if gold_rows is None else gold_rows, none if gold_labels is None else gold_labels
    check_labels(labels, len(rows), classes, least=0)
    if len(set(rows.tolist())) < len(rows) or (len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < items):
        raise DataError(f"Gold rows are those of different items, 0 to {items - 1}, each once.")
    return rows, labels
