"""A training step of `distill` beside a hand-written torch loop: the same weights bit for bit, and what the step costs more.

One process, one thread, process time, the two loops in turn on the same model, batches, loss and optimiser.
"""

from __future__ import annotations

import gc
import random
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import torch
from torch import Tensor, nn

from benchmarks.harness import Result
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

ITEMS, CLASSES, SIZE, BATCH = 2048, 10, 64, 32


def run(quick: bool) -> Result:
    """Interleaved rounds of both loops, in random order, after two warm-up rounds."""
    torch.set_num_threads(1)
    rounds, epochs = (9, 16) if quick else (41, 16)
    steps = epochs * ITEMS // BATCH
    inputs = torch.randn(ITEMS, SIZE, generator=torch.Generator().manual_seed(0))
    ours, theirs, equal = [], [], True
    order = random.Random(0)
    for number in range(rounds + 2):
        contenders = [("distrust", _distrust), ("hand", _hand)]
        order.shuffle(contenders)
        found = {name: loop(inputs, epochs) for name, loop in contenders}
        start = _network(1).state_dict()
        weights = [found[name][1] for name in ("distrust", "hand")]
        equal &= all(torch.equal(weights[0][name], weights[1][name]) for name in start)
        assert not torch.equal(weights[0]["0.weight"], start["0.weight"]), "the loops did not learn"
        if number >= 2:
            ours.append(found["distrust"][0] / steps * 1e6)
            theirs.append(found["hand"][0] / steps * 1e6)
    over = [one - other for one, other in zip(ours, theirs, strict=True)]
    low, _, high = quantiles(over, n=4)
    figures = {
        "overhead_us": median(over),
        "overhead_us.low": low,
        "overhead_us.high": high,
        "bit_equal": equal,
        "distrust_us": median(ours),
        "hand_loop_us": median(theirs),
    }
    settings = {"model": "MLP 64-128-10", "batch": BATCH, "steps": steps, "rounds": rounds, "interval": "quartiles"}
    return Result(figures, settings, seeds=[0])


def _network(seed: int) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(SIZE, 128), nn.ReLU(), nn.Linear(128, CLASSES))


def _distrust(inputs: Tensor, epochs: int) -> tuple[float, dict[str, Tensor]]:
    """Seconds of process time and the final weights: the loop as every method uses it, without a checkpoint."""
    space = LabelSpace(tuple(str(label) for label in range(CLASSES)))
    items = Items(tuple(str(row) for row in range(ITEMS)), inputs)
    evidence = ModuleTeacher("teacher", _network(0), space).ask(items)
    told = from_targets(items, stack([evidence], space).probabilities[0])
    student = ModuleStudent(_network(1), space)
    options = Train(num_train_epochs=epochs, learning_rate=1e-3, per_device_train_batch_size=BATCH, save_seconds=1e9)
    side = Side(student, default_objective(told), options)
    with tempfile.TemporaryDirectory() as folder:
        task = Fit("student", told, options, 0, Path(folder))
        gc.collect()
        start = time.process_time()
        fit([side], task)
        return time.process_time() - start, student.module.state_dict()


def _hand(inputs: Tensor, epochs: int) -> tuple[float, dict[str, Tensor]]:
    """The same training as anybody would write it: soft targets, fused AdamW, linear decay, clipping at 1."""
    with torch.no_grad():
        targets = _network(0)(inputs).softmax(-1)
    model = _network(1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    steps = epochs * ITEMS // BATCH
    gc.collect()
    start = time.process_time()
    step = 0
    for epoch in range(epochs):
        order = torch.randperm(ITEMS, generator=torch.Generator().manual_seed(mix(0, epoch, 1)))
        for at in range(0, ITEMS, BATCH):
            rows = order[at : at + BATCH]
            loss = nn.functional.cross_entropy(model(inputs[rows]), targets[rows])
            for group in optimiser.param_groups:
                group["lr"] = 1e-3 * (1 - step / steps)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            step += 1
    return time.process_time() - start, model.state_dict()
