"""What a step of okd costs beside a step of the plain forward divergence, and beside the operations that each must make.

One process, one thread, process time, contenders in random order, medians of ratios within a round. Random weights: nothing
is said of quality. Operations are counted by size: parameters that multiply, a token, once forward, once for a gradient of
what goes in and once for one of the weights; heads for counted tokens alone.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks._words import ANSWERS, VOCABULARY, model, texts
from benchmarks.harness import Result
from distrust.data import Items
from distrust.labels import OPEN
from distrust.methods import find
from distrust.recipe import Recorded, Train
from distrust.run import Run
from distrust.students.sampling import Sampling
from distrust.teachers.local_writer import LocalWriter
from distrust.teachers.recorded import RecordedTeacher

BATCH, ITEMS, LAYERS = 8, 32, 8
PROMPT, SAID = 60, 40  # tokens on average
STUDENT, TEACHER = (128, 4), (256, LAYERS)  # width, layers
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "forward": ("gkd", {"on_policy": 0}),
    "okd": ("okd", {"rank": 32}),
    "okd.last_quarter": ("okd", {"rank": 32, "layers": LAYERS // 4}),
    "okd.last_quarter.stored": ("okd", {"rank": 32, "layers": LAYERS // 4, "store_trunk": True}),
}


@dataclass(frozen=True)
class Sizes:
    """Multiplying parameters of a model: of its layers together, and of its head."""

    layers: int
    head: int


def run(quick: bool) -> Result:
    """Interleaved rounds of two epochs each; the first epoch, which runs and keeps the trunk, is not counted."""
    torch.set_num_threads(1)
    rounds = 2 if quick else 9
    items = texts(ITEMS, PROMPT, SAID)
    took: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    order = random.Random(0)
    sizes: dict[str, Sizes] = {}
    for number in range(rounds + 1):
        for name in order.sample(list(CONTENDERS), len(CONTENDERS)):
            seconds = _epoch(name, items, sizes)
            if number:
                took[name].append(seconds)
    over = {name: [one / plain for one, plain in zip(own, took["forward"], strict=True)] for name, own in took.items()}
    figures: dict[str, float | bool] = {f"{name}.x_forward": median(own) for name, own in over.items() if name != "forward"}
    for name, own in over.items():
        figures |= {f"{name}.x_forward.low": min(own), f"{name}.x_forward.high": max(own)} if name != "forward" else {}
    counted = _counted(sizes)
    figures |= {f"{name}.counted": value / counted["forward"] for name, value in counted.items() if name != "forward"}
    figures |= {
        f"{name}.over_count": figures[f"{name}.x_forward"] / figures[f"{name}.counted"] for name in over if name != "forward"
    }
    figures |= fixed(figures)
    figures["forward_ms_a_step"] = median(took["forward"]) * 1e3 / (ITEMS / BATCH)
    told = {
        "batch": BATCH,
        "student (width, layers)": STUDENT,
        "teacher (width, layers)": TEACHER,
        "rounds": rounds,
        "vocabulary": VOCABULARY,
    }
    return Result(figures, told | {"intervals": "least and most of the rounds"}, [0])


def fixed(of: Mapping[str, float | bool]) -> dict[str, float | bool]:
    """Figures under fixed names: a step of okd over forward KL's and over the count, and over a stored trunk."""
    return {
        "over_forward_kl": of["okd.x_forward"],
        "over_operations": of["okd.over_count"],
        "trunk_over_forward_kl": of["okd.last_quarter.stored.x_forward"],
    }


def _epoch(name: str, items: Items, sizes: dict[str, Sizes]) -> float:
    """Process seconds of the steps of a second epoch of the real fit, in which what may be stored is."""
    method, options = find(*CONTENDERS[name])
    asked = LocalWriter("large", model(*TEACHER, seed=1), Sampling())
    begun = model(*STUDENT, seed=0)
    sizes |= {"teacher": _sizes(asked.model.module), "student": _sizes(begun.module)}
    said = RecordedTeacher(Recorded(kind="recorded", name="texts", column="completion"), OPEN, items, ANSWERS)
    with tempfile.TemporaryDirectory() as folder:
        work = Run(
            Path(folder),
            space=None,
            answers=ANSWERS,
            pool=items,
            teachers=[said, asked],
            new_student=lambda seed: begun,
            options=Train(num_train_epochs=2, per_device_train_batch_size=BATCH, save_seconds=1e9),
        )
        with closing(work):
            method.run(work, options)
            return work.fits["student"].seconds[1]


def _sizes(module: Any) -> Sizes:
    head = module.get_output_embeddings().weight.numel()
    layers = sum(value.numel() for name, value in module.named_parameters() if ".layers." in name and value.dim() == 2)
    return Sizes(layers, head)


def _counted(sizes: dict[str, Sizes]) -> dict[str, float]:
    """Multiplications of a step by contender, in parameters times tokens."""
    own, its = sizes["student"], sizes["teacher"]
    whole = PROMPT + SAID - 1
    learnt = 3 * (own.layers * whole + own.head * SAID)
    read: Callable[[float], float] = lambda share: its.layers * whole * share  # noqa: E731
    head = its.head * SAID
    return {
        "forward": learnt + read(1) + head,
        "okd": learnt + 2 * read(1) + 2 * head,
        "okd.last_quarter": learnt + read(1) + read(0.25) + 2 * head,
        "okd.last_quarter.stored": learnt + 2 * read(0.25) + 2 * head,
    }
