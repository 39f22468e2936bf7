"""okd and its relatives on a GPU: a teacher of 40 million parameters, students of 4 million. Waits for a device.

As `okd`: equal steps from one fine-tuning, rates searched alike, the three controls, okd over alpha, divergences from the
original teacher; forward KL at equal cost goes by the seconds of the searches. Seconds are process
time of the process that drives the device, which waits for it at every step. Without a device this ends in a sentence;
`--quick` carries all of it out at toy sizes, on the CPU if need be, which shows that it works and says nothing else.
"""

from __future__ import annotations

import torch

from benchmarks._okd_student import Task
from benchmarks._tutoring import Cell
from benchmarks.harness import Absent, Result, needs_data
from benchmarks.okd import FEWER, LONGER, SEARCH_SEED, Found, bought, measured, result

CELL, TOY = Cell("verse", 256), Cell("verse.toy", 32)
NAMES = (*FEWER, "okd.alpha0", "okd.alpha25", "okd.alpha50", "taid", "distillm")
RATES = (5e-4, 1e-3, 2e-3)
EPOCHS, SEARCHED = 6, 2
SEEDS = (0, 1, 2)


def run(quick: bool) -> Result:
    """Every method's rate, then three seeds; `quick`: two methods of the toy, one seed and one rate."""
    needs_data("gpu_okd")
    if quick:
        tasks = [Task(TOY, name, 0, RATES[1], 1) for name in ("forward", "okd")]
        return _named(result(measured(tasks), tasks))
    if not torch.cuda.is_available():
        raise Absent("The benchmark gpu_okd needs a CUDA device, and torch sees none; --quick tries it at toy sizes.")
    found = measured(searches(CELL))
    tasks = planned(found, CELL)
    return _named(result(found | measured(tasks), tasks))


def searches(cell: Cell) -> list[Task]:
    """Short runs at every rate, for each method; `forward_longer` goes by `forward`."""
    names = [name for name in NAMES if name != LONGER]
    return [Task(cell, name, SEARCH_SEED, rate, SEARCHED, search=True) for name in names for rate in RATES]


def planned(found: Found, cell: Cell) -> list[Task]:
    """All students, at the rate of the least divergence, on texts and on the student's own together."""
    best = {
        name: min((one for one in found if one.method == name), key=lambda one: found[one]["kl"] + found[one]["kl_own"])
        for name in NAMES
        if name != LONGER
    }
    longer = bought(found, cell, EPOCHS)
    assert longer is not None, "the searches timed both"
    rates = {name: one.rate for name, one in best.items()} | {LONGER: best["forward"].rate}
    return [Task(cell, name, seed, rates[name], longer if name == LONGER else EPOCHS) for seed in SEEDS for name in NAMES]


def _named(found: Result) -> Result:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none: on the CPU"
    return Result(found.figures, found.settings | {"device": device, "epochs": EPOCHS}, found.seeds)
