"""What peer-advised costs beside plain distillation, and beside the epochs that its stages make: at most 1.05 times those.

One process, one thread, process time, whole runs in random order. An epoch of a stage is counted as the share of plain
distillation's items that it reads. Nothing here is about quality, and no test item is looked at.
"""

from __future__ import annotations

import random
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median
from time import process_time

import torch

from benchmarks._noisy_worlds import World, world
from benchmarks._peer_tasks import METHODS_RUN, Followed, Task, _run
from benchmarks.harness import Result, needs_data
from distrust.files import read_json
from distrust.fits import EPOCHS
from distrust.methods import find

METHODS = ("distill", "faithful", "peer_advised")


def run(quick: bool) -> Result:
    """Development worlds of TREC and CLINC150 with 40 % of the labels wrong; `quick`: TREC alone, fewer rounds."""
    needs_data("peer_cost")
    torch.set_num_threads(1)
    figures: dict[str, float | bool] = {}
    rounds = 2 if quick else 5
    for name in ("trec",) if quick else ("trec", "clinc150"):
        task = Task(name, "symmetric", 40, 0)
        here = world(task.set, task.teacher, task.amount, task.seed, task.pool)
        seconds: dict[str, list[float]] = {method: [] for method in METHODS}
        read: dict[str, float] = {}
        order = random.Random(0)
        for number in range(rounds + 1):
            for method in order.sample(METHODS, len(METHODS)):
                took, read[method] = _carried(here, task, method)
                if number:  # the first round warms up
                    seconds[method].append(took)
        for method in METHODS[1:]:
            ratio = median(one / plain for one, plain in zip(seconds[method], seconds["distill"], strict=True))
            epochs = read[method] / read["distill"]
            figures |= {f"{name}.{method}.seconds_over_distill": ratio, f"{name}.{method}.epochs_over_distill": epochs}
            figures[f"{name}.{method}.seconds_over_epochs"] = ratio / epochs
    return Result(figures, {"rounds": rounds, "student": "ngram", "labels wrong": "40 %, at random"}, [0])


def _carried(here: World, task: Task, method: str) -> tuple[float, float]:
    """Process seconds of a whole method in a run of its own, and the items that its fits read, an epoch at a time."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(_run(here, task, Path(folder), Followed(task, here))) as work,
    ):
        chosen, checked = find(*METHODS_RUN[method])
        started = process_time()
        chosen.run(work, checked)
        took = process_time() - started
        fits = [read_json(done) for done in Path(folder).glob("stages/fit-*/done.json")]
        return took, float(sum(one["items"] * len(one[EPOCHS]) for one in fits))
