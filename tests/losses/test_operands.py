"""What goes into `linear`, made to fit: which positions count, which classes are, whose gradient is wanted."""

from __future__ import annotations

import pytest
import torch
from torch import Size

from distrust.errors import DataError
from distrust.logits import TopK
from distrust.losses import operands
from distrust.losses.chunks import Projected

SIDE = Projected(torch.arange(12.0).reshape(2, 3, 2), torch.arange(8.0).reshape(4, 2), torch.zeros(4))  # 2 x 3 items
COUNTED = torch.tensor([[True, False, True], [False, False, True]])


def test_what_counts_is_cut_out_and_spread_back() -> None:
    rows = operands.counted_rows(COUNTED, Size((2, 3)))
    assert rows is not None and rows.tolist() == [0, 2, 5]
    part = operands.cut(SIDE, rows, 3)
    assert part.hidden.tolist() == [[0, 1], [4, 5], [10, 11]] and part.weight.shape == (3, 2) and len(part.bias) == 3  # type: ignore[arg-type]
    values = operands.spread(torch.tensor([[1.0, 2.0, 3.0]]), rows, Size((2, 3)))
    assert values.tolist() == [[[1, 0, 2], [0, 0, 3]]]
    assert operands.counted_rows(None, Size((2, 3))) is None
    assert operands.spread(torch.arange(6.0)[None], None, Size((2, 3))).tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_weights_are_flat_of_what_counts_and_exact() -> None:
    rows = operands.counted_rows(COUNTED, Size((2, 3)))
    given = torch.arange(6.0, requires_grad=True).reshape(2, 3)
    found = operands.weights(given, (2, 3), SIDE, rows)
    assert found.tolist() == [[0, 2, 5]] and not found.requires_grad
    double = Projected(SIDE.hidden.double(), SIDE.weight)
    assert operands.weights(None, (2, 2, 3), double, None).tolist() == [[1] * 6] * 2
    assert operands.weights(None, (2, 2, 3), double, None).dtype == torch.float64


def test_what_a_sum_is_divided_by_is_never_0() -> None:
    weights = torch.ones(2, 3)
    assert operands.number(None, weights) == 3 and operands.number(None, weights[:, :0]) == 1
    assert operands.number(0, weights) == 1 and operands.number(2.5, weights) == 2.5
    assert [float(operands.number(torch.tensor(one), weights)) for one in (0.0, 2.5)] == [1, 2.5]


def test_stored_targets_are_cut_like_sides() -> None:
    top = TopK(torch.arange(6).reshape(2, 3, 1) % 4, torch.zeros(2, 3, 1), torch.arange(6.0).reshape(2, 3), 4)
    found = operands.told(top, torch.tensor([5, 1]), None)
    assert isinstance(found, TopK) and found.ids.tolist() == [[1], [1]] and found.tail.tolist() == [5, 1]
    leaf = Projected(SIDE.hidden.clone().requires_grad_(), SIDE.weight.clone().requires_grad_())
    frozen = operands.told(leaf, None, None)
    assert isinstance(frozen, Projected) and not frozen.hidden.requires_grad and not frozen.weight.requires_grad


def test_what_a_teachers_bias_rules_out_is_ruled_out_of_the_student() -> None:
    teacher = Projected(SIDE.hidden, SIDE.weight, torch.tensor([0.0, -torch.inf, 0.0, 2.0]))
    bare = Projected(SIDE.hidden, SIDE.weight)
    assert operands.over_known(bare, teacher).bias.tolist() == [0, -torch.inf, 0, 0]  # type: ignore[union-attr]
    assert operands.over_known(bare, bare) is bare


@pytest.mark.parametrize(
    ("sizes", "vocabulary", "same", "found"), [((4, 4), None, True, 4), ((4, 6), None, False, None), ((6, 4), 3, True, 3)]
)
def test_how_many_classes_there_are(sizes: tuple[int, int], vocabulary: int | None, same: bool, found: int | None) -> None:
    first, second = (Projected(torch.zeros(1, 2), torch.zeros(size, 2)) for size in sizes)
    assert operands.classes(first, [second], vocabulary, same) == found


def test_vocabularies_that_differ_are_refused_with_what_to_do() -> None:
    other = Projected(SIDE.hidden, torch.zeros(6, 2))
    with pytest.raises(DataError, match=r"4 of the student, 6 of its targets.*say `vocabulary`"):
        operands.classes(SIDE, [other], None, True)
    top = TopK(torch.zeros(2, 3, 1).long(), torch.zeros(2, 3, 1), torch.zeros(2, 3), 4)
    with pytest.raises(DataError, match="vocabulary is 3; legal is 1 to 4"):
        operands.classes(SIDE, [top], 3, True)
