"""A comparison carried out: paid answers bought once, then cells side by side in processes, each a durable run.

Knows folders and what a finished cell leaves. Knows no method, and judges nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from pathlib import Path
from typing import Any

from distrust.build import LEDGER, as_they_are, opened
from distrust.comparison.cells import Cell
from distrust.comparison.figures import MEASURES, Outcome
from distrust.comparison.workers import Tell, side_by_side
from distrust.errors import DistrustError
from distrust.evidence import join
from distrust.files import fingerprint, read_json, write_json
from distrust.finish import carry_out, write
from distrust.ledger import Ledger
from distrust.methods import find
from distrust.recipe import Endpoint, Recipe
from distrust.run import Run
from distrust.stages import held
from distrust.store import load_tensors
from distrust.teachers.endpoint import EndpointTeacher
from distrust.teachers.kept import keep

DONE = "cell.json"
TOKENS = ("prompt_tokens", "completion_tokens")


def outcomes(
    cells: Sequence[Cell],
    folder: Path,
    finished: Callable[[Cell, Outcome | str], None],
    asked: Callable[[Any], None],
    going: Callable[[Cell, str, int, int], None],
) -> tuple[list[Outcome], dict[str, str]]:
    """Carry out what is missing, on all cores; returns what every cell came to, and why some could not be carried out.

    Args:
        cells: all of a comparison.
        folder: what they share: stages, evidence, bought answers.
        finished: told of each cell, in the order in which they finish.
        asked: called as buying for all of them goes on.
        going: told how far a cell is: what is under way, so much of it done, of so much.

    Raises:
        RunError: a process that died. KeyboardInterrupt: after Ctrl-C; what was finished is kept.
    """
    done, failed = {}, {}
    todo = []
    for cell in cells:
        found = read(cell)
        if found is None:
            todo.append(cell)
        else:
            done[cell] = found
            finished(cell, found)
    bought = {cell: _buy(cell.recipe, folder, asked) for cell in todo if _paid(cell.recipe) and not _chooses(cell.recipe)}
    threads = cells[0].recipe.threads or 1
    tasks = {cell: (cell, folder, bought.get(cell)) for cell in todo}
    for cell, why in side_by_side(_carry, tasks, threads, going):
        found = read(cell) if why is None else None
        if found is not None:
            done[cell] = found
        else:
            failed[cell.shown] = why or "it left no outcome"
        finished(cell, found if found is not None else failed[cell.shown])
    return [done[cell] for cell in cells if cell in done], failed


def read(cell: Cell) -> Outcome | None:
    """What a cell came to, if it was carried out with this very recipe."""
    if not (cell.folder / DONE).is_file():
        return None
    known = read_json(cell.folder / DONE)
    if known["key"] != cell.key:
        return None
    tensors = load_tensors(cell.folder / "facts" / "tensors.safetensors")
    right = tensors["prediction.student"].argmax(-1) == tensors["test_labels"]
    return Outcome(
        *(cell.method, cell.setting, cell.seed, right, known["nll"], known["seconds"], known["calls"], known["money"]),
        prompt_tokens=known.get("prompt_tokens"),  # an older cell has none
        completion_tokens=known.get("completion_tokens"),
        learned=_learned(cell),
    )


def _learned(cell: Cell) -> dict[str, list[float]]:
    """What the fit of a cell's student came to in each epoch; without a measure that was no number in one of them."""
    rows = [json.loads(line) for line in (cell.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    fit = "student" if any(row["fit"] == "student" for row in rows) else cell.recipe.method.name
    own = [row for row in rows if row["fit"] == fit]
    known = {name: [row.get(name) for row in own] for name in MEASURES if own}
    return {name: one for name, one in known.items() if all(value is not None and isfinite(value) for value in one)}


def paid(folder: Path) -> dict[str, Any] | None:
    """What everything that was ever bought in a comparison's folder cost together; None where nothing was.

    Less than its cells' sum: they share what was bought once, and lend each other answers.
    """
    sums = []
    for path in sorted(folder.rglob(LEDGER)):
        with Ledger(path, readonly=True) as ledger:
            sums.append(ledger.paid())
    if not sums:
        return None
    prices = [one.money for one in sums if one.money is not None]
    return {
        "calls": sum(one.calls for one in sums),
        "prompt_tokens": sum(one.prompt_tokens for one in sums),
        "completion_tokens": sum(one.completion_tokens for one in sums),
        "money": sum(prices) if len(prices) == len(sums) else None,
    }


def _carry(tell: Tell, cell: Cell, folder: Path, bought: Path | None) -> str | None:
    """In a process of its own: the cell's run to its report; returns a sentence where that cannot be."""

    def fitting(task: str, done: int, total: int, _: Mapping[str, float]) -> None:
        tell(f"fit {task}", done, total)

    def asked(one: Any) -> None:
        tell(f"ask {one.teacher}", one.done, one.wanted)

    tell("begins", 0, 0)
    recipe = cell.recipe
    if bought is not None and isinstance(recipe.assistant, Endpoint):
        recipe = recipe.model_copy(update={"assistant": None})  # only methods that choose what they buy ask one
    try:
        with _turn(recipe, folder), opened(recipe, fitting, asked, shared=folder, kept=bought) as (run, task):
            _lend(run, folder)
            facts, student = carry_out(run, task, recipe)
            write(facts, student, run.folder)
            found = read_json(run.folder / "metrics.json")
            total = found["spending"]["total"]
            known = {
                "key": cell.key,
                "method": cell.method,
                "setting": cell.setting,
                "seed": cell.seed,
                "nll": found["test"]["student"].get("nll", {"value": None})["value"],
                "seconds": found["environment"]["method_seconds"],
                "calls": total["calls"],
                "money": total["money"],
                **{name: total[name] for name in TOKENS},
            }
            write_json(run.folder / DONE, known)
    except DistrustError as error:
        return str(error)
    return None


def _paid(recipe: Recipe) -> bool:
    return any(isinstance(teacher, Endpoint) for teacher in recipe.teachers)


def _chooses(recipe: Recipe) -> bool:
    """Whether its method decides what teachers are asked, so that the whole pool must not be bought for it."""
    return hasattr(find(recipe.method.name, recipe.method.options)[1], "asked")


def _turn(recipe: Recipe, folder: Path) -> AbstractContextManager[None]:
    """Cells that buy for themselves do so one after another, so that none pays for what another is about to have."""
    buys = _chooses(recipe) and any(isinstance(one, Endpoint) for one in recipe.asked)
    return held(folder, "buying.lock") if buys else nullcontext()


def _lend(run: Run, folder: Path) -> None:
    """Let a cell that buys have what other cells have paid for; its own ledger books it as if it had asked itself."""
    own = run.folder / LEDGER
    for one in (*run.teachers, run.assistant):
        if isinstance(one, EndpointTeacher):
            one.lenders = sorted(path for path in folder.rglob(LEDGER) if path.resolve() != own.resolve())


def _buy(recipe: Recipe, folder: Path, asked: Callable[[Any], None]) -> Path:
    """Buy what paid teachers say of the pool and of gold outside it, once for all cells of the same questions and caps."""
    recipe = as_they_are(recipe)
    asking = recipe.model_dump(mode="json", include={"data", "labels", "task", "answer", "teachers", "budget"})
    if recipe.gold is not None and (
        recipe.gold.path is not None or any(getattr(one, "few_shot", 0) for one in recipe.teachers)
    ):
        asking |= {"gold": recipe.gold.model_dump(mode="json"), "seed": recipe.seed}  # gold is quoted, or asked about
    here = folder / "bought" / fingerprint(asking)[:16]
    if not (here / "done.json").is_file():
        with opened(recipe.model_copy(update={"output_dir": str(here)}), asked=asked) as (run, _):
            outside = run.gold_items.select([row for row, item in enumerate(run.gold.ids) if item not in set(run.pool.ids)])
            for teacher in run.teachers:
                if isinstance(teacher, EndpointTeacher):
                    said = [run.ask(teacher, items) for items in (run.pool, outside) if len(items)]
                    keep(here / "kept", join(said), teacher.fingerprint, teacher.spending())
        write_json(here / "done.json", asking)
    return here / "kept"
