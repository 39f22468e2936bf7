"""What sixteen dropout passes cost beside sixteen separate loops: by process time, on networks of several depths.

Knows teachers and clocks. Knows nothing of merging.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from time import process_time

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.labels import LabelSpace
from distrust.recipe import Classifier
from distrust.teachers.classifier import ClassifierTeacher
from distrust.teachers.module import ModuleTeacher

PASSES, ROUNDS, ITEMS = 16, 3, 2048


def costs(teacher: ModuleTeacher, pool: Items) -> dict[str, float]:
    """Ratios by name, to loops with torch's own dropout; `beside_own_loops`: to loops of one pass each, made here."""
    pool = pool.select(range(min(ITEMS, len(pool))))
    deep = nn.Sequential(nn.Linear(200, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, 75))
    below = ModuleTeacher("deep", deep, LabelSpace(tuple(map(str, range(75)))), batch_size=1024)
    found = {
        "mc_cost": _ratio(teacher, pool, lambda: _torch_loops(teacher, pool)),
        "mc_cost.beside_own_loops": _ratio(teacher, pool, lambda: [teacher.passes(pool, 1, at) for at in range(PASSES)]),
        "mc_cost.deep": _ratio(below, pool, lambda: _torch_loops(below, pool)),
    }
    with tempfile.TemporaryDirectory() as folder:
        bert, texts = _bert(folder)
        tokens = bert._read(texts)

        def loops() -> None:
            with _dropping(bert._model), torch.no_grad():
                for _ in range(PASSES):
                    for rows in tokens.by_length(32):
                        bert._answering(tokens)(rows).softmax(-1)

        found["mc_cost.bert_tiny"] = _ratio(bert, texts, loops)
    return found


def _ratio(teacher: ModuleTeacher | ClassifierTeacher, items: Items, loops: Callable[[], object]) -> float:
    def seconds(work: Callable[[], object]) -> float:
        start = process_time()
        work()
        return process_time() - start

    times = [(seconds(lambda: teacher.passes(items, PASSES)), seconds(loops)) for _ in range(ROUNDS)]
    return min(batched for batched, _ in times) / min(alone for _, alone in times)


def _torch_loops(teacher: ModuleTeacher, pool: Items) -> None:
    """As people write them: torch's own dropout, a pass after another."""
    module, inputs = teacher._module, pool.inputs
    assert isinstance(inputs, Tensor)
    with _dropping(module), torch.no_grad():
        for _ in range(PASSES):
            for part in inputs.split(1024):
                module(part).softmax(-1)


class _dropping:
    """Inside: dropout layers and attention in training mode, all else in eval mode. After: eval mode."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __enter__(self) -> None:
        for one in self._module.modules():
            one.training = isinstance(one, nn.modules.dropout._DropoutNd) or "Attention" in type(one).__name__

    def __exit__(self, *error: object) -> None:
        self._module.eval()


def _bert(folder: str) -> tuple[ClassifierTeacher, Items]:
    """A BERT of tiny's size (2 layers of 128) with random weights, and texts of 5 to 25 words."""
    from transformers import BertConfig, BertForSequenceClassification

    from distrust.pretrained import quiet
    from distrust.students.vocabulary import train_tokenizer

    draw = torch.Generator().manual_seed(0)
    lines = [" ".join(f"w{n}" for n in torch.randint(500, (5 + row % 21,), generator=draw).tolist()) for row in range(64)]
    items = Items(tuple(map(str, range(64))), tuple(lines))
    words = train_tokenizer(items, "bert", 2000)
    names = {place: f"class {place}" for place in range(15)}
    size = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
    with quiet():
        BertForSequenceClassification(BertConfig(vocab_size=len(words), id2label=names, **size)).save_pretrained(folder)
        words.save_pretrained(folder)
    return ClassifierTeacher(Classifier(kind="classifier", name="bert", model=folder)), items
