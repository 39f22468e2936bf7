"""Completions as training rows: the loss is a mean over tokens, however a step is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust.data import Items
from distrust.distillation import default_objective
from distrust.errors import DataError, RunError
from distrust.labelled import Labelled, from_targets, from_texts
from distrust.recipe import Train
from distrust.rows import Completions
from distrust.students.causal import CausalStudent
from distrust.students.likelihood import likelihood
from distrust.train import Fit, Side, fit
from tests import worlds
from tests.writers import flips, writer

ITEMS, ANSWERS = flips(12)
TOLD = from_texts(ITEMS, [{answer: 1.0} for answer in ANSWERS])


def trained(told: Labelled, folder: Path, **options: object) -> tuple[CausalStudent, list[dict[str, float]]]:
    student = writer(wild=False)
    loop = Train.model_validate({"num_train_epochs": 2, "learning_rate": 1e-2, "save_seconds": 0, **options})
    history = fit([Side(student, default_objective(told), loop)], Fit("student", told, loop, 0, folder))
    return student, history


def weights(student: CausalStudent) -> Tensor:
    return torch.cat([one.detach().flatten() for one in student.module.parameters()])


def test_the_loss_is_a_mean_over_all_tokens_that_count(tmp_path: Path) -> None:
    told = from_texts(ITEMS, [{"yes": 0.75, "no, it is tails": 0.25}, *({answer: 1.0} for answer in ANSWERS[1:])])
    told = Labelled(told.items, told.targets, told.labels, torch.linspace(0.5, 2, 12), texts=told.texts)
    student = writer(wild=False)
    rows = Completions([student], told)
    assert len(rows) == 13
    inputs, batch = rows.take(torch.arange(13))
    student.module.eval()
    loss, parts = default_objective(told)(student.logits(inputs[0]), batch)
    total, count = 0.0, 0.0
    for row in range(12):
        for text, share in (("yes", 0.75), ("no, it is tails", 0.25)) if row == 0 else ((ANSWERS[row], 1.0),):
            one = likelihood(student, ITEMS.select([row]), [text])
            total -= float(told.weight[row]) * share * float(one.logp)
            count += float(told.weight[row]) * share * int(one.tokens)
    assert loss.item() == pytest.approx(total / count, rel=1e-5) == parts["completion"].item()
    assert float(rows.count(torch.arange(13))) == pytest.approx(count)


def test_accumulation_changes_nothing(tmp_path: Path) -> None:
    whole, _ = trained(TOLD, tmp_path / "a", per_device_train_batch_size=12)
    parts, _ = trained(TOLD, tmp_path / "b", per_device_train_batch_size=3, gradient_accumulation_steps=4)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-4, atol=1e-5)


def test_an_item_of_weight_zero_is_as_if_it_were_absent(tmp_path: Path) -> None:
    weight = torch.tensor([0.0, 1.0] * 6)
    masked = Labelled(TOLD.items, TOLD.targets, TOLD.labels, weight, texts=TOLD.texts)
    left, first = trained(masked, tmp_path / "a")
    right, second = trained(TOLD.select(list(range(1, 12, 2))), tmp_path / "b")
    assert torch.equal(weights(left), weights(right)) and first == second


def test_a_batch_in_two_parts_has_the_gradient_of_the_whole() -> None:
    student = writer(wild=False)
    rows, objective = Completions([student], TOLD), default_objective(TOLD)

    def gradient(parts: list[Tensor]) -> Tensor:
        student.module.zero_grad()
        for part in parts:
            inputs, batch = rows.take(part)
            objective(student.logits(inputs[0]), batch | {"count": rows.count(torch.arange(12))})[0].backward()
        return torch.cat([one.grad.flatten() for one in student.module.parameters() if one.grad is not None])

    together = gradient([torch.arange(12)])
    torch.testing.assert_close(gradient([torch.arange(5), torch.arange(5, 12)]), together, rtol=1e-4, atol=1e-6)


def test_a_killed_fit_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, history = trained(TOLD, tmp_path / "a", per_device_train_batch_size=5)

    class Killed(Exception):
        pass

    def kill(name: str, done: int, total: int, figures: object) -> None:
        raise Killed

    student = writer(wild=False)
    loop = Train(num_train_epochs=2, learning_rate=1e-2, save_seconds=0, per_device_train_batch_size=5)
    with pytest.raises(Killed):
        fit([Side(student, default_objective(TOLD), loop)], Fit("student", TOLD, loop, 0, tmp_path / "b", progress=kill))
    again, resumed = trained(TOLD, tmp_path / "b", per_device_train_batch_size=5)
    assert torch.equal(weights(again), weights(whole)) and resumed == history


def test_what_was_cut_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    student = writer(max_completion_length=2)
    loop = Train(num_train_epochs=1)
    fit([Side(student, default_objective(TOLD), loop)], Fit("student", TOLD, loop, 0, tmp_path, warn=said.append))
    assert said == ["12 of 12 completions are longer than 2 tokens: their end is cut off."]


def test_completions_go_with_their_items() -> None:
    first = from_texts(ITEMS.select([0, 1]), [{"a": 1.0, "b": 2.0}, {}])
    second = from_texts(ITEMS.select([2]), [{"c": 1.0}])
    both = first + second
    assert both.texts is not None and both.texts.answers == (("a", "b"), (), ("c",))
    assert both.targets.tolist() == [[1, 2, 0], [0, 0, 0], [1, 0, 0]]
    assert both.told().items.ids == ("f0", "f2")
    again = both.relabelled(from_texts(ITEMS.select([0]), [{"d": 1.0}]))
    assert again.items.ids == both.items.ids and again.texts is not None
    assert again.texts.answers == (("d",), (), ("c",)) and again.targets[0].tolist() == [1, 0, 0]
    assert len({first.key, from_texts(ITEMS.select([0, 1]), [{"a": 1.0, "c": 2.0}, {}]).key, again.key}) == 3
    with pytest.raises(DataError, match="cannot be mixed"):
        first + from_targets(ITEMS.select([2]), torch.ones(1, 3))
    with pytest.raises(DataError, match="over completions"):
        Labelled(first.items, torch.ones(2, 7), first.labels, first.weight, texts=first.texts)


def test_a_student_of_classes_cannot_learn_texts(tmp_path: Path) -> None:
    side = Side(worlds.student(), default_objective(TOLD), Train())
    with pytest.raises(RunError, match="writes no texts; give `student` the kind causal"):
        fit([side], Fit("student", TOLD, Train(), 0, tmp_path))


def test_an_empty_completion_is_an_end(tmp_path: Path) -> None:
    told = from_texts(Items(("a",), ("Heads up.",)), [{"": 1.0}])
    inputs, batch = Completions([writer()], told).take(torch.tensor([0]))
    assert batch["labels"].tolist() == [[1]] and inputs[0]["input_ids"].shape[1] > 1
