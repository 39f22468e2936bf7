"""The last layer fitted again: on what was told it says what the student says, and it finds out who misled it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from distrust.data import Items
from distrust.labelled import Labelled, from_gold, from_targets
from distrust.recipe import Train
from distrust.run import Run
from distrust.students.module import ModuleStudent
from distrust.whatif import AS_IT_WAS, MOST_ITEMS, refits
from tests import worlds


def trained(folder: Path, told: Labelled) -> ModuleStudent:
    options = Train(num_train_epochs=30, learning_rate=1e-2, per_device_train_batch_size=16)
    run = Run(folder, space=worlds.SPACE, pool=told.items, teachers=[], new_student=worlds.student, options=options)
    student = run.fit("student", told)
    run.close()
    assert isinstance(student, ModuleStudent)
    return student


def accuracy(chance: Tensor, labels: Tensor) -> float:
    return float((chance.argmax(-1) == labels).float().mean())


def test_a_misled_student_would_have_been_better_without_its_misleader(tmp_path: Path) -> None:
    items, labels = worlds.points(300)
    test, truth = worlds.points(200, seed=9)
    test = Items(tuple(f"t{row}" for row in range(200)), test.inputs)
    wrong = torch.where(labels == 0, 1, labels)  # never says the first class
    misled, right = (from_targets(items, one_hot(one, 3).float()) for one in (wrong, labels))
    student = trained(tmp_path, misled)
    before = [value.clone() for value in student.module.parameters()]
    state = torch.random.get_rng_state()
    found = refits(student, misled, {"without it": right}, test, 64)
    assert list(found) == [AS_IT_WAS, "without it"]
    chance = student.module(test.inputs).softmax(-1)
    assert (found[AS_IT_WAS].argmax(-1) == chance.argmax(-1)).float().mean() > 0.95
    assert accuracy(found["without it"], truth) > accuracy(found[AS_IT_WAS], truth) + 0.1  # nobody gets more than .8 here
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(one, other) for one, other in zip(before, student.module.parameters(), strict=True))


def test_gold_and_weights_count_and_what_tells_nothing_does_not(tmp_path: Path) -> None:
    items, labels = worlds.points(60)
    student = trained(tmp_path, from_gold(items, labels, 3))
    told = from_gold(items, labels, 3)
    half = Labelled(items, torch.zeros(60, 3), labels, (torch.arange(60) < 30).float())
    alone = told.select(range(30))
    one = refits(student, told, {"weighed": half, "alone": alone}, items, 64)
    torch.testing.assert_close(one["weighed"], one["alone"])
    assert accuracy(one[AS_IT_WAS], labels) >= accuracy(student.module(items.inputs), labels) - 0.05


def test_a_large_set_is_thinned_but_keeps_its_gold(tmp_path: Path) -> None:
    items, labels = worlds.points(MOST_ITEMS + 500)
    wrong = one_hot((labels + 1) % 3, 3).float()
    gold = torch.where(torch.arange(len(items)) >= len(items) - 300, labels, -1)
    told = Labelled(items, wrong, gold, torch.where(gold >= 0, 1000.0, 1.0))
    student = trained(tmp_path, from_gold(*worlds.points(60), 3))
    test, truth = worlds.points(100, seed=3)
    found = refits(student, told, {"other": told}, test, 512)
    assert accuracy(found[AS_IT_WAS], truth) > 0.6, "300 gold items outweigh thousands of wrong targets"
    assert torch.equal(found[AS_IT_WAS], found["other"])


def test_without_alternatives_or_a_last_layer_there_is_nothing_to_say(tmp_path: Path) -> None:
    items, labels = worlds.points(30)
    told = from_gold(items, labels, 3)
    student = worlds.student()
    assert refits(student, told, {}, items, 8) == {}

    class Doubled(nn.Sequential):
        def forward(self, inputs: Tensor) -> Tensor:
            return 2 * super().forward(inputs)

    doubled = ModuleStudent(Doubled(*worlds.network()), worlds.SPACE)
    assert refits(doubled, told, {"other": told}, items, 8) == {}
