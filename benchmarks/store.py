"""Epochs from the evidence store beside epochs that ask the teachers in each step: three of four times the student's size.

Logits and features of every teacher are learned from, and both arms end with the same student but for rounding. One process,
one thread, process time, the arms in turn. What batches wait for the store is wall time, taken around every read of it.
"""

from __future__ import annotations

import gc
import random
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from statistics import median, quantiles

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, mse_loss

from benchmarks.harness import Result
from distrust import losses
from distrust.data import Items
from distrust.evidence_store import EvidenceStore
from distrust.labelled import Labelled
from distrust.labels import LabelSpace
from distrust.mapped import Mapped
from distrust.objective import Batch, Objective, Term
from distrust.processes import mix
from distrust.recipe import Train
from distrust.students.module import ModuleStudent
from distrust.teachers.module import ModuleTeacher
from distrust.train import Fit, Side, fit

LENGTH, SIZE, CLASSES, BATCH = 32, 24, 10, 32
WIDTH, TEACHERS, TEMPERATURE, BETA = 128, 3, 4.0, 1.0
SPACE = LabelSpace(tuple(str(label) for label in range(CLASSES)))


class Net(nn.Module):
    """A small transformer encoder over (n, LENGTH, SIZE), its last layer a head on the mean over places."""

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embed = nn.Linear(SIZE, width)
            layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(width, CLASSES)

    def feature(self, inputs: Tensor) -> Tensor:
        """(n, LENGTH, SIZE) to (n, width)."""
        return self.encoder(self.embed(inputs)).mean(1)  # type: ignore[no-any-return]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.feature(inputs))  # type: ignore[no-any-return]


class Timed(Mapped):
    """A column on disk that adds up how long its rows were waited for."""

    waited = 0.0

    def __getitem__(self, rows: Tensor | slice) -> Tensor:  # type: ignore[override]
        start = time.perf_counter()
        value = super().__getitem__(rows)
        Timed.waited += time.perf_counter() - start
        return value


def run(quick: bool) -> Result:
    """Ask once, then interleaved rounds of both arms in random order, after one warm-up round."""
    torch.set_num_threads(1)
    count, rounds, epochs = (512, 3, 1) if quick else (2048, 9, 2)
    teachers = [Net(2 * WIDTH, seed) for seed in range(1, TEACHERS + 1)]
    inputs = torch.randn(count, LENGTH, SIZE, generator=torch.Generator().manual_seed(0))
    items = Items(tuple(map(str, range(count))), inputs)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        told, maps = _told(items, teachers, EvidenceStore(Path(folder)))
        asking = time.process_time() - start
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        cached, uncached, walls, waits, differ = _rounds(told, teachers, rounds, epochs)
        reading = median(_read(maps) for _ in range(rounds))
    speedups = [slow / fast for slow, fast in zip(uncached, cached, strict=True)]
    figures: dict[str, float | bool] = {
        **_spread("cached_speedup", speedups),
        **_spread("data_wait_share", waits),
        "map_wait_share": reading / median(walls),
        "cached_epoch_s": median(cached),
        "uncached_epoch_s": median(uncached),
        "ask_once_s": asking,
        "store_mb": size / 1e6,
        "store_kb_per_item": size / 1e3 / count,
        "student_weights_differ_by": differ,
    }
    sizes = [sum(one.numel() for one in net.parameters()) for net in (Net(WIDTH, 0), teachers[0])]
    settings = {
        "student": f"transformer encoder, 2 layers, width {WIDTH}, {sizes[0]:,} parameters",
        "teachers": f"{TEACHERS} of width {2 * WIDTH}, {sizes[1]:,} parameters each",
        "teacher_over_student": round(sizes[1] / sizes[0], 2),
        "items": f"{count} of {LENGTH} x {SIZE}",
        "batch": BATCH,
        "epochs": epochs,
        "rounds": rounds,
        "interval": "quartiles",
        "map_wait_share": f"reading a map of {LENGTH} x {2 * WIDTH} of each teacher, of the cached epoch's time",
        "threads": 1,
    }
    return Result(figures, settings, seeds=[0])


def _rounds(
    told: Labelled, teachers: list[Net], rounds: int, epochs: int
) -> tuple[list[float], list[float], list[float], list[float], float]:
    """Process seconds an epoch of both arms; of the cached one wall seconds too, and the share of them that batches waited.

    The last is how far the students' weights differ at most.
    """
    spent: dict[str, list[float]] = {"cached": [], "uncached": []}
    walls, waits, differ = [], [], 0.0
    order = random.Random(0)
    for number in range(rounds + 1):
        arms = [*spent]
        order.shuffle(arms)
        weights = {}
        for arm in arms:
            gc.collect()
            student, Timed.waited = Net(WIDTH, 0), 0.0
            wall, busy = time.perf_counter(), time.process_time()
            if arm == "cached":
                _from_store(student, told, epochs)
            else:
                _by_hand(student, teachers, told, epochs)
            wall, busy = time.perf_counter() - wall, time.process_time() - busy
            weights[arm] = torch.cat([one.detach().flatten() for one in student.parameters()])
            if number:  # the first round warms up
                spent[arm].append(busy / epochs)
            if number and arm == "cached":
                walls.append(wall / epochs)
                waits.append(Timed.waited / wall)
        differ = max(differ, float((weights["cached"] - weights["uncached"]).abs().max()))
    return spent["cached"], spent["uncached"], walls, waits, differ


def _told(items: Items, teachers: list[Net], store: EvidenceStore) -> tuple[Labelled, list[Mapped]]:
    """What the student is told, a label an item and on disk each teacher's logits and feature; and each teacher's map."""
    extra: dict[str, Mapped] = {}
    maps = []
    labels = torch.arange(len(items)) % CLASSES
    for number, net in enumerate(teachers):
        teacher = ModuleTeacher(f"teacher {number}", net, SPACE, features={"feature": "head.input", "map": "encoder"})
        store.ask(teacher, items)
        for name, column in (("logits", "logits.values"), ("feature", "features.feature")):
            value = store.column(teacher, items, column)
            extra[f"{name}.{number}"] = Timed(*(getattr(value, one.name) for one in fields(value)))
        maps.append(store.column(teacher, items, "features.map"))
    return Labelled(items, torch.zeros(len(items), CLASSES), labels, torch.ones(len(items)), extra), maps


def _read(maps: list[Mapped]) -> float:
    """Seconds to read an epoch of maps in shuffled batches."""
    start = time.perf_counter()
    for rows in torch.randperm(len(maps[0])).split(BATCH):
        for one in maps:
            one[rows]
    return time.perf_counter() - start


def _projections() -> nn.ModuleList:
    with torch.random.fork_rng():
        torch.manual_seed(9)
        return nn.ModuleList([nn.Linear(WIDTH, 2 * WIDTH) for _ in range(TEACHERS)])


def _from_store(student: Net, told: Labelled, epochs: int) -> None:
    """Labels, the mean of the divergences to the teachers, and hints, as an objective of the loop."""
    projections = _projections()

    def logit(logits: Tensor, batch: Batch) -> Tensor:
        each = [losses.forward_kl(logits, batch[f"logits.{number}"], TEMPERATURE) for number in range(TEACHERS)]
        return torch.stack(each).mean(0)

    def hint(_: Tensor, batch: Batch) -> Tensor:
        made = [projection(batch["taps.feature"]) for projection in projections]
        return torch.stack([(one - batch[f"feature.{number}"]).square().mean(-1) for number, one in enumerate(made)]).mean(0)

    terms = {
        "gold": Term(lambda logits, batch: losses.cross_entropy(logits, batch["labels"])),
        "logit": Term(logit),
        "hint": Term(hint, BETA),
    }
    objective = Objective(terms, nn.ModuleDict({"projections": projections}), {"feature": "head.input"})
    options = Train(num_train_epochs=epochs, learning_rate=1e-3, per_device_train_batch_size=BATCH, save_seconds=1e9)
    with tempfile.TemporaryDirectory() as folder:
        fit([Side(ModuleStudent(student, SPACE), objective, options)], Fit("student", told, options, 0, Path(folder)))


def _by_hand(student: Net, teachers: list[Net], told: Labelled, epochs: int) -> None:
    """The same as anybody would write it without a store: frozen teachers are asked about each batch."""
    inputs, labels, projections = torch.as_tensor(told.items.inputs), told.labels, _projections()
    for teacher in teachers:
        teacher.eval().requires_grad_(False)
    parameters = [*student.parameters(), *projections.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0, fused=True)
    steps, step = epochs * -(-len(inputs) // BATCH), 0
    for epoch in range(epochs):
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(mix(0, epoch, 1)))
        for rows in order.split(BATCH):
            batch = inputs[rows]
            with torch.no_grad():
                features = [teacher.feature(batch) for teacher in teachers]
                said = [teacher.head(feature) for teacher, feature in zip(teachers, features, strict=True)]
            feature = student.feature(batch)
            logits = student.head(feature)
            log_q = (logits / TEMPERATURE).log_softmax(-1)
            loss = cross_entropy(logits, labels[rows])
            for one in said:
                softened = (one / TEMPERATURE).log_softmax(-1)
                loss = loss + TEMPERATURE**2 / TEACHERS * kl_div(log_q, softened, reduction="batchmean", log_target=True)
            for projection, one in zip(projections, features, strict=True):
                loss = loss + BETA / TEACHERS * mse_loss(projection(feature), one)
            for group in optimiser.param_groups:
                group["lr"] = 1e-3 * (1 - step / steps)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            step += 1


def _spread(name: str, values: list[float]) -> dict[str, float]:
    low, middle, high = quantiles(values, n=4)
    return {name: middle, f"{name}.low": low, f"{name}.high": high}
