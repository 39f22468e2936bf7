"""Specialists of every kind merged: n-grams, a CNN, transformers of several sizes and tokenizers; and many on many items."""

from __future__ import annotations

import resource
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import pytest
import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.labels import LabelSpace
from distrust.methods.specialists import gather
from distrust.recipe import Classifier, NgramStudent, Train
from distrust.report.panel import panel
from distrust.run import Run
from distrust.students import ngram
from distrust.students.module import ModuleStudent
from distrust.students.vocabulary import train_tokenizer
from distrust.teachers import Teacher
from distrust.teachers.classifier import ClassifierTeacher
from distrust.teachers.module import ModuleTeacher
from tests.methods import noisy
from tests.models import save_classifier, texts

NAMES = ("loan", "card", "flight", "car", "suit", "will", "goal", "race")
SPACE = LabelSpace(NAMES)


def grams(items: Items) -> Tensor:
    """Counts of hashed words and pairs of words: (B, 64)."""
    counts = torch.zeros(len(items), 64)
    for row, text in enumerate(items.inputs):
        words = str(text).split()
        for one in [*words, *map(" ".join, pairwise(words))]:
            counts[row, crc32(one.encode()) % 64] += 1
    return counts


def letters(items: Items) -> Tensor:
    """Letters as numbers, cut or filled to 40: (B, 40)."""
    return torch.tensor([[ord(one) % 64 for one in str(text)[:40].ljust(40)] for text in items.inputs])


class Cnn(nn.Module):
    """Letters (B, 40) to logits (B, 2) by a convolution and the largest of each channel, with dropout by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.letters, self.conv, self.last = nn.Embedding(64, 8), nn.Conv1d(8, 16, 5), nn.Linear(16, 2)
        self.drop = nn.Dropout1d(0.3)

    def forward(self, given: Tensor) -> Tensor:
        found: Tensor = self.drop(self.conv(self.letters(given).mT).relu()).amax(-1)
        return self.last(found)  # type: ignore[no-any-return]


def specialists(folder: Path) -> list[Teacher]:
    """Four of different kinds, two classes each."""
    from transformers import RobertaConfig, RobertaForSequenceClassification

    save_classifier(folder / "bert", NAMES[4:6], hidden_size=48, num_hidden_layers=1)
    words = train_tokenizer(texts(50), "roberta", 400)  # another vocabulary, other special tokens, other positions
    size = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    config = RobertaConfig(
        vocab_size=len(words), max_position_embeddings=66, initializer_range=0.3, pad_token_id=words.pad_token_id,
        id2label=dict(enumerate(NAMES[6:])), **size,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(2)
        bags = nn.Sequential(nn.Dropout(0.2), nn.Linear(64, 2))
        cnn = Cnn()
        RobertaForSequenceClassification(config).save_pretrained(folder / "roberta")
    words.save_pretrained(folder / "roberta")
    return [
        ModuleTeacher("n-grams", bags, LabelSpace(NAMES[:2]), inputs=grams, fingerprint="n-grams"),
        ModuleTeacher("cnn", cnn, LabelSpace(NAMES[2:4]), inputs=letters, fingerprint="cnn"),
        *(
            ClassifierTeacher(Classifier(kind="classifier", name=name, model=str(folder / name)))
            for name in ("bert", "roberta")
        ),
    ]


def test_specialists_of_every_kind_are_merged(tmp_path: Path) -> None:
    items, learning = texts(30), NgramStudent(buckets=256)
    made = specialists(tmp_path)
    run = Run(
        tmp_path / "run",
        space=SPACE,
        pool=items,
        teachers=made,
        new_student=lambda seed: ngram.build(learning, SPACE, seed, items),
        options=Train(num_train_epochs=1),
    )
    student = noisy.carry(run, "muka", passes=4, score="auto", target="soft")
    assert run.ask(student, items).distribution().shape == (30, 8)
    here = gather(run)
    target = here.target(torch.eye(4)[torch.arange(30) % 4].T)
    for row in range(30):
        place = row % 4
        own = made[place].ask(items.select([row])).distribution()[0]
        torch.testing.assert_close(target[row, 2 * place : 2 * place + 2], own, rtol=1e-4, atol=1e-5)
    assert not any("without passes" in note for note in run.notes), "all of them have dropout"


@pytest.mark.slow
def test_ten_teachers_and_a_hundred_thousand_items_are_never_whole_in_memory(tmp_path: Path) -> None:
    count, own = 100_000, 40
    space = LabelSpace(tuple(f"class {n}" for n in range(10 * own)))
    pool = Items(tuple(map(str, range(count))), torch.randn(count, 4))
    made = [
        ModuleTeacher(f"t{n}", nn.Linear(4, own), LabelSpace(space.names[n * own : (n + 1) * own]), batch_size=4096)
        for n in range(10)
    ]
    run = Run(
        tmp_path,
        space=space,
        pool=pool,
        teachers=made,
        new_student=lambda seed: ModuleStudent(nn.Linear(4, len(space)), space),
        options=Train(num_train_epochs=1),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    here = gather(run)
    assert here.target(torch.full((10, count), 0.1)).shape == (count, len(space))
    seen = panel([one.evidence for one in here.members], space, pool.ids)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    whole = 10 * count * len(space) * 4  # teachers, items, classes: 1.6 GB
    print(f"stored, joined and reported in {grown / 1e6:.0f} MB; whole it would be {whole / 1e6:.0f} MB")
    assert seen is not None and seen.claims.shape == (10, count) and grown < 0.5 * whole
