"""Augmentation: teachers and student see the same views, which a seed replays; what draws anew each time is refused."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.data import Items
from distrust.errors import DataError
from distrust.evidence_store import EvidenceStore
from distrust.gold import Gold
from distrust.labelled import from_targets
from distrust.recipe import Train
from distrust.run import Run
from distrust.students.module import ModuleStudent
from distrust.teachers.module import ModuleTeacher
from distrust.views import views
from tests import worlds


def shaken(given: Tensor, draw: torch.Generator) -> Tensor:
    return given.add_(torch.randn(given.shape, generator=draw))  # writes into what it is given, as augmentations do


def dropped(given: str, draw: torch.Generator) -> str:
    words = given.split()
    return " ".join(word for word in words if torch.rand((), generator=draw) < 0.7)


def content(items: Items) -> dict[str, Any]:
    """What each item is, as plain values."""
    plain = items.inputs.tolist() if isinstance(items.inputs, Tensor) else list(items.inputs)
    return dict(zip(items.ids, plain, strict=True))


def test_a_view_is_a_function_of_its_item_its_number_and_the_seed() -> None:
    items, _ = worlds.points(12)
    before, state = torch.as_tensor(items.inputs).clone(), torch.get_rng_state()
    made = content(views(items, shaken, 3, seed=5))
    assert torch.equal(torch.as_tensor(items.inputs), before) and torch.equal(torch.get_rng_state(), state)
    assert list(made) == [f"{item}{end}" for end in ("", "~1", "~2") for item in items.ids]
    assert {item: made[item] for item in items.ids} == content(items), "the first view of an item is the item"
    assert len({str(one) for one in made.values()}) == 36, "every view is another"
    backwards = views(items.select(range(11, 3, -1)), shaken, 2, seed=5)
    assert content(backwards).items() <= made.items(), "rows and other items are no matter"
    assert made.items() <= content(views(items, shaken, 4, seed=5)).items(), "more views leave the first ones as they are"
    other = content(views(items, shaken, 2, seed=6))
    assert all(other[f"{item}~1"] != made[f"{item}~1"] for item in items.ids)


def test_texts_pairs_and_columns() -> None:
    items = Items(("a", "b"), ("one two three four five six", "seven eight nine ten"), {"topic": [1, 2]})
    made = views(items, dropped, 3)
    assert made.columns == {"topic": [1, 2] * 3} and made.inputs[:2] == items.inputs
    assert all(set(text.split()) <= set(items.inputs[row % 2].split()) for row, text in enumerate(made.inputs))
    pairs = views(Items(("a",), (("x", "y"),)), lambda pair, draw: pair[::-1], 2)
    assert pairs.inputs == (("x", "y"), ("y", "x"))
    assert views(items, dropped, 1) == items
    assert len(views(items.select([]), dropped, 3)) == 0 and len(views(worlds.points(3)[0].select([]), shaken, 2)) == 0


def test_teachers_and_student_see_the_same_views_and_each_is_asked_once(tmp_path: Path) -> None:
    items, labels = worlds.points(20)
    asked: list[str] = []

    class Counting(ModuleTeacher):
        def ask(self, given: Items) -> Any:
            asked.extend(given.ids)
            return super().ask(given)

    module = worlds.network(7)
    teacher = Counting("teacher", module, worlds.SPACE)
    seen: dict[str, list[float]] = {}
    store = EvidenceStore(tmp_path / "store")
    for _ in range(2):  # as two runs of one program would
        pool = views(items, shaken, 3, seed=1)
        said = store.ask(teacher, pool)
        assert said.logits is not None
        torch.testing.assert_close(said.logits.dense(), module(pool.inputs).detach())
    assert sorted(asked) == sorted(pool.ids)
    store.ask(teacher, views(items, shaken, 4, seed=1))
    assert len(asked) == 80 and all(item.endswith("~3") for item in asked[60:])

    class Watching(ModuleStudent):
        def logits(self, inputs: dict[str, Tensor]) -> Tensor:
            for row in inputs["inputs"].tolist():
                seen[str(row)] = row
            return super().logits(inputs)

    run = Run(
        tmp_path / "run",
        space=worlds.SPACE,
        pool=pool,
        teachers=[teacher],
        new_student=lambda seed: Watching(worlds.network(seed), worlds.SPACE),
        gold=Gold(items.ids[:5], labels[:5], worlds.SPACE),
        options=Train(num_train_epochs=1),
        evidence=tmp_path / "store",
    )
    run.fit("student", run.with_gold(from_targets(pool, run.stacked().probabilities[0]), 1.0))
    assert seen.keys() == {str(row) for row in torch.as_tensor(pool.inputs).tolist()} and len(asked) == 80


@pytest.mark.parametrize("draw", [lambda: torch.rand(()), lambda: random.random()])
def test_a_change_that_draws_elsewhere_is_refused(draw: Any) -> None:
    items, _ = worlds.points(5)
    with pytest.raises(DataError, match="draw from the generator that is handed over"):
        views(items, lambda given, _: given + draw(), 2)


def test_views_of_another_kind_are_refused() -> None:
    items, _ = worlds.points(5)
    with pytest.raises(DataError, match=r"The view of 'p0' is a tensor \(1,\); legal is what the item is, a tensor \(2,\)"):
        views(items, lambda given, _: given[:1], 2)
    with pytest.raises(DataError, match="The view of 'a' is a tuple; legal is what the item is, a str"):
        views(Items(("a",), ("x",)), lambda given, _: (given, given), 2)
    with pytest.raises(DataError, match="There are 0 views"):
        views(items, shaken, 0)
    with pytest.raises(DataError, match="stands for two items"):
        views(Items(("a", "a~1"), ("x", "y")), lambda given, _: given, 2)


@pytest.mark.parametrize(
    "inputs",
    [
        lambda items: torch.as_tensor(items.inputs) + torch.rand(len(items), 2),
        lambda items: torch.as_tensor(items.inputs) - torch.as_tensor(items.inputs).mean(0),
    ],
    ids=["draws anew", "by the items beside it"],
)
def test_inputs_that_change_from_ask_to_ask_are_refused(inputs: Any) -> None:
    items, _ = worlds.points(20)
    with pytest.raises(DataError, match=r"teacher's `inputs` reads an item otherwise each time.*\(distrust\.views\)"):
        ModuleTeacher("teacher", worlds.network(), worlds.SPACE, inputs=inputs, fingerprint="1").ask(items)
    with pytest.raises(DataError, match="The student's `inputs` reads an item otherwise"):
        ModuleStudent(worlds.network(), worlds.SPACE, "key", inputs=inputs).encode(items)


def test_what_reads_each_item_by_itself_is_no_trouble() -> None:
    def flags(items: Items) -> Tensor:
        return torch.tensor([[text == "x", True, False] for text in items.inputs])

    def padded(items: Items) -> Tensor:
        width = max(map(len, items.inputs))
        return torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in items.inputs])

    items = Items(tuple("abcde"), ("x", "yy", "x", "", "long enough"))
    assert ModuleStudent(worlds.network(), worlds.SPACE, "key", inputs=flags).encode(items).batch(torch.arange(5))
    assert ModuleStudent(worlds.network(), worlds.SPACE, "key", inputs=padded).encode(items).batch(torch.arange(5))
