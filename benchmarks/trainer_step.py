"""A step of the forward KL on given texts, end to end: `gkd` with `on_policy: 0` beside TRL's GKD trainer, lambda 0.

The same student, teacher, rows, batches, optimiser and schedule, in single precision; gradients of the first step are
the same, or nothing is timed. One process, one thread, process time of all steps, in random order, medians of ratios in
a round. Rows are token ids already: nobody's templates are timed. Random weights: nothing is said of quality. TRL is
compared where it is installed (on PYTHONPATH, say).
"""

from __future__ import annotations

import copy
import gc
import importlib.util
import logging
import random
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks._words import ANSWERS, VOCABULARY, model, texts
from benchmarks.harness import Absent, Result
from distrust.data import Items
from distrust.labels import OPEN
from distrust.methods.gkd import Gkd, gkd
from distrust.processes import mix
from distrust.recipe import Recorded, Train
from distrust.run import Run
from distrust.students.causal import CausalStudent
from distrust.students.completions import IGNORED, Exchanges
from distrust.students.sampling import Sampling
from distrust.teachers.local_writer import LocalWriter
from distrust.teachers.recorded import RecordedTeacher

PROMPT, COMPLETION = 60, 40  # tokens of a row on average
RATE = 1e-3
SIZES = {"w64": ((64, 2), (128, 4)), "w256": ((256, 4), (512, 8))}  # (width, layers) of student and teacher
MAIN = "w64"


@dataclass(frozen=True)
class World:
    """Two models and what they read."""

    student: CausalStudent
    teacher: CausalStudent
    items: Items
    loop: Train

    def begun(self) -> CausalStudent:
        """The student before training, again."""
        return replace(self.student, module=copy.deepcopy(self.student.module))


@dataclass(frozen=True)
class Trained:
    """How one training of one epoch went."""

    seconds: float  # process time of all steps
    gradients: dict[str, Tensor]  # of the first step, clipped


Contender = Callable[[World], Trained]


def run(quick: bool) -> Result:
    """Interleaved rounds of an epoch each, after one that warms up; `quick`: the smaller models alone, fewer rounds."""
    if importlib.util.find_spec("trl") is None:
        raise Absent("The benchmark trainer_step needs TRL: pip install 'distrust[bench]'.")
    torch.set_num_threads(1)
    rounds = 3 if quick else 5
    figures: dict[str, float | bool] = {}
    for name, batch in ((MAIN, 4),) if quick else ((MAIN, 4), (MAIN, 16), ("w256", 4)):
        figures |= _measured(f"{name}.batch{batch}", world(SIZES[name], batch, 8), rounds)
    figures["x_trl_gkd"] = figures[f"{MAIN}.batch4.x_trl"]
    sizes = {name: f"student {own}, teacher {its} (width, layers)" for name, (own, its) in SIZES.items()}
    tokens = f"prompts of {PROMPT} and completions of {COMPLETION} on average, up to half as many more or fewer"
    settings = {"vocabulary": VOCABULARY, "tokens": tokens, **sizes, "rounds": rounds, "intervals": "least and most"}
    return Result(figures, settings | {"trl": metadata.version("trl")}, seeds=[0])


def _measured(name: str, here: World, rounds: int) -> dict[str, float | bool]:
    took: dict[str, list[float]] = {one: [] for one in CONTENDERS}
    order = random.Random(0)
    for number in range(rounds + 1):
        found = {one: CONTENDERS[one](here) for one in order.sample([*CONTENDERS], len(CONTENDERS))}
        if not number:
            apart = _apart(found["ours"].gradients, found["trl"].gradients)
            assert apart < 1e-4, f"first gradients differ by {apart}: these are two different trainings"
            continue
        for one, trained in found.items():
            took[one].append(trained.seconds)
    over = [trl / ours for trl, ours in zip(took["trl"], took["ours"], strict=True)]
    steps = len(here.items) / here.loop.per_device_train_batch_size
    figures: dict[str, float | bool] = {f"{name}.x_trl": median(over), f"{name}.first_gradients_apart": apart}
    figures |= {f"{name}.x_trl.low": min(over), f"{name}.x_trl.high": max(over)}
    return figures | {f"{name}.{one}_ms_a_step": 1e3 * median(took[one]) / steps for one in took}


def _apart(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference of two gradients over the largest number there."""
    assert mine.keys() == theirs.keys()
    largest = max(float(one.abs().max()) for one in theirs.values())
    return max(float((mine[name] - theirs[name]).abs().max()) for name in theirs) / largest


def world(size: tuple[tuple[int, int], tuple[int, int]], batch: int, steps: int) -> World:
    """Student and teacher of a size, and rows for so many steps."""
    own, its = size
    loop = Train(num_train_epochs=1, per_device_train_batch_size=batch, learning_rate=RATE, save_seconds=1e9)
    return World(model(*own, seed=0), model(*its, seed=1), texts(batch * steps, PROMPT, COMPLETION), loop)


def _ours(here: World) -> Trained:
    """The method as a recipe runs it, its figures at the epoch's end left out of the time."""
    begun = here.begun()
    first = _first_gradients(begun.module)
    said = RecordedTeacher(Recorded(kind="recorded", name="texts", column="completion"), OPEN, here.items, ANSWERS)
    with tempfile.TemporaryDirectory() as folder:
        work = Run(
            Path(folder),
            space=None,
            answers=ANSWERS,
            pool=here.items,
            teachers=[said, LocalWriter("large", here.teacher, Sampling())],
            new_student=lambda seed: begun,
            options=here.loop,
        )
        gc.collect()
        with closing(work):
            gkd(work, Gkd(on_policy=0))
            return Trained(sum(work.fits["student"].seconds), first)


def _trl(here: World) -> Trained:
    """TRL's trainer, from the first step's beginning to the last one's end; its batches are padded on the right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from datasets import Dataset
        from transformers import PrinterCallback, TrainerCallback
        from trl.experimental.gkd import GKDConfig, GKDTrainer  # type: ignore[import-not-found,unused-ignore]

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.process_time())

        on_epoch_end = on_epoch_begin

    marks: list[float] = []
    begun = here.begun()
    first = _first_gradients(begun.module)
    read = begun.encode_told(here.items, list(here.items.columns["completion"]))
    loop = here.loop
    order = torch.randperm(len(read), generator=torch.Generator().manual_seed(mix(0, 0, 1)))  # the order of our only epoch
    rows = Dataset.from_list([_row(read, number) for number in order.tolist()])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        options = GKDConfig(
            output_dir=folder,
            lmbda=0.0,
            beta=0.0,  # forward KL
            num_train_epochs=1,
            per_device_train_batch_size=loop.per_device_train_batch_size,
            learning_rate=RATE,
            train_sampling_strategy="sequential",
            gradient_checkpointing=False,
            use_cpu=True,
            bf16=False,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            log_level="error",
        )
        collate = _Collate(read.fill)
        trainer = GKDTrainer(
            model=begun.module,
            teacher_model=copy.deepcopy(here.teacher.module),  # TRL leaves its own `forward` on a model
            args=options,
            data_collator=collate,
            train_dataset=rows,
            processing_class=begun.reader.tokenizer,
            callbacks=[Clock()],
        )
        trainer.remove_callback(PrinterCallback)
        gc.collect()
        trainer.train()
        logging.disable(logging.NOTSET)
    return Trained(marks[1] - marks[0], first)


CONTENDERS: dict[str, Contender] = {"ours": _ours, "trl": _trl}


def _first_gradients(module: torch.nn.Module) -> dict[str, Tensor]:
    """What a first step finds, by name: filled as it goes backward."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[Tensor], None]:
        def kept(parameter: Tensor) -> None:
            if name not in found and parameter.grad is not None:
                found[name] = parameter.grad.clone()

        return kept

    for name, parameter in module.named_parameters():
        parameter.register_post_accumulate_grad_hook(keep(name))
    return found


def _row(read: Exchanges, number: int) -> dict[str, list[int]]:
    """An exchange as TRL reads it: all tokens, and the completion's as labels."""
    inputs = read.batch(torch.tensor([number]))
    said = inputs["labels"][0].tolist()
    ids = [*inputs["input_ids"][0].tolist(), said[-1]]
    return {"input_ids": ids, "labels": [IGNORED] * (len(ids) - len(said)) + said}


@dataclass(frozen=True)
class _Collate:
    """Rows to a batch, padded on the right."""

    fill: int

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, Tensor]:
        pad = torch.nn.utils.rnn.pad_sequence
        ids = pad([torch.tensor(row["input_ids"]) for row in rows], batch_first=True, padding_value=self.fill)
        labels = pad([torch.tensor(row["labels"]) for row in rows], batch_first=True, padding_value=IGNORED)
        there = pad([torch.ones(len(row["labels"]), dtype=torch.long) for row in rows], batch_first=True)
        return {"input_ids": ids, "labels": labels, "attention_mask": there}
