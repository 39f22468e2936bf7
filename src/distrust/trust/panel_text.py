"""How much a claim is worth by the text that came with it: does a text like this usually end with what all believe?

Knows texts and the consensus on other items; needs no gold. Knows nothing of what a text says: it counts words, pairs of
words and length, beside the teacher's own habit. Off where teachers gave no texts or several samples.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from torch import Tensor

from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.labels import ABSTAIN
from distrust.trust.panel_pool import one_coin
from distrust.trust.panel_rows import Array, rows_of

FOLDS = 3
TAIL = 1500  # characters at the end that are read: an answer comes last
WORDS = 2**16
LOUDER = 4.0  # scale of the unit-length bag of words beside the teacher's column


@dataclass(frozen=True)
class TextTrust:
    """Fitted by `read_texts`. An item is scored by the fold that did not learn from it, told by its id."""

    sources: tuple[str, ...]  # M
    length: Array  # (M, 2): mean and spread of the log of a text's length
    weights: Array  # (FOLDS, F)
    centre: Array  # (FOLDS, M): a teacher's mean score

    def score(self, evidence: Sequence[Evidence]) -> Tensor:
        """Log-odds above the teacher's usual that a claim is right: (M, B); 0 where a teacher abstains.

        Raises:
            DataError: other teachers than those it was fitted on, or no texts.
        """
        if tuple(one.source for one in evidence) != self.sources:
            raise DataError("The texts are of other teachers than those this trust in texts was fitted on.")
        item, teacher, features = _features(evidence, self.length)
        fold = _folds(evidence[0].ids)[item]  # (n,)
        raw = np.stack([features @ one for one in self.weights], axis=1)[np.arange(len(item)), fold]
        scores = np.zeros((len(evidence[0]), len(evidence)))
        scores[item, teacher] = raw - self.centre[fold, teacher]
        return torch.from_numpy(scores.T.copy())


def read_texts(evidence: Sequence[Evidence]) -> TextTrust:
    """Learn from a pool which texts go with claims that the others share: logistic regression on hashed words.

    Args:
        evidence: one a teacher, one sample each, all with texts, on the same items.

    Raises:
        DataError: a teacher without texts or with several samples, fewer than a dozen items, or as `rows_of`.
    """
    rows = rows_of(evidence)
    if len(evidence[0]) < 12:
        raise DataError(
            f"Trust in texts is learned from a pool of items; {len(evidence[0])} are too few, legal is 12 or more."
        )
    believed, _ = one_coin(rows, np.zeros(len(rows.item)), np.ones(len(evidence)))
    table = np.zeros((len(evidence[0]), int(rows.column.max()) + 1))
    table[rows.item, rows.column] = believed
    length = np.stack([_length(one) for one in evidence])
    item, teacher, features = _features(evidence, length)
    claimed = np.stack([one.claims[0].numpy() for one in evidence], axis=1)[item, teacher]
    right, fold = table[item, claimed], _folds(evidence[0].ids)[item]
    weights, centre = [], np.zeros((FOLDS, len(evidence)))
    for held in range(FOLDS):
        weights.append(_fit(features[fold != held], right[fold != held]))
        scores = features @ weights[-1]
        total, count = (np.bincount(teacher, by, len(evidence)) for by in (scores, np.ones(len(scores))))
        centre[held] = total / np.maximum(count, 1)
    return TextTrust(tuple(one.source for one in evidence), length, np.stack(weights), centre)


def _fit(features: sparse.csr_matrix, right: Array) -> Array:
    """Weights (F,) of a logistic regression on soft labels: every claim counts once as right and once as wrong."""
    model = SGDClassifier(
        loss="log_loss", alpha=1e-5, max_iter=8, tol=None, average=True, random_state=0, fit_intercept=False
    )
    both = sparse.vstack([features, features]).tocsr()
    labels = np.repeat([1, 0], len(right))
    model.fit(both, labels, sample_weight=np.concatenate([right, 1 - right]))
    return np.asarray(model.coef_[0])


def _features(evidence: Sequence[Evidence], length: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], sparse.csr_matrix]:
    """Item (n,), teacher (n,) and features (n, F) of every claim that was made."""
    spoke = np.stack([one.claims[0].numpy() != ABSTAIN for one in evidence], axis=1)  # (B, M)
    item, teacher = np.nonzero(spoke)
    texts = [_text(evidence[m], b) for b, m in zip(item.tolist(), teacher.tolist(), strict=True)]
    words = HashingVectorizer(
        n_features=WORDS,
        ngram_range=(1, 2),
        alternate_sign=False,
        token_pattern=r"[a-z]+|0+|[^\sa-z0-9]",
        preprocessor=_plain,
    ).transform(texts)
    logs = np.log1p([len(text) for text in texts])
    longer = np.clip((logs - length[teacher, 0]) / length[teacher, 1], -4, 4)
    who = sparse.csr_matrix((np.ones(len(item)), (np.arange(len(item)), teacher)), shape=(len(item), len(evidence)))
    shape = sparse.csr_matrix(np.stack([longer, longer**2 / 3], axis=1))
    return item, teacher, sparse.hstack([words * LOUDER, who, shape, who.multiply(longer[:, None])]).tocsr()


def _plain(text: str) -> str:
    return re.sub(r"\d", "0", text[-TAIL:].lower())


def _text(one: Evidence, row: int) -> str:
    texts = one.texts[row] if one.texts is not None else ()
    return texts[0] if texts else ""


def _length(one: Evidence) -> Array:
    if one.texts is None or len(one.claims) != 1:
        raise DataError(f"{one.source} gave no texts, or several samples; trust in texts needs one text a claim.")
    spoke = (one.claims[0] != ABSTAIN).nonzero().squeeze(-1).tolist()
    logs = np.log1p([len(_text(one, row)) for row in spoke] or [0])
    return np.array([logs.mean(), logs.std() + 0.05])


def _folds(ids: Sequence[str]) -> NDArray[np.int64]:
    """An item's fold is a function of its id alone, so that it is the same in every pool."""
    return np.array([zlib.crc32(item.encode()) % FOLDS for item in ids], dtype=np.int64)
