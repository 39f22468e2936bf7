"""okd, its controls and its relatives: quality at equal steps, and what a training costs. Nine cells, three seeds.

Every student of a cell begins from the same fine-tuning and makes the same number of steps on the same batches; each
method's learning rate is chosen by the same short runs, on another seed and on items that nothing else looks at.
Divergences are from the *original* teacher, on held-out texts and on the student's own. Seconds are process time of the
steps, and of what a method keeps on disk before them. What is measured is kept by student: a run that is started again goes
on, a second process beside it takes what is left, a changed program or another processor measures anew. After
`DISTRUST_SECONDS` of process time nothing more is begun. `results/okd.students.json` has every student's figures, and a
later run of the same program on such a processor goes on from there.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks._okd_goals import goals, to_forward
from benchmarks._okd_student import METHODS, WATCHED, Task, figures, program
from benchmarks._puzzles import KINDS, judged
from benchmarks._tutoring import POOL, PUZZLES, Cell, teacher, texts
from benchmarks.harness import RESULTS, Result, needs_data, processor
from distrust.errors import RunError
from distrust.files import fingerprint, read_json, write_json
from distrust.stages import lock

FEWEST = ("fine_tuning", "forward", "okd")
FEWER = ("fine_tuning", "forward", "okd", "gkd", "reverse", "okd.last", "forward_longer", "tuned_first")
QUICK = ("fine_tuning", "forward", "gkd", "okd")
WHOLE = [Cell("stories", width) for width in (32, 48, 16)]  # all methods
OTHERS = [Cell("sequences", 48), Cell("many", 32), Cell("shakespeare", 32), Cell("stories", 48, "teacher")]  # `FEWER`
ONCE = [Cell("stories", width, "teacher") for width in (32, 16)]  # `FEWEST`, of the first seed alone
SEARCHED = {"stories": WHOLE[0], "shakespeare": WHOLE[0], "sequences": OTHERS[0], "many": OTHERS[1]}
RATES = (3e-3, 6e-3, 1.2e-2)
EPOCHS = {"texts": (4, 2), "puzzles": (12, 4)}  # of all but `forward_longer`, and of a short run for a rate
LONGER = "forward_longer"  # its epochs are those that okd's seconds buy
SEEDS, SEARCH_SEED = (0, 1, 2), 100
STUDENTS = RESULTS / "okd.students.json"


Found = dict[Task, dict[str, float]]


def run(quick: bool) -> Result:
    """All students that no other process is at; `quick`: one cell, four methods, one seed and one rate."""
    needs_data("okd")
    torch.set_num_threads(1)
    if quick:
        tasks = [Task(WHOLE[0], name, 0, 6e-3, 3) for name in QUICK]
        return result(measured(tasks), tasks)
    try:
        found = measured(searches())
        for _ in range(2):  # where no search took the time, the first seed's students do, and only then it is known
            tasks = planned(found)
            found |= measured([task for task in tasks if task not in found])
    finally:
        keep_students()
    return result(found, tasks)


def keep_students() -> None:
    """All students of this program on this processor beside the result; where there is none, what lies there stays."""
    kept = (Path(tempfile.gettempdir()) / f"distrust-okd-{place()}").glob("*/figures.json")
    known = _earlier() | {one.parent.name: read_json(one) for one in sorted(kept)}
    if known:
        write_json(STUDENTS, {"program": place(), "figures": known})


def epochs(cell: Cell) -> tuple[int, int]:
    """As `EPOCHS`."""
    return EPOCHS["puzzles" if cell.texts in KINDS else "texts"]


def searches() -> list[Task]:
    """Short runs at every rate, for each method where it will be measured; `forward_longer` goes by `forward`."""
    return [
        Task(cell, name, SEARCH_SEED, rate, epochs(cell)[1], search=True)
        for cell, names in ((WHOLE[0], tuple(METHODS)), (OTHERS[0], FEWER), (OTHERS[1], FEWER))
        for name in names
        if name != LONGER
        for rate in RATES
    ]


def planned(found: Found) -> list[Task]:
    """All students, seed by seed, at the rates that were found; those whose rate or epochs are not known are left out."""
    plan = [
        (seed, cell, name)
        for seed in SEEDS
        for cells, names in ((WHOLE, tuple(METHODS)), (OTHERS, FEWER), (ONCE if seed == SEEDS[0] else [], FEWEST))
        for cell in cells
        for name in names
    ]
    rates = {(cell, name): _rate(found, cell, name) for _, cell, name in plan}
    times = {cell: bought(found, cell, epochs(cell)[0]) for _, cell, _ in plan}
    return [
        Task(cell, name, seed, rate, count)
        for seed, cell, name in plan
        if (rate := rates[cell, name]) is not None
        and (count := times[cell] if name == LONGER else epochs(cell)[0]) is not None
    ]


def bought(found: Found, cell: Cell, count: int) -> int | None:
    """How many epochs of forward KL the seconds of so many epochs of okd buy, rounded; None where neither was timed.

    Both as the searches of that cell took them, or where it has none, the students of the first seed.
    """
    for seed in (SEARCH_SEED, SEEDS[0]):
        took = {
            name: [
                (one["seconds"], task.epochs)
                for task, one in found.items()
                if (task.cell, task.method, task.seed) == (cell, name, seed)
            ]
            for name in ("okd", "forward")
        }
        if all(took.values()):
            of_okd, of_forward = (sum(one for one, _ in each) / sum(many for _, many in each) for each in took.values())
            return max(1, round(count * of_okd / of_forward))
    return None


def _rate(found: Found, cell: Cell, method: str) -> float | None:
    """Of the least divergence, on texts and on the student's own together."""
    like = "forward" if method == LONGER else method
    at, by_rate = SEARCHED[cell.texts], {}
    for task, one in found.items():
        if task.search and (task.cell, task.method) == (at, like):
            by_rate[task.rate] = one["kl"] + one["kl_own"]
    return min(by_rate, key=lambda rate: by_rate[rate]) if len(by_rate) == len(RATES) else None


def measured(tasks: Sequence[Task]) -> Found:
    """What is known of each, or is found now; what other processes are at is waited for at the end."""
    found: Found = {}
    ends = float(os.environ.get("DISTRUST_SECONDS", "inf"))
    for wait in (False, True):
        for task in [one for one in tasks if one not in found]:
            one = _kept(task, wait, time.process_time() < ends)
            if one is None:
                continue
            found[task] = one
            shown = " ".join(f"{name} {value:.3g}" for name, value in one.items() if not name.startswith("path."))
            print(f"{len(found)}/{len(tasks)} {task.name}: {shown}", flush=True)
    return found


def _kept(task: Task, wait: bool, begin: bool) -> dict[str, float] | None:
    """One student's figures, read back where this very program has measured them; None where that is not done now."""
    folder = Path(tempfile.gettempdir()) / f"distrust-okd-{place()}" / task.name
    if task.name in _earlier():
        return _earlier()[task.name]
    while not (folder / "figures.json").is_file():
        if not begin:
            return None
        try:
            turn = lock(folder)
        except RunError:  # another process is at it
            if not wait:
                return None
            time.sleep(2)
            continue
        try:
            if not (folder / "figures.json").is_file():
                write_json(folder / "figures.json", figures(task))
        finally:
            os.close(turn)
    known: dict[str, float] = read_json(folder / "figures.json")
    return known


@cache
def place() -> str:
    """A fingerprint of the program, and of the processor that its seconds are of."""
    return fingerprint(program(), processor())[:16]


@cache
def _earlier() -> dict[str, dict[str, float]]:
    """Students of this very program on such a processor, by name, that an earlier run has left in the results."""
    kept = read_json(STUDENTS) if STUDENTS.is_file() else {"program": None}
    return dict(kept["figures"]) if kept["program"] == place() else {}


def result(found: Found, tasks: Sequence[Task]) -> Result:
    """Means over seeds with the least and the most, by cell and method, and how many students there are so far."""
    known: dict[str, float | bool] = {}
    done = [task for task in tasks if task in found]
    for start in dict.fromkeys((task.cell.name, task.method) for task in done):
        tasked = [task for task in done if (task.cell.name, task.method) == start]
        same = [found[task] for task in tasked]
        at = f"{start[0]}.{start[1]}"
        for name in [one for one in same[0] if not one.startswith("path.")]:
            known |= spread(f"{at}.{name}", [own[name] for own in same])
        took = [to_forward(found, task) for task in tasked]
        there = [one for one in took if one is not None]
        known |= spread(f"{at}.seconds_to_forward", there) if len(there) == len(took) else {}
        known |= {f"{at}.seeds": len(same), f"{at}.seeds_that_reach_forward": len(there)}
    known |= goals(known, found)
    for kind in dict.fromkeys(task.cell.texts for task in done if task.cell.texts in KINDS):
        known |= {f"{kind}.teacher.{name}": value for name, value in _of_teacher(kind).items()}
    whole = [one["whole_seconds"] for one in found.values()]
    settings: dict[str, Any] = {
        "intervals": "least and most of the seeds",
        "cells": list(dict.fromkeys(task.cell.name for task in tasks)),
        "measured": f"{len(done)} of {len(tasks)}",
        "hours_of_one_core_so_far": round(sum(whole) / 3600, 2),
        "rates": {f"{cell}.{name}": rate for cell, name, rate in dict.fromkeys(_where(task) for task in tasks)},
        "epochs": {name: some[0] for name, some in EPOCHS.items()},
        "epochs_of_forward_longer": {task.cell.name: task.epochs for task in tasks if task.method == LONGER},
        "longer": "the others' times okd's seconds over forward's, in the cell's searches or else first seed",
        "seconds_to_forward": f"until KL on {WATCHED} validation items is forward's last; straight between epochs",
        "pools": {"texts": POOL, "puzzles": PUZZLES},
    }
    settings |= {name: f"{one} {options}" for name, (one, options) in METHODS.items()}
    return Result(known, settings, list(dict.fromkeys(task.seed for task in tasks)))


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """A figure over seeds: the mean, the least and the most."""
    return {name: mean(values), f"{name}.low": min(values), f"{name}.high": max(values)}


def _where(task: Task) -> tuple[str, str, float]:
    return SEARCHED.get(task.cell.texts, task.cell).name, task.method, task.rate


@cache
def _of_teacher(kind: str) -> dict[str, float]:
    return judged(kind, teacher(kind).model, texts(kind).test)
