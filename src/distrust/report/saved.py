"""A report's facts on disk, so that a page or one item's trace can be made again without asking anybody.

Knows the files. The items themselves stay in the user's tables: the task is read again from the recipe.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.files import read_json, write_json
from distrust.report.facts import Facts, Spending
from distrust.report.text import plain
from distrust.store import load_evidence, load_tensors, save_evidence, save_tensors
from distrust.task import Task

PLAIN = ("title", "method", "options", "recipe", "kinds", "history", "warnings", "simulated", "environment")
ROOMS = {"pool": "evidence", "gold": "gold_evidence", "test": "test_evidence"}  # folder: field of Facts


def save_facts(facts: Facts, folder: Path) -> None:
    """Write what cannot be read again from the recipe's tables."""
    for room, name in ROOMS.items():
        for number, one in enumerate(getattr(facts, name)):
            save_evidence(one, folder / room / str(number))
    tensors = {f"prediction.{name}": value for name, value in facts.predictions.items()}
    if facts.targets is not None and facts.target_weight is not None:
        tensors |= {"targets": facts.targets, "target_weight": facts.target_weight}
    save_tensors(folder / "tensors.safetensors", tensors)
    known = {name: getattr(facts, name) for name in PLAIN}
    known["spending"] = [asdict(one) for one in facts.spending]
    known["predictions"] = list(facts.predictions)  # in the report's order, which a file of tensors does not keep
    known["evidence"] = {room: len(getattr(facts, name)) for room, name in ROOMS.items()}
    write_json(folder / "facts.json", plain(known))


def load_facts(folder: Path, task: Task) -> Facts:
    """Facts from `save_facts`'s folder and the task they are about. Raises RunError where the run has not finished."""
    if not (folder / "facts.json").is_file():
        raise RunError(f"{folder.parent} holds no finished run; start it with `distrust run`.")
    known: dict[str, Any] = read_json(folder / "facts.json")
    tensors = load_tensors(folder / "tensors.safetensors")
    rooms = {name: _evidence(folder / room, known["evidence"][room]) for room, name in ROOMS.items()}
    test = task.test
    return Facts(
        **{name: known[name] for name in PLAIN},
        space=task.space,
        pool=task.pool,
        evidence=rooms["evidence"],
        gold_evidence=rooms["gold_evidence"],
        test_evidence=rooms["test_evidence"],
        gold=task.gold if len(task.gold) else None,
        targets=tensors.get("targets"),
        target_weight=tensors.get("target_weight"),
        test=None if test is None else test[0],
        test_labels=None if test is None else test[1],
        predictions={name: tensors[f"prediction.{name}"] for name in known["predictions"]},
        spending=[Spending(**one) for one in known["spending"]],
    )


def _evidence(folder: Path, count: int) -> list[Evidence]:
    return [load_evidence(folder / str(number)) for number in range(count)]
