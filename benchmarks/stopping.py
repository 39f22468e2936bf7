"""Is the advice to stop buying any good? Forecasts of the next block's gain, back-tested on recorded answers.

R52 with a real LLM's recorded labels; TREC, SST-2 and CLINC150 with recorded human ones, which are bought as if they were a
teacher's. Answers are revealed in equal blocks, in a random order a seed; after each a linear student (TF-IDF of words and
pairs, scikit-learn's LinearSVC) is trained on all of them and judged on 500 gold items. From the third block on, the gain of
the next is forecast from the blocks so far. Compared with expecting the last block's gain again. Development used seeds 0 to
3 of the same sets, for one choice: the swing counts the items that change between all pairs of students, not the last pair.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC
from torch import Tensor

from benchmarks.harness import Result, needs_data
from distrust.evaluate import wilson
from distrust.stopping import back_test

SEEDS, BLOCKS, JUDGED = (10, 11, 12, 13), 8, 500
SMALL = 0.01  # a gain that a person may call too small


@dataclass(frozen=True)
class Pool:
    """Texts with recorded answers, and texts with gold."""

    name: str
    texts: list[str]
    answers: list[str]
    gold_texts: list[str]
    gold: list[str]
    block: int


def run(quick: bool) -> Result:
    """All four sets; quick: R52 and TREC, one seed."""
    folder = needs_data("stopping")
    seeds = SEEDS[:1] if quick else SEEDS
    pools = list(_pools(folder))[: 2 if quick else 4]
    figures: dict[str, float | bool] = {}
    rows: list[tuple[float, float, float, float, float]] = []  # value, low, high, gained, gained by the block before
    for pool in pools:
        found = [one for seed in seeds for one in _forecasts(pool, seed)]
        figures |= _figures(f"{pool.name}.", found)
        rows += found
        print(pool.name, flush=True)
    figures |= _figures("", rows)
    settings = {
        "blocks": BLOCKS,
        "judged on": JUDGED,
        "a small gain": SMALL,
        "block of": {one.name: one.block for one in pools},
    }
    return Result(figures, settings, list(seeds))


def _figures(where: str, rows: list[tuple[float, float, float, float, float]]) -> dict[str, float | bool]:
    value, low, high, gained, before = torch.tensor(rows, dtype=torch.float64).unbind(-1)
    inside = (low <= gained) & (gained <= high)
    held = wilson(int(inside.sum()), len(rows))
    assert held is not None
    level = high < SMALL
    return {
        f"{where}forecasts": float(len(rows)),
        f"{where}held": held.value,
        f"{where}held.low": held.low,
        f"{where}held.high": held.high,
        f"{where}error": float((value - gained).abs().mean()),
        f"{where}error_of_last_gain": float((before - gained).abs().mean()),
        f"{where}width": float((high - low).mean()),
        f"{where}mean_gain": float(gained.mean()),
        f"{where}mean_forecast": float(value.mean()),
        f"{where}advised_to_stop": float(level.double().mean()),
        f"{where}gain_after_advice": float(gained[level].mean()) if bool(level.any()) else 0.0,
    }


def _forecasts(pool: Pool, seed: int) -> list[tuple[float, float, float, float, float]]:
    draw = random.Random(seed)
    judged = draw.sample(range(len(pool.gold)), min(JUDGED, len(pool.gold)))
    order = draw.sample(range(len(pool.texts)), pool.block * BLOCKS)
    bought = [pool.block * (number + 1) for number in range(BLOCKS)]
    right = torch.stack([_right(pool, order[:number], judged) for number in bought])
    accuracy = right.double().mean(-1)
    gains = (accuracy[1:] - accuracy[:-1]).tolist()
    tested = back_test(bought, right)
    return [
        (one.predicted.value, one.predicted.low, one.predicted.high, one.gained, before)
        for one, before in zip(tested, gains, strict=False)
    ]


def _right(pool: Pool, rows: list[int], judged: list[int]) -> Tensor:
    """Which of the judged items a student of these answers gets right: (J,) bool."""
    reader = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    features = reader.fit_transform([pool.texts[row] for row in rows])
    student = LinearSVC(random_state=0).fit(features, [pool.answers[row] for row in rows])
    said = student.predict(reader.transform([pool.gold_texts[row] for row in judged]))
    return torch.tensor([one == pool.gold[row] for one, row in zip(said, judged, strict=True)])


def _pools(folder: Path) -> Iterator[Pool]:
    def of(path: str, *columns: str) -> list[list[str]]:
        table = pq.read_table(folder / path).to_pydict()
        return [[str(one) for one in table[name]] for name in columns]

    bought = of("r52_gpt/train_chatgpt.parquet", "text_norm", "chatgpt_label")
    yield Pool("r52", *bought, *of("r52_gpt/test.parquet", "text_norm", "label"), 400)
    for name, train, test, block in (
        ("trec", "sentence_classification/trec_train.parquet", "sentence_classification/trec_test.parquet", 300),
        ("sst2", "sentence_classification/sst2_train.parquet", "sentence_classification/sst2_test.parquet", 400),
        ("clinc150", "clinc150/train.parquet", "clinc150/test.parquet", 600),
    ):
        yield Pool(name, *of(train, "text", "label"), *of(test, "text", "label"), block)
