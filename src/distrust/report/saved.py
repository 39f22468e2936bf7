"""A report's facts on disk, items and all, so that a page or one item's trace can be made again without asking anybody.

Knows the files. Does not read the recipe or the user's tables again: they may have moved on since.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from distrust.data import Items
from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.files import read_json, write_json
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.report.facts import Buying, Facts, LearningCurve, Spending, Texts
from distrust.report.text import plain
from distrust.store import load_evidence, load_tensors, save_evidence, save_tensors

PLAIN = (
    "title",
    "method",
    "options",
    "recipe",
    "kinds",
    "history",
    "warnings",
    "notes",
    "simulated",
    "environment",
    "open_answers",
)
ROOMS = {"pool": "evidence", "gold": "gold_evidence", "test": "test_evidence"}  # folder: field of Facts


def save_facts(facts: Facts, folder: Path) -> None:
    """Write everything a report is made from. What no page shows stays behind: columns of the items, teachers' features."""
    for room, name in ROOMS.items():
        for number, one in enumerate(getattr(facts, name)):
            save_evidence(replace(one, features={}), folder / room / str(number))
    tensors = {f"prediction.{name}": value for name, value in facts.predictions.items()}
    tensors |= {f"what_if.{name}": value for name, value in facts.what_if.items()}
    named = {name: getattr(facts, name) for name in ("targets", "target_weight", "weights", "test_labels")}
    tensors |= {name: value for name, value in named.items() if value is not None}
    known: dict[str, Any] = {name: getattr(facts, name) for name in PLAIN}
    known["space"] = {"names": list(facts.space.names), "aliases": dict(facts.space.aliases)}
    for name, items in (("pool", facts.pool), ("test", facts.test)):
        known[name] = None if items is None else _plain_items(name, items, tensors)
    if facts.gold is not None:
        known["gold"] = {"ids": facts.gold.ids, "reserve": dict(facts.gold.reserve), "seed": facts.gold.seed}
        tensors["gold_labels"] = facts.gold.labels
    known["signals"], known["choice"] = dict(facts.signals), list(facts.choice)
    known["texts"] = None if facts.texts is None else asdict(facts.texts)
    if facts.curve is not None:
        known["curve"], tensors["curve"] = list(facts.curve.labels), facts.curve.right
    if facts.buying is not None:
        known["buying"] = {name: list(getattr(facts.buying, name)) for name in ("items", "money", "calls")}
        tensors["buying"] = facts.buying.right
    known["spending"] = [asdict(one) for one in facts.spending]
    known["predictions"] = list(facts.predictions)  # in the report's order, which a file of tensors does not keep
    known["what_if"] = list(facts.what_if)
    known["evidence"] = {room: len(getattr(facts, name)) for room, name in ROOMS.items()}
    save_tensors(folder / "tensors.safetensors", tensors)
    write_json(folder / "facts.json", plain(known))


def load_facts(folder: Path) -> Facts:
    """Facts from `save_facts`'s folder. Raises RunError where the run has not finished, or a file is damaged."""
    if not (folder / "facts.json").is_file():
        raise RunError(f"{folder.parent} holds no finished run; start it with `distrust run`.")
    known: dict[str, Any] = read_json(folder / "facts.json")
    tensors = load_tensors(folder / "tensors.safetensors")
    rooms = {name: _evidence(folder / room, known["evidence"][room]) for room, name in ROOMS.items()}
    space = LabelSpace(tuple(known["space"]["names"]), known["space"]["aliases"])
    gold = known.get("gold")
    return Facts(
        **{name: known[name] for name in PLAIN},
        space=space,
        pool=_items("pool", known["pool"], tensors),
        evidence=rooms["evidence"],
        gold_evidence=rooms["gold_evidence"],
        test_evidence=rooms["test_evidence"],
        gold=gold and Gold(tuple(gold["ids"]), tensors["gold_labels"], space, gold["reserve"], gold["seed"]),
        targets=tensors.get("targets"),
        target_weight=tensors.get("target_weight"),
        weights=tensors.get("weights"),
        test=None if known["test"] is None else _items("test", known["test"], tensors),
        test_labels=tensors.get("test_labels"),
        predictions={name: tensors[f"prediction.{name}"] for name in known["predictions"]},
        what_if={name: tensors[f"what_if.{name}"] for name in known.get("what_if", ())},
        buying=Buying(**known["buying"], right=tensors["buying"]) if known.get("buying") else None,
        signals=known.get("signals", {}),
        choice=known.get("choice", ()),
        texts=None if known.get("texts") is None else Texts(**known["texts"]),
        curve=LearningCurve(known["curve"], tensors["curve"]) if known.get("curve") else None,
        spending=[Spending(**one) for one in known["spending"]],
    )


def _plain_items(name: str, items: Items, tensors: dict[str, Tensor]) -> dict[str, Any]:
    if isinstance(items.inputs, Tensor):
        tensors[f"items.{name}"] = items.inputs
        return {"ids": items.ids}
    return {"ids": items.ids, "inputs": items.inputs}


def _items(name: str, known: dict[str, Any], tensors: dict[str, Tensor]) -> Items:
    if "inputs" not in known:
        return Items(tuple(known["ids"]), tensors[f"items.{name}"])
    return Items(tuple(known["ids"]), tuple(one if isinstance(one, str) else tuple(one) for one in known["inputs"]))


def _evidence(folder: Path, count: int) -> list[Evidence]:
    return [load_evidence(folder / str(number)) for number in range(count)]
