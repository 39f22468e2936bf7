"""What a step of okd costs beside a step of the plain forward divergence, and beside the operations that each must make.

One process, one thread, process time, contenders in random order, medians of ratios within a round. Random weights: nothing
is said of quality. Operations are counted by size: parameters that multiply, a token, once forward, once for a gradient of
what goes in and once for one of the weights; heads for counted tokens alone.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.harness import Result
from distrust import train
from distrust.answers import Answers
from distrust.data import Items
from distrust.labels import OPEN
from distrust.methods import find
from distrust.recipe import Answer, CausalStudent, Recorded, Train
from distrust.run import Run
from distrust.sides import Side
from distrust.students.causal import build
from distrust.students.sampling import Sampling
from distrust.teachers.local_writer import LocalWriter
from distrust.teachers.recorded import RecordedTeacher

ANSWERS = Answers(Answer())
BATCH, ITEMS, LAYERS = 8, 48, 8
STUDENT, TEACHER = (192, 4), (384, LAYERS)  # width, layers
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
    rounds = 3 if quick else 9
    items = _texts()
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
    figures["forward_ms_a_step"] = median(took["forward"]) * 1e3 / (ITEMS / BATCH)
    told = {"batch": BATCH, "student (width, layers)": STUDENT, "teacher (width, layers)": TEACHER, "rounds": rounds}
    return Result(figures, told | {"intervals": "least and most of the rounds"}, [0])


def _texts() -> Items:
    """Prompts of some 75 tokens and completions of some 50: numbers, which the tokenizer cuts into digits."""
    draw = random.Random(0)

    def digits(count: int) -> str:
        return "".join(draw.choice("0123456789") for _ in range(count))

    prompts = tuple(digits(75) for _ in range(ITEMS))
    return Items(tuple(map(str, range(ITEMS))), prompts, {"completion": tuple(digits(50) for _ in range(ITEMS))})


def _made(width: int, layers: int, seed: int) -> Any:
    config = {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "max_position_embeddings": 256,
        "vocab_size": 8000,
    }
    words = Items(tuple(map(str, range(10))), tuple("0123456789"))
    options = CausalStudent(kind="causal", config=config, vocabulary=300, max_prompt_length=128, max_completion_length=64)
    return build(options, ANSWERS, seed, words)


def _epoch(name: str, items: Items, sizes: dict[str, Sizes]) -> float:
    """Process seconds of a second epoch of the real fit, in which what may be stored is."""
    method, options = find(*CONTENDERS[name])
    asked = LocalWriter("large", _made(*TEACHER, seed=1), Sampling())
    begun = _made(*STUDENT, seed=0)
    sizes |= {"teacher": _sizes(asked.model.module), "student": _sizes(begun.module)}
    said = RecordedTeacher(Recorded(kind="recorded", name="texts", column="completion"), OPEN, items, ANSWERS)
    loop = Train(num_train_epochs=2, per_device_train_batch_size=BATCH, save_seconds=1e9)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        work = Run(
            Path(folder),
            space=None,
            answers=ANSWERS,
            pool=items,
            teachers=[said, asked],
            new_student=lambda seed: begun,
            options=loop,
        )
        stack.enter_context(closing(work))
        marks: list[float] = []
        stack.enter_context(_marked(marks))
        method.run(work, options)
    return marks[1] - marks[0]


class _marked:
    """Inside, no figures are taken at an epoch's end: the process time is noted there instead."""

    def __init__(self, marks: list[float]) -> None:
        self.marks, self.plain = marks, train.fit

    def __enter__(self) -> None:
        def fit(sides: Sequence[Side], task: train.Fit) -> list[dict[str, Any]]:
            assert task.joint is not None

            def mark(_: Sequence[Side]) -> dict[str, float]:
                self.marks.append(time.process_time())
                return {"drift": 0.0, "kl": 1.0}

            return self.plain(sides, replace(task, joint=replace(task.joint, measure=mark)))

        train.fit = fit

    def __exit__(self, *_: object) -> None:
        train.fit = self.plain


def _sizes(module: Any) -> Sizes:
    head = module.get_output_embeddings().weight.numel()
    layers = sum(value.numel() for name, value in module.named_parameters() if ".layers." in name and value.dim() == 2)
    return Sizes(layers, head)


def _counted(sizes: dict[str, Sizes]) -> dict[str, float]:
    """Multiplications of a step by contender, in parameters times tokens; a tokenizer of digits: some 75 and 51 tokens."""
    prompt, said = 76, 51
    own, its = sizes["student"], sizes["teacher"]
    whole = prompt + said - 1
    learnt = 3 * (own.layers * whole + own.head * said)
    read: Callable[[float], float] = lambda share: its.layers * whole * share  # noqa: E731
    head = its.head * said
    return {
        "forward": learnt + read(1) + head,
        "okd": learnt + 2 * read(1) + 2 * head,
        "okd.last_quarter": learnt + read(1) + read(0.25) + 2 * head,
        "okd.last_quarter.stored": learnt + 2 * read(0.25) + 2 * head,
    }
