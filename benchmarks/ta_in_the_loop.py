"""TA-in-the-loop beside random purchase and other ways to spend a small budget, on four families of reasoning questions.

Coin flip and last letters with an LLM's recorded chains of thought as teacher; arithmetic and shuffled objects with a larger
model of our own. The assistant is a middle one of our own, the student a small one that has read questions. Options are
chosen on two seeds at one budget; five other seeds are reported. What is measured is kept by cell: a run that is started
again goes on, and a second process beside it takes the cells that are left; a changed program measures anew.
`DISTRUST_FAMILIES` names some of the families, where not all are wanted, and after `DISTRUST_SECONDS` of process time
nothing more is begun; what is missing is named.
"""

from __future__ import annotations

import fcntl
import inspect
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks._reasoning import Family, families
from benchmarks._reasoning_world import KEPT, MADE_BY, Taught, Upbringing, World, options_of, program, world
from benchmarks._ta_figures import figures
from benchmarks.harness import Result, needs_data
from distrust.answers import Answers
from distrust.data import REFERENCE
from distrust.evaluate import paired_difference
from distrust.files import fingerprint, read_json, write_json
from distrust.labels import OPEN
from distrust.methods.ta_in_the_loop import TaInTheLoop, ta_in_the_loop
from distrust.recipe import Recorded, Train
from distrust.run import Run
from distrust.students import causal
from distrust.students.sampling import Sampling
from distrust.teachers.recorded import RecordedTeacher
from distrust.trust import two_kinds

BUDGETS = {"recorded": (0.1, 0.2, 0.4, 0.8), "made": (0.05, 0.1, 0.2, 0.4)}
SCREENED = {"recorded": 0.4, "made": 0.2}  # at which options are chosen
SCREENING, REPORTED = (100, 101), (0, 1, 2, 3, 4)
WORLDS = {  # the recorded teachers are right of 72 and 75 %; ours are to err as often, and no assistant much less
    "coin": Upbringing(3000, 2, Taught(80, 3, 800, 8, 0.78)),
    "letters": Upbringing(3000, 2, Taught(80, 3, 800, 8, 0.8)),
    "arithmetic": Upbringing(3000, 2, Taught(80, 3, 800, 8, 0.8), Taught(96, 3, 800, 8, 0.72)),
    "shuffled": Upbringing(3000, 2, Taught(80, 3, 800, 8, 0.8), Taught(96, 3, 800, 8, 0.72)),
}
STEPS = {"coin": 400, "letters": 400, "arithmetic": 400, "shuffled": 1200}  # of every fit
LOOP = Train(num_train_epochs=1, learning_rate=3e-3, per_device_train_batch_size=8, warmup_ratio=0.1)
BARE: dict[str, Any] = {  # no cell has gold
    **{"stop": "never", "gold_weight": 0, "calibrate": "none"},
    **{"candidates": 300, "sure": 0.4, "agreed": 0.6},
}
REFERENCE_RUN = "random"
OURS: dict[str, dict[str, Any]] = {  # what is screened; the best of them is reported
    "r1": {},
    "r2": {"use": "weigh"},
    "r3": {"use": "route", "threshold": 0.5},
    "half": {"stages": 1, "signals": ["s3"], "threshold": 0.5},
    "grown": {"stages": 1, "use": "route", "threshold": 0.5, "rounds": 1},
    "kept": {"stages": 1, "use": "route", "threshold": 0.0, "rounds": 1},
    "tried": {"stages": 1, "use": "route", "threshold": "tried", "rounds": 1},
    "agreeing": {"stages": 1, "use": "route", "threshold": "tried", "rounds": 1, "calibrate": "agreement", "agreed": 0.8},
}
OTHERS: dict[str, dict[str, Any]] = {
    REFERENCE_RUN: {"stages": 1, "signals": []},
    "entropy": {"select": "entropy", "signals": ["s1"], "conflict": False},
    "margin": {"select": "margin", "signals": ["s1"], "conflict": False},
    "selected": {"signals": ["s1", "s2"], "conflict": False},
    "filter": {"stages": 1, "signals": ["s3"]},
    "oracle": {"stages": 1, "signals": ["s3"], "threshold": 0.5},  # its assistant is gold
}
FEWER = (1, 2)  # places of the budgets at which all of these are measured; the reference and what is chosen are at all four
WHOLE = "whole"
CARRIED_BY = (  # of the package, what decides what a cell comes to beside its fits
    *("claimed.py", "assistant.py", "adoption.py", "selection.py", "trust/consistency.py", "trust/support.py"),
    *(
        f"methods/{name}.py"
        for name in ("ta_in_the_loop", "assisted", "chances", "choosing", "purchases", "using", "trying")
    ),
    *("trust/two_kinds.py", "teachers/recorded.py"),
)


@dataclass(frozen=True)
class Cell:
    """One student to be trained and judged."""

    family: str
    budget: float
    method: str
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        """Of the method, as a recipe would have them."""
        own = {**OURS, **OTHERS, WHOLE: OTHERS[REFERENCE_RUN]}[self.method]
        return {**BARE, **own, "budget": self.budget, "min_steps": STEPS[self.family]}


def run(quick: bool) -> Result:
    """All cells that no other process holds; `quick`: arithmetic alone, hardly trained, three methods and one seed."""
    needs_data("ta_in_the_loop")
    torch.set_num_threads(1)
    found = {one.name: one for one in families()}
    wanted = "arithmetic" if quick else os.environ.get("DISTRUST_FAMILIES", ",".join(found))
    worlds = _worlds([found[name] for name in wanted.split(",")], quick)
    known: dict[Cell, dict[str, Any]] = {}
    if quick:
        cells = [Cell("arithmetic", 0.2, method, 0) for method in (REFERENCE_RUN, "r1", "oracle")]
        _measure(cells, worlds, known)
        return _result(known, cells, worlds, "r1")
    screening = _screening(list(found))
    _measure(screening, worlds, known)
    chosen = best(known)
    cells = _reported(list(found), chosen)
    _measure(cells, worlds, known)
    return _result(known, [*screening, *cells], worlds, chosen)


def kind(family: str) -> str:
    """Whose answers a family's teacher gives."""
    return "recorded" if family in ("coin", "letters") else "made"


def _screening(names: list[str]) -> list[Cell]:
    methods = [REFERENCE_RUN, *OURS]
    return [Cell(name, SCREENED[kind(name)], method, seed) for seed in SCREENING for method in methods for name in names]


def _reported(names: list[str], chosen: str) -> list[Cell]:
    """The reference and what was chosen first, seed by seed."""
    whole = [Cell(name, 1.0, WHOLE, seed) for seed in REPORTED for name in names]
    both = [REFERENCE_RUN, chosen]
    return [
        Cell(name, BUDGETS[kind(name)][place], method, seed)
        for places, methods in (((2, 1, 3, 0), both), (FEWER, [one for one in OTHERS if one not in both]))
        for seed in REPORTED
        for place in places
        for method in methods
        for name in names
    ] + whole


def best(known: dict[Cell, dict[str, Any]]) -> str:
    """Of the screened options that no family's reference is above beyond noise, that of the largest mean gain.

    On screening seeds alone; among all options, where each is below some reference.
    """
    gains: dict[str, dict[str, Tensor]] = {}  # by option and family: (seeds, items)
    for cell, one in known.items():
        reference = known.get(Cell(cell.family, cell.budget, REFERENCE_RUN, cell.seed))
        if cell.method in OURS and cell.seed in SCREENING and reference is not None:
            of = gains.setdefault(cell.method, {})
            row = torch.tensor([one["right"]]) - torch.tensor([reference["right"]])
            of[cell.family] = torch.cat([of[cell.family], row]) if cell.family in of else row
    cells = {name: sum(len(rows) for rows in of.values()) for name, of in gains.items()}
    full = {name: of for name, of in gains.items() if cells[name] == max(cells.values())}
    safe = {name: of for name, of in full.items() if not any(_below(rows) for rows in of.values())}
    means = {
        name: float(torch.stack([rows.double().mean() for rows in of.values()]).mean())
        for name, of in (safe or full).items()
    }
    return max(means, key=lambda name: means[name]) if means else "r1"


def _below(gains: Tensor) -> bool:
    """Beyond the noise of items, (seeds, items): two seeds say nothing of the noise of seeds."""
    together = gains.flatten()
    return paired_difference(together, torch.zeros_like(together)).verdict == "below"


def _mean(values: list[int]) -> float:
    return sum(values) / len(values)


def _worlds(kinds: list[Family], quick: bool) -> dict[str, World]:
    """Every family's world; one that another process is making is waited for, once the others are made."""
    made: dict[str, World] = {}
    for wait in (False, True):
        for one in kinds:
            with alone(KEPT / one.name, wait) as mine:
                if mine and one.name not in made:
                    made[one.name] = here = world(one, WORLDS[one.name], quick)
                    print(one.name, *(f"{who} {here.right(who):.3f}" for who in ("teacher", "assistant")), flush=True)
    return {one.name: made[one.name] for one in kinds}


def _measure(cells: list[Cell], worlds: dict[str, World], known: dict[Cell, dict[str, Any]]) -> None:
    """What each cell came to: read where it is there, else carried out; what others are at is waited for at the end."""
    ends = float(os.environ.get("DISTRUST_SECONDS", "inf"))
    for wait in (False, True):
        for cell in [one for one in cells if one not in known and one.family in worlds]:
            folder = worlds[cell.family].student.parent / "cells"
            here = folder / fingerprint(asdict(cell), cell.options, LOOP.model_dump(), _carried_by())[:16]
            over = time.process_time() >= ends
            with alone(here, wait and not over) as mine:
                if mine and not (here / "outcome.json").is_file() and not over:
                    write_json(here / "outcome.json", carried(cell, worlds[cell.family], here / "run"))
            if (here / "outcome.json").is_file():
                known[cell] = one = read_json(here / "outcome.json")
                print(asdict(cell), f"right {_mean(one['right']):.3f}, {one['seconds']:.0f} s", flush=True)


def carried(cell: Cell, here: World, folder: Path) -> dict[str, Any]:
    """One cell's run: where its student is right about the test items, of how many answers it learned, process seconds."""
    start = time.process_time()
    answers = Answers(here.family.answer)

    def said(column: str) -> RecordedTeacher:
        return RecordedTeacher(Recorded(kind="recorded", name=column, column=column), OPEN, here.pool, answers)

    how = options_of(here.student, here.family)
    work = Run(
        folder,
        space=None,
        answers=answers,
        pool=here.pool,
        teachers=[said("teacher")],
        assistant=said("gold" if cell.method == "oracle" else "assistant"),
        new_student=lambda seed: causal.build(how, answers, seed, here.pool),
        options=LOOP,
        seed=cell.seed,
        stages=folder.parents[1] / f"stages-{_carried_by()[:12]}",  # a warm-up is the same for all who choose after it
    )
    try:
        student = ta_in_the_loop(work, TaInTheLoop.model_validate(cell.options))
        texts = work.ask(student, here.test, Sampling()).texts or []
        gold = [answers.reference(one) for one in here.test.columns[REFERENCE]]
        right = [int(answers.read(one[0]) == wanted) for one, wanted in zip(texts, gold, strict=True)]
        used = len(work.fits["student"].labelled)
        return {"right": right, "used": used, "notes": work.notes, "seconds": time.process_time() - start}
    finally:
        work.close()


@cache
def _carried_by() -> str:
    """A fingerprint of the code that carries out a cell, as it was when this process began."""
    return fingerprint(program(MADE_BY + CARRIED_BY), inspect.getsource(carried))


@contextmanager
def alone(folder: Path, wait: bool) -> Iterator[bool]:
    """Whether what a folder is for is this process's to do; `wait`: it is, as soon as nobody else is at it."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "turn.lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            mine = True
        except BlockingIOError:
            mine = False
        yield mine
    finally:
        os.close(handle)


def _result(known: dict[Cell, dict[str, Any]], cells: list[Cell], worlds: dict[str, World], chosen: str) -> Result:
    missing = [cell for cell in cells if cell not in known]
    spent = [one["seconds"] for one in known.values()]
    shown = figures({(*asdict(cell).values(),): one["right"] for cell, one in known.items()}, chosen, SCREENING)
    for name, here in worlds.items():
        shown |= {f"{name}.{who}": here.right(who) for who in ("teacher", "assistant")}
        shown |= {f"{name}.{what}": value for what, value in _agreement(here).items()}
    settings = {
        "chosen": f"{chosen} {OURS[chosen]}{', so far' if any(cell.seed in SCREENING for cell in missing) else ''}",
        "screened": str(OURS),
        "others": str(OTHERS),
        "all_cells": str(BARE),
        "steps": str(STEPS),
        "worlds": str(WORLDS),
        "test": len(next(iter(worlds.values())).test),
        "train": str(LOOP.model_dump()),
        "kept": str(KEPT.relative_to(KEPT.parents[2])),
        "cells": len(cells),
        "cells_measured": len(known),
        "seconds_a_cell": median(spent) if spent else 0.0,
        "hours_of_one_core_for_all_cells": round(median(spent) * len(cells) / 3600, 2) if spent else 0.0,
        "rows_not_measured_yet": _rows(missing),
    }
    return Result(shown, settings, sorted({cell.seed for cell in known}))


def _agreement(here: World) -> dict[str, float]:
    """How often the teacher is right where so many of the assistant's samples agree, and what agreement makes of it."""
    answers, columns = Answers(here.family.answer), here.pool.columns
    if isinstance(columns["assistant"][0], str):
        return {}  # one sample tells no two kinds of answers apart
    said = [answers.read(one) for one in columns["teacher"]]
    right = torch.tensor([one == answers.read(gold) for one, gold in zip(said, columns["gold"], strict=True)])
    samples = len(columns["assistant"][0])
    agree = torch.tensor(
        [
            sum(answers.read(one) == own for one in each) if own is not None else 0
            for own, each in zip(said, columns["assistant"], strict=True)
        ]
    )
    found = two_kinds(agree / samples, samples)
    chances = found(torch.arange(samples + 1) / samples, samples).tolist()
    figures = {f"agree_{count}.by_agreement": chance for count, chance in enumerate(chances)}
    for count in range(samples + 1):
        if bool((agree == count).any()):
            figures[f"agree_{count}.right"] = float(right[agree == count].double().mean())
            figures[f"agree_{count}.share"] = float((agree == count).double().mean())
    return figures


def _rows(cells: list[Cell]) -> str:
    """Cells with the seeds of each: `coin.0.4.random 0 1, ...`."""
    seeds: dict[str, list[str]] = {}
    for one in cells:
        seeds.setdefault(f"{one.family}.{one.budget:g}.{one.method}", []).append(str(one.seed))
    return ", ".join(f"{row} {' '.join(many)}" for row, many in seeds.items())
