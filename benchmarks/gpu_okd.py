"""okd and its relatives on a GPU: a teacher of 40 million parameters, students of 4 million. Waits for a device.

As `okd`: equal steps from one fine-tuning, rates searched alike, divergences from the original teacher. Seconds are process
time of the process that drives the device, which waits for it at every step. Without a device this ends in a sentence;
`--quick` carries all of it out at toy sizes, on the CPU if need be, which shows that it works and says nothing else.
"""

from __future__ import annotations

import torch

from benchmarks._okd_student import Task
from benchmarks._tutoring import Cell
from benchmarks.harness import Absent, Result, needs_data
from benchmarks.okd import FEWER, measured, result

CELL, TOY = Cell("verse", 256), Cell("verse.toy", 32)
NAMES = (*FEWER[:6], "taid", "distillm")
RATES = (5e-4, 1e-3, 2e-3)
EPOCHS, SEARCHED = 6, 2
SEEDS, SEARCH_SEED = (0, 1, 2), 100


def run(quick: bool) -> Result:
    """Every method's rate, then three seeds; `quick`: two methods of the toy, one seed and one rate."""
    needs_data("gpu_okd")
    if quick:
        tasks = [Task(TOY, name, 0, RATES[1], 1) for name in ("forward", "okd")]
        return _named(result(measured(tasks), tasks))
    if not torch.cuda.is_available():
        raise Absent("The benchmark gpu_okd needs a CUDA device, and torch sees none; --quick tries it at toy sizes.")
    searched = [Task(CELL, name, SEARCH_SEED, rate, SEARCHED, search=True) for name in NAMES for rate in RATES]
    found = measured(searched)
    best = {
        name: min((one for one in searched if one.method == name), key=lambda one: found[one]["kl"] + found[one]["kl_own"])
        for name in NAMES
    }
    tasks = [Task(CELL, name, seed, best[name].rate, EPOCHS) for seed in SEEDS for name in NAMES]
    return _named(result(found | measured(tasks), tasks))


def _named(found: Result) -> Result:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none: on the CPU"
    return Result(found.figures, found.settings | {"device": device}, found.seeds)
