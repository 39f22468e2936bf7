"""Three teachers' averaged logits beside TextBrewer's MultiTeacherDistiller: the same weights, and what a step costs each.

One process, one thread, process time, in turn on the same model, teachers, batches, loss, optimiser and schedule. TextBrewer
asks its teachers in every step, or once for batches that are the same in every epoch (its cache); `distrust` asks once and
draws new batches in every epoch. Install it beside the project: `pip install textbrewer tensorboard`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import logging
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Absent, Result
from distrust.data import Items
from distrust.distillation import default_objective
from distrust.evidence import stack
from distrust.labelled import from_targets
from distrust.labels import LabelSpace
from distrust.processes import mix
from distrust.recipe import Train
from distrust.students.module import ModuleStudent
from distrust.teachers.module import ModuleTeacher
from distrust.train import Fit, Side, fit

ITEMS, CLASSES, SIZE, BATCH, TEMPERATURE, TEACHERS, RATE = 2048, 10, 64, 32, 4.0, 3, 1e-3
SPACE = LabelSpace(tuple(str(label) for label in range(CLASSES)))
Contender = Callable[[Tensor, int], tuple[float, float, dict[str, Tensor]]]  # to seconds in all, in the steps, and weights


def run(quick: bool) -> Result:
    """Interleaved rounds in random order, after one warm-up round."""
    if importlib.util.find_spec("textbrewer") is None:
        raise Absent("The benchmark textbrewer needs TextBrewer: pip install 'distrust[bench]'.")
    torch.set_num_threads(1)
    rounds, epochs = (5, 8) if quick else (21, 16)
    steps = epochs * ITEMS // BATCH
    inputs = torch.randn(ITEMS, SIZE, generator=torch.Generator().manual_seed(0))
    contenders: dict[str, Contender] = {"distrust": _distrust, "asking": _asking, "cached": _cached, "hand": _hand}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    order, apart = random.Random(0), 0.0
    for number in range(rounds + 1):
        found = {name: contenders[name](inputs, epochs) for name in order.sample([*contenders], len(contenders))}
        start = _network(0, 32).state_dict()
        for name in ("distrust", "hand"):  # the cache's batches are other ones
            gaps = [(found[name][2][one] - found["asking"][2][one]).abs().max() for one in start]
            apart = max([apart, *map(float, gaps)])
        assert float((found["distrust"][2]["0.weight"] - start["0.weight"]).abs().max()) > 0.01, "nothing was learned"
        if number:
            for name, (whole, stepping, _) in found.items():
                times[name].append((whole / steps * 1e6, stepping / steps * 1e6))
    figures: dict[str, float | bool] = {"weights_apart": apart}
    for name in ("distrust", "cached", "asking"):
        over = [mine[1] - bare[1] for mine, bare in zip(times[name], times["hand"], strict=True)]
        figures[f"{name}.overhead_us"] = median(over)
        figures[f"{name}.overhead_us.low"], _, figures[f"{name}.overhead_us.high"] = quantiles(over, n=4)
        figures[f"{name}.whole_us"] = median(one[0] for one in times[name])
    figures["hand.step_us"] = median(one[1] for one in times["hand"])
    figures["textbrewer_over_distrust"] = median(
        b[1] / a[1] for a, b in zip(times["distrust"], times["cached"], strict=True)
    )
    model = f"MLP {SIZE}-32-{CLASSES}, teachers {SIZE}-256-{CLASSES}"
    settings = {"model": model, "batch": BATCH, "steps": steps, "rounds": rounds, "interval": "quartiles"}
    settings["textbrewer"] = metadata.version("textbrewer")
    return Result(figures, settings, seeds=[0])


def _network(seed: int, width: int) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(SIZE, width), nn.ReLU(), nn.Linear(width, CLASSES))


def _teachers() -> list[nn.Sequential]:
    return [_network(seed, 256).eval() for seed in range(1, TEACHERS + 1)]


def _distrust(inputs: Tensor, epochs: int) -> tuple[float, float, dict[str, Tensor]]:
    """Teachers asked once, then the loop as every method uses it, without a checkpoint."""
    items = Items(tuple(str(row) for row in range(ITEMS)), inputs)
    options = Train(num_train_epochs=epochs, learning_rate=RATE, per_device_train_batch_size=BATCH, save_seconds=1e9)
    gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        evidence = [ModuleTeacher(str(k), one, SPACE).ask(items) for k, one in enumerate(_teachers())]
        logits = stack(evidence, SPACE).logits
        assert logits is not None
        told = from_targets(items, (logits.mean(0) / TEMPERATURE).softmax(-1))
        side = Side(ModuleStudent(_network(0, 32), SPACE), default_objective(told, TEMPERATURE), options)
        start = time.process_time()
        fit([side], Fit("student", told, options, 0, Path(folder)))
        return time.process_time() - begun, time.process_time() - start, side.student.module.state_dict()


def _hand(inputs: Tensor, epochs: int) -> tuple[float, float, dict[str, Tensor]]:
    """The same training as anybody would write it, the teachers asked once."""
    with torch.no_grad():
        targets = (torch.stack([one(inputs) for one in _teachers()]).mean(0) / TEMPERATURE).softmax(-1)
    model = _network(0, 32)
    optimiser, schedule = _optimiser(model, epochs)
    gc.collect()
    start = time.process_time()
    for epoch in range(epochs):
        for rows in _order(epoch):
            loss = nn.functional.cross_entropy(model(inputs[rows]) / TEMPERATURE, targets[rows])
            optimiser.zero_grad()
            (TEMPERATURE**2 * loss).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    spent = time.process_time() - start
    return spent, spent, model.state_dict()


def _asking(inputs: Tensor, epochs: int) -> tuple[float, float, dict[str, Tensor]]:
    return _textbrewer(inputs, epochs, cached=False)


def _cached(inputs: Tensor, epochs: int) -> tuple[float, float, dict[str, Tensor]]:
    return _textbrewer(inputs, epochs, cached=True)


def _textbrewer(inputs: Tensor, epochs: int, cached: bool) -> tuple[float, float, dict[str, Tensor]]:
    """TextBrewer's own loop; its cache is filled before its first step, and told apart by the teachers' last forward."""
    import textbrewer

    model, teachers = _network(0, 32), _teachers()
    optimiser, schedule = _optimiser(model, epochs)
    asked = [0.0]
    teachers[-1].register_forward_hook(lambda *_: asked.__setitem__(0, time.process_time()))

    def adaptor(_: Any, logits: Tensor) -> dict[str, list[Tensor]]:
        return {"logits": [logits]}

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        logging.disable(logging.INFO)
        training = textbrewer.TrainingConfig(output_dir=folder, device="cpu", ckpt_epoch_frequency=epochs)
        distillation = textbrewer.DistillationConfig(
            temperature=TEMPERATURE, kd_loss_weight=TEMPERATURE**2, hard_label_weight=0, is_caching_logits=cached
        )
        distiller = textbrewer.MultiTeacherDistiller(training, distillation, teachers, model, adaptor, adaptor)
        gc.collect()
        with distiller:
            start = time.process_time()
            distiller.train(optimiser, _Batches(inputs), num_epochs=epochs, scheduler=schedule, max_grad_norm=1.0)
            end = time.process_time()
        logging.disable(logging.NOTSET)
    return end - start, end - (asked[0] if cached else start), model.state_dict()


class _Batches:
    """Batches as the others see them, a new order in every epoch."""

    def __init__(self, inputs: Tensor) -> None:
        self.inputs, self.epoch = inputs, -1

    def __len__(self) -> int:
        return ITEMS // BATCH

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        self.epoch += 1
        return ((self.inputs[rows],) for rows in _order(self.epoch))


def _order(epoch: int) -> tuple[Tensor, ...]:
    return torch.randperm(ITEMS, generator=torch.Generator().manual_seed(mix(0, epoch, 1))).split(BATCH)


def _optimiser(model: nn.Module, epochs: int) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, fused=True)
    steps = epochs * ITEMS // BATCH
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
