"""What a report is made from is kept with the run: a fact that is forgotten on disk would be gone from `distrust report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distrust.data import Items
from distrust.evidence import Cost, Dense, Evidence
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.report.facts import Buying, Facts, LearningCurve, Spending, Texts
from distrust.report.saved import load_facts, save_facts

ODD = "\x1b[31m <b> ü \u2028"
SPACE = LabelSpace(("a", ODD), {"first": "a"})
POOL = Items(("p0", ODD), ("one", f"two {ODD}"))
TEST = Items(("t0", "t1"), (("a", "pair"), ("of", "texts")))
CHANCES = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
SAID = Evidence(ODD, POOL.ids, SPACE, torch.tensor([[0, -1]]), Dense(CHANCES.log()), texts=[["x"], []], cost=Cost.free(2))

FULL = Facts(
    title=ODD,
    method="distill",
    options={"trust": "alike", "rate": 0.5, "none": None},
    recipe={"data": {"pool": {"path": "${PLACE}/pool.csv"}}},
    space=SPACE,
    pool=POOL,
    evidence=[SAID],
    kinds={ODD: "recorded"},
    gold=Gold(("p0",), torch.tensor([1]), SPACE, {"judge": 1}, 7),
    targets=CHANCES,
    target_weight=torch.tensor([1.0, 0.0]),
    test=TEST,
    test_labels=torch.tensor([0, 1]),
    predictions={"student": CHANCES, "gold-only": 1 - CHANCES},
    test_evidence=[replace(SAID, ids=TEST.ids)],
    history=[{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}],
    spending=[Spending(ODD, 3, 2, 1, None, 1, 1, "budget.calls"), Spending("old", 0, 0, 0, 0.0)],
    gold_evidence=[SAID, SAID],
    warnings=["w"],
    notes=["n", ODD],
    simulated=["s"],
    open_answers=True,
    texts=Texts(["wanted", ODD], {"student": [None, "said"]}),
    weights=torch.tensor([[0.5, 1.0]]),
    what_if={"as it was": CHANCES},
    curve=LearningCurve([5, 9], torch.tensor([[True, False], [True, True]])),
    signals={"s3": {"auc": 0.5}},
    choice=[{"name": "distill", "accuracy": 0.5}],
    buying=Buying([0, 9], [0.0, None], torch.tensor([[True, False], [True, True]]), [0, 18]),
    environment={"torch": "2", "seconds": 1.5},
)


def same(one: Any, other: Any) -> bool:
    """By content: of tensors bit for bit, of what is a sequence or a mapping by what is in it."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, part.name), getattr(other, part.name)) for part in fields(one)
        )
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def test_every_fact_comes_back_from_disk(tmp_path: Path) -> None:
    for part in fields(Facts):
        default = part.default_factory() if part.default_factory is not MISSING else part.default
        assert default is MISSING or getattr(FULL, part.name) != default, f"{part.name} is not told here: tell it"
    save_facts(FULL, tmp_path)
    back = load_facts(tmp_path)
    assert [part.name for part in fields(Facts) if not same(getattr(FULL, part.name), getattr(back, part.name))] == []


def test_facts_that_are_not_there_stay_so(tmp_path: Path) -> None:
    absent = {part.name: None for part in fields(Facts) if "None" in str(part.type)}
    assert {"gold", "targets", "test", "texts", "curve", "buying"} <= absent.keys()
    few = replace(FULL, **absent, predictions={}, what_if={}, evidence=[], gold_evidence=(), test_evidence=[], spending=[])
    save_facts(few, tmp_path)
    back = load_facts(tmp_path)
    assert [part.name for part in fields(Facts) if not same(getattr(few, part.name), getattr(back, part.name))] == []
