"""Labels spread over a graph of neighbours: the closed form, symmetry, order, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrust.errors import DataError
from distrust.trust.spreading import FAINT, FAR, NEAR, neighbourhood, smooth, spread

TWO = torch.cat([torch.randn(30, 4, generator=torch.Generator().manual_seed(0)) * 0.2 + side for side in (1.0, -1.0)])
WHICH = torch.arange(60) // 30


def naive(features: torch.Tensor, rows: list[int], labels: list[int], classes: int, neighbours: int) -> np.ndarray:
    """The limit of the iteration, solved in double precision: (1 - α)(I - αS)⁻¹Y, scaled to sum to one, and a little of
    how often each class is told."""
    unit = features.double() / features.double().norm(dim=1, keepdim=True)
    count = len(unit)
    near = np.zeros((count, count))
    for row in range(count):
        apart = [float((unit[row] - unit[other]).norm()) if other != row else np.inf for other in range(count)]
        near[row, np.argsort(apart)[:neighbours]] = 1
    near = np.maximum(near, near.T)
    degree = near.sum(1)
    scaled = near / np.sqrt(np.outer(degree, degree))
    start = np.zeros((count, classes))
    start[rows, labels] = 1
    mass = np.linalg.solve(np.eye(count) - FAR * scaled, (1 - FAR) * start)
    return (1 - FAINT) * mass / mass.sum(1, keepdims=True) + FAINT * start[rows].mean(0)


def told(*labels: int, classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).float()


def test_it_comes_to_the_closed_form() -> None:
    rows, labels = [0, 3, 31, 40], [0, 0, 1, 1]
    found = spread(neighbourhood([TWO], 7), torch.tensor(rows), told(*labels, classes=3))
    torch.testing.assert_close(found.double(), torch.from_numpy(naive(TWO, rows, labels, 3, 7)), atol=2e-3, rtol=0)


def test_one_label_a_cluster_tells_the_cluster_and_columns_spread_by_themselves() -> None:
    graph, rows = neighbourhood([TWO, TWO * 3]), torch.tensor([5, 50])
    chances = spread(graph, rows, told(0, 1, classes=2))
    assert bool((chances.argmax(-1) == WHICH).all())
    torch.testing.assert_close(chances.sum(-1), torch.ones(60))
    beside = spread(graph, rows, torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]))  # the third knows both
    torch.testing.assert_close(beside, torch.cat([chances, torch.ones(60, 1)], 1))


def test_where_nothing_is_near_goes_what_is_told_on_average() -> None:
    chances = spread(neighbourhood([TWO], 5), torch.tensor([5, 6, 7]), torch.tensor([[1.0], [1.0], [0.4]]))
    torch.testing.assert_close(chances[30:], torch.full((30, 1), 0.8))
    assert 0.4 < chances[8] < 1


def test_the_order_of_items_and_the_scale_of_a_source_change_nothing() -> None:
    turn = torch.arange(59, -1, -1)
    plain = spread(neighbourhood([TWO, WHICH[:, None] + 1.0]), torch.tensor([0, 31]), told(0, 1, classes=2))
    moved = [100 * TWO[turn], WHICH[turn][:, None] + 1.0]
    turned = spread(neighbourhood(moved), torch.tensor([59, 28]), told(0, 1, classes=2))
    torch.testing.assert_close(turned[turn], plain, atol=1e-5, rtol=0)


def test_chances_are_smoothed_and_keep_their_sums() -> None:
    """One item in two clusters is sure of the wrong one: those nearby pull it back; silence is no chance of anybody."""
    chances = torch.nn.functional.one_hot(WHICH, 2).float()
    chances[3] = torch.tensor([0.0, 1.0])
    chances[4] = 0
    graph = neighbourhood([TWO], 7)
    found = smooth(graph, chances)
    torch.testing.assert_close(found.sum(1), chances.sum(1))
    assert 0.1 < found[3, 0] < 0.5 and bool((found[30:, 1] == 1).all()) and bool((found[4] == 0).all())
    mass = np.linalg.solve(np.eye(60) - NEAR * graph.toarray(), (1 - NEAR) * chances.double().numpy())
    expected = torch.from_numpy(mass / mass.sum(1, keepdims=True))
    torch.testing.assert_close(found[:3].double(), expected[:3], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([], "legal is the same number"),
        ([TWO, TWO[1:]], r"\[60, 59\] items; legal"),
        ([TWO[:1]], "2 or more"),
        ([TWO.clone().fill_(float("nan"))], "not finite"),
    ],
)
def test_features_that_do_not_fit_are_refused(features: list[torch.Tensor], said: str) -> None:
    with pytest.raises(DataError, match=said):
        neighbourhood(features)
