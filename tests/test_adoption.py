"""What becomes of bought answers: by hand, against a loop, and when nothing would be left."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.adoption import believed, route, soft_weight, stands, youden
from distrust.errors import DataError

NAN = torch.nan


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=2, max_size=20))
def test_youden_is_what_a_loop_finds(pairs: list[tuple[float, bool]]) -> None:
    signal, right = (torch.tensor(one) for one in zip(*pairs, strict=True))
    good, bad = [s for s, r in pairs if r], [s for s, r in pairs if not r]
    if not good or not bad:
        with pytest.raises(DataError, match="a right and a wrong answer"):
            youden(signal, right.long())
        return
    index = {
        cut: sum(s >= cut for s in good) * len(bad) - sum(s >= cut for s in bad) * len(good) for cut, _ in sorted(pairs)
    }
    found = youden(signal, right.long())
    assert index[found] == max(index.values())
    assert all(index[cut] < index[found] for cut in index if cut < found)


def test_youden_looks_only_where_gold_and_the_signal_speak() -> None:
    signal = torch.tensor([0.9, 0.1, NAN, 0.5, 0.2])
    assert youden(signal, torch.tensor([1, 0, 0, -1, 1])) == pytest.approx(0.2)


def test_what_is_believed_and_that_silence_drops_nothing() -> None:
    signal = torch.tensor([0.5, 0.2, NAN, 0.8])
    assert believed(signal, 0.5).tolist() == [True, False, True, True]
    assert believed(signal, -torch.inf).all()
    assert believed(torch.zeros(0), 0.5).tolist() == []


def test_dropping_everything_is_a_sentence() -> None:
    """Trap 9."""
    with pytest.raises(DataError, match=r"highest confidence is 0.8, below the threshold of inf"):
        believed(torch.tensor([0.5, 0.8]), torch.inf)
    with pytest.raises(DataError, match="bought answer has the weight 0"):
        soft_weight(torch.zeros(3))


def test_soft_weights_by_hand() -> None:
    """A5, R2: s3 (1 + γ (1 - s1)), clipped."""
    teacher, student = torch.tensor([0.5, 1.0, 1.0, 0.0, NAN]), torch.tensor([1.0, 0.2, 0.0, 0.0, NAN])
    assert soft_weight(teacher, student).tolist() == pytest.approx([0.5, 1.8, 2.0, 0, 1])
    assert soft_weight(teacher, student, boost=2.0, most=2.2).tolist() == pytest.approx([0.5, 2.2, 2.2, 0, 1])
    assert torch.equal(soft_weight(teacher), soft_weight(teacher, student, boost=0.0))
    for wrong in ({"boost": -1.0}, {"most": 0.0}):
        with pytest.raises(DataError, match="0 or more, and above 0"):
            soft_weight(teacher, **wrong)


def test_a_contradicted_answer_stands_where_the_assistant_does_not_prefer_the_student() -> None:
    same = torch.tensor([True, False, False, False, False])
    in_teacher, in_student = torch.tensor([0.1, 0.5, 0.4, 0.6, NAN]), torch.tensor([0.9, 0.5, 0.6, 0.4, 0.9])
    assert stands(same, in_teacher, in_student).tolist() == [True, True, False, True, True]


def test_routes() -> None:
    s1, s2 = torch.tensor([0.9, 0.9, 0.1, 0.1, NAN, 0.9]), torch.tensor([0.9, 0.1, 0.9, 0.1, 0.9, NAN])
    s3 = torch.tensor([1.0, 1.0, 0.2, NAN, 1.0, NAN])
    assert route(s1, s2, s3, 0.8, 0.8, 0.5).tolist() == [2, 1, 0, 0, 1, 0]
    assert route(s1, s2, None, 0.8, 0.8, 0.5).tolist() == [2, 0, 0, 0, 0, 0]
