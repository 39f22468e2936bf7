"""The built-in student: hashed word and character n-grams in an embedding bag, with a linear head.

Knows how a text becomes weighted n-grams, and needs no download. Does not know word order beyond n, teachers or the loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DataError
from distrust.files import fingerprint, write_json
from distrust.labels import LabelSpace
from distrust.recipe import NgramStudent
from distrust.store import load_tensors, save_tensors
from distrust.students.saving import ABOUT, read_about

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


COUNTED = {"buckets", "words", "characters"}  # the options that decide which n-grams a text has


class Bag(nn.Module):
    """Embedding bag and head: weighted n-gram ids to logits.

    Args:
        options: of the student.
        classes: C.
        idf: (buckets,) inverse document frequency in the pool; 0 where an n-gram is not kept. It has no row in the bag.
    """

    idf: Tensor

    def __init__(self, options: NgramStudent, classes: int, idf: Tensor) -> None:
        super().__init__()
        rows = max(int((idf > 0).sum()), 1)
        self.embedding = nn.EmbeddingBag(rows, options.dimension, mode="sum")
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(options.dimension, classes)
        self.register_buffer("idf", idf)

    def forward(self, ids: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        """ids, weights (total,), offsets (n,) to logits (n, C)."""
        logits: Tensor = self.head(self.dropout(self.embedding(ids, offsets, per_sample_weights=weights)))
        return logits


class Grams:
    """Texts as rows of weighted n-grams, of any length each."""

    def __init__(self, matrix: csr_matrix) -> None:
        self.starts = torch.from_numpy(matrix.indptr.astype(np.int64))  # (N + 1,)
        self.ids = torch.from_numpy(matrix.indices.astype(np.int64))
        self.weights = torch.from_numpy(matrix.data.astype(np.float32))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Model inputs of rows (n,) long."""
        starts = self.starts[rows]
        lengths = self.starts[rows + 1] - starts
        offsets = lengths.cumsum(0) - lengths  # (n,)
        places = torch.arange(int(lengths.sum())) + torch.repeat_interleave(starts - offsets, lengths)
        return {"ids": self.ids[places], "offsets": offsets, "weights": self.weights[places]}


class Ngram:
    """The n-gram student. Make one with `build` or `load`."""

    default_learning_rate = 1e-2
    notes: tuple[str, ...] = ()

    def __init__(self, options: NgramStudent, space: LabelSpace, module: Bag, key: str) -> None:
        self.options, self.space, self.key = options, space, key
        self.reads = fingerprint("ngram", options.model_dump(include=COUNTED), module.idf)
        self.module: nn.Module = module
        self.idf = module.idf.numpy()  # (buckets,)
        self.row_of = np.cumsum(self.idf > 0) - 1  # (buckets,) row in the bag of each kept n-gram

    def encode(self, items: Items) -> Grams:
        """Count, weigh by (1 + log tf) · idf and scale to unit length; an empty text is an empty bag."""
        matrix = _count(_texts(items), self.options)
        matrix.data = (1 + np.log(matrix.data)) * self.idf[matrix.indices]
        matrix.eliminate_zeros()  # n-grams that were not kept
        matrix.indices = self.row_of[matrix.indices]
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        matrix.data /= np.repeat(np.maximum(norms, 1e-12), np.diff(matrix.indptr))
        return Grams(matrix)

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """Model inputs to logits (n, C)."""
        logits: Tensor = self.module(**inputs)
        return logits

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `student.json`; `distrust predict` and `load` read them."""
        save_tensors(folder / "model.safetensors", self.module.state_dict())
        known = {"kind": "ngram", "options": self.options.model_dump(), "labels": list(self.space.names), "key": self.key}
        write_json(folder / ABOUT, known)


def build(options: NgramStudent, space: LabelSpace, seed: int, pool: Items, idf: Tensor | None = None) -> Ngram:
    """A new student, its weights drawn from `seed` alone.

    Args:
        options, space: what it reads, and what it knows.
        seed: of its weights.
        pool: the items on which n-grams are counted for their inverse document frequencies.
        idf: (buckets,) `inverse_frequencies(options, pool)`, where several students share it.
    """
    idf = inverse_frequencies(options, pool) if idf is None else idf
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = Bag(options, len(space), idf)
    return Ngram(options, space, module, fingerprint("ngram", options.model_dump(), list(space.names), seed, pool.key))


def inverse_frequencies(options: NgramStudent, pool: Items) -> Tensor:
    """How rare each n-gram is in the pool, smoothed: (buckets,), log((1 + N) / (1 + n)) + 1 as scikit-learn has it.

    0 where fewer than `options.min_items` items show it: what is seen once can only be learned by heart.
    """
    counts = np.bincount(_count(_texts(pool), options).indices, minlength=options.buckets)
    idf = np.log((1 + len(pool)) / (1 + counts)) + 1
    return torch.from_numpy(np.where(counts >= options.min_items, idf, 0)).float()


def load(folder: Path) -> Ngram:
    """A student from `save`'s folder. Raises DataError where there is none, RunError where a file is damaged."""
    known = read_about(folder, "ngram")
    options = NgramStudent(**known["options"])
    space = LabelSpace(tuple(known["labels"]))
    weights = load_tensors(folder / "model.safetensors")
    module = Bag(options, len(space), weights["idf"])
    module.load_state_dict(weights)
    return Ngram(options, space, module, known["key"])


def _count(texts: list[str], options: NgramStudent) -> csr_matrix:
    """Hashed n-gram counts (N, buckets), words and characters in one table, column order fixed."""
    from sklearn.feature_extraction.text import HashingVectorizer

    shared = {"n_features": options.buckets, "norm": None, "alternate_sign": False, "dtype": np.float64}
    tables = []
    if options.words:
        tables.append(HashingVectorizer(ngram_range=(1, options.words), token_pattern=r"(?u)\b\w+\b", **shared))
    if options.characters:
        tables.append(HashingVectorizer(analyzer="char_wb", ngram_range=options.characters, **shared))
    total = sum(table.transform(texts) for table in tables).tocsr()
    total.sort_indices()  # summation order, and so every bit, depends on the text alone
    return total


def _texts(items: Items) -> list[str]:
    if isinstance(items.inputs, Tensor):
        raise DataError("The ngram student reads texts, and these items are tensors; give it a torch module student.")
    return [items.text(row) for row in range(len(items))]
