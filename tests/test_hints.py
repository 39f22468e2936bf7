"""Projections from one feature to another, and teachers' heads in the task's classes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from distrust.errors import RunError
from distrust.hints import Hinting, Hints, InTask, Projection


def draw(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("source", "target"),
    [((6,), (4,)), ((5, 4, 4), (3, 4, 4)), ((5, 4, 4), (3, 2, 2)), ((5, 2, 2), (3, 7, 4)), ((5, 4, 4), (8,))],
)
@pytest.mark.parametrize("rectified", [None, False, True])
def test_sizes_fit(source: tuple[int, ...], target: tuple[int, ...], rectified: bool | None) -> None:
    made = Projection(source, target, rectified)(draw(7, *source))
    assert made.shape == (7, *target)
    assert bool((made >= 0).all()) == (rectified is True or (rectified is None and len(target) == 3))


@pytest.mark.parametrize(("source", "target"), [((6,), (3, 2, 2)), ((5, 6), (4,)), ((4,), (3, 2)), ((), (4,))])
def test_sizes_that_do_not_fit_are_refused(source: tuple[int, ...], target: tuple[int, ...]) -> None:
    with pytest.raises(RunError, match="No projection leads from a student's feature"):
        Projection(source, target)


def test_one_item_alone_has_no_variance_and_is_normalised_as_in_eval_mode() -> None:
    projection = Projection((5, 3, 3), (4, 1, 1))
    before = {name: value.clone() for name, value in projection.state_dict().items()}
    made = projection(draw(1, 5, 3, 3))
    assert made.shape == (1, 4, 1, 1) and bool(made.isfinite().all())
    assert all(torch.equal(value, before[name]) for name, value in projection.state_dict().items())
    projection(draw(2, 5, 3, 3))
    assert not torch.equal(projection.state_dict()["norm.running_mean"], before["norm.running_mean"])


def test_a_head_speaks_in_the_tasks_classes_and_its_gradient_reaches_the_feature() -> None:
    head = nn.Linear(2, 3).requires_grad_(False)
    feature = draw(4, 2).requires_grad_()
    said = InTask(head, torch.tensor([3, -1, 0]), 5)(feature)
    own = head(feature)
    assert torch.equal(said[:, 3], own[:, 0]) and torch.equal(said[:, 0], own[:, 2])
    assert bool((said[:, [1, 2, 4]] == -math.inf).all())
    said[:, 3].sum().backward()
    assert feature.grad is not None and torch.allclose(feature.grad, head.weight[0].expand(4, 2))


def hints(order: list[int], seed: int = 3) -> tuple[Hints, dict[str, Tensor]]:
    features = [draw(6, 4, 2, 2, seed=1), draw(6, 3, 5, 5, seed=2), draw(6, 7, seed=4)]
    teachers = [Hinting(f"t{place}", features[place]) for place in order]
    made = Hints((5, 3, 3), teachers, seed)
    return made, {"taps.feature": draw(6, 5, 3, 3), **{f"feature.{k}": features[place] for k, place in enumerate(order)}}


def test_every_teacher_gets_the_students_original_whatever_the_order() -> None:
    """Trap 2 of the card: the official code overwrites the student's feature within the loop over teachers."""
    first, batch = hints([0, 1, 2])
    other, permuted = hints([2, 0, 1])
    feature = batch["taps.feature"].clone()
    errors = first.errors(first.projected(batch), batch)
    again = other.errors(other.projected(permuted), permuted)
    assert torch.allclose(errors[[2, 0, 1]], again) and torch.equal(batch["taps.feature"], feature)


def test_projections_depend_on_the_seed_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, two, three = hints([0, 1, 2])[0], hints([0, 1, 2])[0], hints([0, 1, 2], seed=4)[0]
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in one.projections.state_dict().items():
        assert torch.equal(value, two.projections.state_dict()[name])
    assert not torch.equal(one.projections["0"].linear.weight, three.projections["0"].linear.weight)


def test_a_hint_has_a_gradient() -> None:
    """Trap 5 of the card."""
    made, batch = hints([0, 1, 2])
    batch["taps.feature"].requires_grad_()
    made.errors(made.projected(batch), batch).sum().backward()
    assert bool((batch["taps.feature"].grad != 0).any())  # type: ignore[union-attr]
    assert all(one.grad is not None and bool(one.grad.isfinite().all()) for one in made.projections.parameters())


def test_a_feature_that_is_not_finite_is_refused_by_name() -> None:
    feature = draw(6, 4)
    feature[3, 1] = math.nan
    with pytest.raises(RunError, match="The teacher broken has a feature that is not finite"):
        Hints((5,), [Hinting("broken", feature)], 0)
