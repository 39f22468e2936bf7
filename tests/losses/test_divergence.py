"""Divergences: by hand, by a loop, in every shape, masked, and differentiated where logits are extreme."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust import losses
from distrust.errors import DataError

INF, F64 = math.inf, torch.float64
KLS = [losses.forward_kl, losses.reverse_kl]


def softmax(row: list[float], temperature: float = 1.0) -> list[float]:
    top = max(row)
    exps = [math.exp((one - top) / temperature) for one in row]
    return [one / sum(exps) for one in exps]


def naive_kl(first: list[float], second: list[float]) -> float:
    return sum(p * math.log(p / q) for p, q in zip(first, second, strict=True) if p > 0)


def naive(loss: object, student: list[float], teacher: list[float], temperature: float) -> float:
    known = [c for c in range(len(teacher)) if teacher[c] > -INF]
    q, p = softmax([student[c] for c in known], temperature), softmax([teacher[c] for c in known], temperature)
    return temperature**2 * (naive_kl(p, q) if loss is losses.forward_kl else naive_kl(q, p))


def test_golden_values() -> None:
    # student 1/2, 1/2; teacher 1/4, 3/4
    student, teacher = torch.zeros(2, dtype=F64), torch.tensor([0.0, math.log(3)], dtype=F64)
    assert float(losses.forward_kl(student, teacher)) == pytest.approx(
        0.25 * math.log(0.5) + 0.75 * math.log(1.5), rel=1e-14
    )
    assert float(losses.reverse_kl(student, teacher)) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-14)
    assert float(losses.cross_entropy(student, teacher.softmax(-1))) == pytest.approx(math.log(2), rel=1e-14)


@pytest.mark.parametrize("loss", KLS)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 7.5])
def test_values_are_those_of_a_loop_in_every_shape(loss, temperature: float) -> None:  # type: ignore[no-untyped-def]
    student, teacher = torch.randn(3, 4, 5, dtype=F64), torch.randn(3, 4, 5, dtype=F64)  # (B, L, C)
    teacher[0, 1, 2] = teacher[2, 3, :3] = -INF
    values = loss(student, teacher, temperature)
    assert values.shape == (3, 4)
    for b in range(3):
        assert torch.equal(loss(student[b], teacher[b], temperature), values[b])
        for t in range(4):
            looped = naive(loss, student[b, t].tolist(), teacher[b, t].tolist(), temperature)
            assert float(values[b, t]) == pytest.approx(looped, rel=1e-10)
            assert torch.equal(loss(student[b, t], teacher[b, t], temperature), values[b, t])


@pytest.mark.parametrize("loss", KLS)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_gradient_is_that_of_the_naive_form_with_its_factor(loss, temperature: float) -> None:  # type: ignore[no-untyped-def]
    student, teacher = torch.randn(6, 5, dtype=F64, requires_grad=True), torch.randn(6, 5, dtype=F64)
    q, p = (student / temperature).softmax(-1), (teacher / temperature).softmax(-1)
    first, second = (p, q) if loss is losses.forward_kl else (q, p)
    plain = temperature**2 * (first * (first / second).log()).sum()
    (expected,) = torch.autograd.grad(plain, student)
    (actual,) = torch.autograd.grad(loss(student, teacher, temperature).sum(), student)
    assert torch.allclose(actual, expected, atol=1e-12)


def test_the_factor_keeps_the_gradient_s_size_at_high_temperature() -> None:
    student, teacher = torch.randn(8, 5, dtype=F64, requires_grad=True), torch.randn(8, 5, dtype=F64)
    sizes = []
    for temperature in (50.0, 100.0, 200.0):
        (gradient,) = torch.autograd.grad(losses.forward_kl(student, teacher, temperature).sum(), student)
        sizes.append(float(gradient.norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02) and sizes[2] == pytest.approx(sizes[1], rel=0.01)


@pytest.mark.parametrize("loss", KLS)
@given(classes=st.integers(1, 6), temperature=st.sampled_from([0.3, 1.0, 5.0]), seed=st.integers(0, 99))
def test_a_kl_is_zero_at_equality_and_never_below(loss, classes: int, temperature: float, seed: int) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(seed)
    student, teacher = torch.randn(4, classes, dtype=F64) * 20, torch.randn(4, classes, dtype=F64) * 20
    assert loss(teacher, teacher, temperature).tolist() == [0] * 4
    assert loss(teacher + 3, teacher, temperature).tolist() == pytest.approx([0] * 4, abs=1e-12)  # shifts do not matter
    assert float(loss(student, teacher, temperature).min()) >= -1e-12


@pytest.mark.parametrize("loss", KLS)
def test_classes_and_items_may_be_permuted(loss) -> None:  # type: ignore[no-untyped-def]
    student, teacher = torch.randn(7, 5, dtype=F64), torch.randn(7, 5, dtype=F64)
    names, order = torch.randperm(5), torch.randperm(7)
    turned = loss(student[order][:, names], teacher[order][:, names], 2.0)
    assert torch.allclose(turned, loss(student, teacher, 2.0)[order], atol=1e-14)


@pytest.mark.parametrize("loss", KLS)
def test_what_the_teacher_does_not_know_takes_no_part_in_value_or_gradient(loss) -> None:  # type: ignore[no-untyped-def]
    teacher = torch.tensor([[0.3, -INF, 1.0, -0.5]], dtype=F64)
    student = torch.tensor([[0.1, 5.0, -1.0, 0.4]], dtype=F64, requires_grad=True)
    known = torch.tensor([0, 2, 3])
    small = student.detach()[:, known].requires_grad_()
    value, alone = loss(student, teacher, 2.0), loss(small, teacher[:, known], 2.0)
    (gradient,), (gradient_alone,) = torch.autograd.grad(value.sum(), student), torch.autograd.grad(alone.sum(), small)
    assert torch.allclose(value, alone, atol=1e-14)
    assert float(gradient[0, 1]) == 0 and torch.allclose(gradient[:, known], gradient_alone, atol=1e-14)


@pytest.mark.parametrize("loss", KLS)
def test_a_teacher_that_knows_nothing_of_an_item_leaves_the_others_alone(loss) -> None:  # type: ignore[no-untyped-def]
    teacher, student = torch.randn(3, 4), torch.randn(3, 4, requires_grad=True)
    teacher[1] = -INF
    value = loss(student, teacher)
    (gradient,) = torch.autograd.grad(value.sum(), student)
    assert float(value[1].detach()) == 0 and gradient[1].tolist() == [0] * 4
    kept = student.detach()[[0, 2]].requires_grad_()
    (subset,) = torch.autograd.grad(loss(kept, teacher[[0, 2]]).sum(), kept)
    assert torch.equal(gradient[[0, 2]], subset)


@pytest.mark.parametrize("loss", KLS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [200.0, 1e4])
def test_saturated_logits_have_finite_values_and_gradients(loss, dtype: torch.dtype, scale: float) -> None:  # type: ignore[no-untyped-def]
    student = torch.tensor([[scale, -scale, 0.0], [0, 0, 0], [-scale, scale, scale]], dtype=dtype, requires_grad=True)
    teacher = torch.tensor([[-scale, scale, 0.0], [scale, -scale, 0], [-INF, scale, -scale]], dtype=dtype)
    value = loss(student, teacher)
    assert value.dtype == dtype and bool(value.isfinite().all())
    value.float().sum().backward()
    assert student.grad is not None and bool(student.grad.isfinite().all())


def test_a_student_that_rules_a_class_out_has_an_infinite_value_but_a_finite_gradient() -> None:
    student = torch.tensor([[0.0, -INF, 1.0]], requires_grad=True)
    value = losses.forward_kl(student, torch.tensor([[0.0, 1.0, 2.0]]))
    value.backward()
    assert float(value.detach()) == INF and student.grad is not None and bool(student.grad.isfinite().all())
    student.grad = None
    value = losses.reverse_kl(student, torch.tensor([[0.0, 1.0, 2.0]]))
    value.backward()
    q, p = softmax([0.0, 1.0]), softmax([0.0, 1.0, 2.0])
    assert float(value.detach()) == pytest.approx(q[0] * math.log(q[0] / p[0]) + q[1] * math.log(q[1] / p[2]), rel=1e-6)
    assert bool(student.grad.isfinite().all())


# --- cross-entropy ---------------------------------------------------------------------------------------------------


def test_hard_and_soft_cross_entropy_agree_with_a_loop_and_each_other() -> None:
    logits, labels = torch.randn(3, 4, 5, dtype=F64), torch.randint(0, 5, (3, 4))
    soft = torch.randn(3, 4, 5, dtype=F64).softmax(-1)
    hard = losses.cross_entropy(logits, labels)
    one_hot = torch.nn.functional.one_hot(labels, 5)
    assert hard.shape == (3, 4)
    assert torch.allclose(losses.cross_entropy(logits, one_hot.to(F64)), hard, atol=1e-14)
    assert torch.allclose(losses.cross_entropy(logits, one_hot), hard, atol=1e-14)
    values = losses.cross_entropy(logits, soft)
    for b in range(3):
        for t in range(4):
            q = softmax(logits[b, t].tolist())
            assert float(hard[b, t]) == pytest.approx(-math.log(q[int(labels[b, t])]), rel=1e-12)
            looped = -sum(p * math.log(one) for p, one in zip(soft[b, t].tolist(), q, strict=True))
            assert float(values[b, t]) == pytest.approx(looped, rel=1e-12)
            assert torch.equal(losses.cross_entropy(logits[b, t], labels[b, t]), hard[b, t])


def test_hard_cross_entropy_is_torch_s_own_bit_for_bit() -> None:
    logits, labels = torch.randn(64, 10), torch.randint(0, 10, (64,))
    assert torch.equal(
        losses.cross_entropy(logits, labels), torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    )


@pytest.mark.parametrize("soft", [False, True])
def test_no_target_costs_nothing_and_pulls_nowhere(soft: bool) -> None:
    labels = torch.tensor([1, -1, 0])
    target: Tensor = labels
    if soft:
        target = torch.nn.functional.one_hot(labels.clamp(min=0), 3) * (labels >= 0).unsqueeze(-1).float()
    logits = torch.randn(3, 3, requires_grad=True)
    value = losses.cross_entropy(logits, target)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert float(value[1].detach()) == 0 and gradient[1].tolist() == [0, 0, 0]
    kept = logits.detach()[[0, 2]].requires_grad_()
    subset = losses.cross_entropy(kept, target[[0, 2]])
    assert torch.equal(value[[0, 2]], subset)
    assert torch.equal(gradient[[0, 2]], torch.autograd.grad(subset.sum(), kept)[0])


@pytest.mark.parametrize("scale", [200.0, 1e4, INF])
def test_cross_entropy_is_finite_where_the_target_is_zero_and_its_gradient_everywhere(scale: float) -> None:
    logits = torch.tensor([[-scale, 0.0, 1.0], [0.0, 1.0, -scale]], requires_grad=True)
    value = losses.cross_entropy(logits, torch.tensor([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]))
    value.sum().backward()
    assert bool(value.isfinite().all()) and logits.grad is not None and bool(logits.grad.isfinite().all())
    logits.grad = None
    losses.cross_entropy(logits, torch.tensor([0, 2])).sum().backward()
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("loss", [losses.cross_entropy, *KLS])
def test_one_class_and_no_items_are_legal(loss) -> None:  # type: ignore[no-untyped-def]
    assert loss(torch.randn(4, 1), torch.ones(4, 1)).tolist() == [0] * 4
    assert loss(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0,)
    assert losses.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)).shape == (0,)


@pytest.mark.parametrize("loss", [losses.cross_entropy, *KLS])
def test_arguments_are_left_as_they_were(loss) -> None:  # type: ignore[no-untyped-def]
    logits, target = torch.randn(2, 3), torch.tensor([[0.2, 0.8, 0.0], [-INF, -INF, -INF]])
    before = logits.clone(), target.clone()
    loss(logits, target)
    assert torch.equal(logits, before[0]) and torch.equal(target, before[1])


@pytest.mark.parametrize("loss", [losses.cross_entropy, *KLS])
def test_another_shape_is_refused_with_the_legal_ones(loss) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=r"target is \(2, 4\) but the student's logits are \(2, 3\).*class indices \(2,\)"):
        loss(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(DataError, match="int64 class indices"):
        loss(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int32))


@pytest.mark.parametrize("loss", KLS)
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_none_is_refused(loss, temperature: float) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=r"temperature is .* legal is any number above 0"):
        loss(torch.zeros(2, 3), torch.zeros(2, 3), temperature)


@pytest.mark.parametrize("wrong", [3, -100])
def test_a_class_that_is_none_is_refused(wrong: int) -> None:
    with pytest.raises(DataError, match="Legal is 0 to 2, -1 for none"):
        losses.cross_entropy(torch.zeros(2, 3), torch.tensor([0, wrong]))
