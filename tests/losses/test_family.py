"""The family of divergences: by loops in double precision, its properties, and finite gradients where logits are extreme."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distrust import losses
from distrust.errors import DataError
from tests.losses.loops import Rows, between, kl, mix, naive_akl, pair, softmax

INF = math.inf


def naive_js(beta: float, p: Rows, q: Rows) -> float:
    return beta * kl(p, mix(beta, p, q)) + (1 - beta) * kl(q, mix(beta, p, q))


def naive_ab(a: float, b: float, p: Rows, q: Rows) -> float:
    terms = [x**a * y**b - a / (a + b) * x ** (a + b) - b / (a + b) * y ** (a + b) for x, y in zip(p, q, strict=True)]
    return -sum(terms) / (a * b)


def naive_ab_end(a: float, p: Rows, q: Rows) -> float:
    return sum(x**a * math.log(x**a / y**a) - x**a + y**a for x, y in zip(p, q, strict=True)) / a**2


Loss = Callable[..., Tensor]
FAMILY: dict[str, tuple[Loss, Callable[[Rows, Rows], float]]] = {
    "symmetric": (losses.symmetric_kl, lambda p, q: (kl(p, q) + kl(q, p)) / 2),
    "symmetric .9": (partial(losses.symmetric_kl, reverse=0.9), lambda p, q: 0.1 * kl(p, q) + 0.9 * kl(q, p)),
    "js": (losses.jensen_shannon, lambda p, q: naive_js(0.5, p, q)),
    "js .1": (partial(losses.jensen_shannon, beta=0.1), lambda p, q: naive_js(0.1, p, q)),
    "js 0": (partial(losses.jensen_shannon, beta=0.0), kl),
    "js 1": (partial(losses.jensen_shannon, beta=1.0), lambda p, q: kl(q, p)),
    "skew forward": (losses.skew_forward_kl, lambda p, q: kl(p, mix(0.1, p, q))),
    "skew forward 0": (partial(losses.skew_forward_kl, skew=0.0), kl),
    "skew reverse": (partial(losses.skew_reverse_kl, skew=0.3), lambda p, q: kl(q, mix(0.7, p, q))),
    "interpolated": (partial(losses.interpolated_kl, share=0.3), lambda p, q: kl(between(0.3, p, q), q)),
    "total variation": (losses.total_variation, lambda p, q: sum(abs(x - y) for x, y in zip(p, q, strict=True)) / 2),
    "ab": (losses.alpha_beta, lambda p, q: naive_ab(0.2, 0.7, p, q)),
    "ab half": (partial(losses.alpha_beta, alpha=0.5, beta=0.5), lambda p, q: naive_ab(0.5, 0.5, p, q)),
    "ab 1 0": (partial(losses.alpha_beta, alpha=1.0, beta=0.0), kl),
    "ab 0 1": (partial(losses.alpha_beta, alpha=0.0, beta=1.0), lambda p, q: kl(q, p)),
    "ab .4 0": (partial(losses.alpha_beta, alpha=0.4, beta=0.0), lambda p, q: naive_ab_end(0.4, p, q)),
    "adaptive": (losses.adaptive_kl, lambda p, q: naive_akl(p, q, 0.5)),
    "adaptive .8": (partial(losses.adaptive_kl, head=0.8), lambda p, q: naive_akl(p, q, 0.8)),
    "sorted": (
        losses.sorted_distance,
        lambda p, q: sum(abs(x - y) for x, y in zip(sorted(p), sorted(q), strict=True)),
    ),
}
SYMMETRIC = ["symmetric", "js", "total variation", "ab half", "sorted"]
of_each = pytest.mark.parametrize("name", FAMILY)


@of_each
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_values_are_those_of_a_loop_in_every_shape(name: str, temperature: float) -> None:
    loss, naive = FAMILY[name]
    student, teacher = pair(2, 3, 5)
    if name != "sorted":
        teacher[0, 1, 2] = teacher[1, 2, :3] = -INF
    values = loss(student, teacher, temperature)
    assert values.shape == (2, 3)
    for b in range(2):
        for t in range(3):
            known = [c for c in range(5) if float(teacher[b, t, c]) > -INF]
            p, q = (softmax([float(side[b, t, c]) for c in known], temperature) for side in (teacher, student))
            assert float(values[b, t]) == pytest.approx(temperature**2 * naive(p, q), rel=1e-9)
            assert torch.allclose(loss(student[b, t], teacher[b, t], temperature), values[b, t], rtol=1e-12)


@of_each
def test_gradients_are_those_of_differences(name: str) -> None:
    loss, _ = FAMILY[name]
    student, teacher = pair(3, 4, seed=1)
    if name.startswith(("adaptive", "interpolated")):  # the weight is taken as given, a difference would move it: see below
        student.requires_grad_()
        (mine,) = torch.autograd.grad(loss(student, student.detach() + 0, 2.0).sum(), student)
        assert float(mine.abs().max()) < 1e-12
        return
    assert torch.autograd.gradcheck(lambda z: loss(z, teacher, 2.0), (student.requires_grad_(),))


@of_each
@settings(max_examples=15, deadline=None)
@given(classes=st.integers(1, 6), temperature=st.sampled_from([0.3, 1.0, 5.0]), seed=st.integers(0, 99))
def test_zero_at_equality_never_below_and_blind_to_names(name: str, classes: int, temperature: float, seed: int) -> None:
    loss, _ = FAMILY[name]
    student, teacher = pair(4, classes, seed=seed)
    student, teacher = student * 10, teacher * 10
    scale = temperature**2
    assert loss(teacher + 3, teacher, temperature).tolist() == pytest.approx([0] * 4, abs=1e-12 * scale)
    value = loss(student, teacher, temperature)
    assert float(value.min()) >= -1e-12 * scale
    names = torch.randperm(classes, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(loss(student[:, names], teacher[:, names], temperature), value, rtol=1e-10, atol=1e-12)
    subset = loss(student[[2, 0]], teacher[[2, 0]], temperature)  # to the last bit but one: vector loops end in scalar ones
    assert torch.allclose(subset, value[[2, 0]], rtol=1e-13, atol=1e-15)
    if name in SYMMETRIC:
        assert torch.allclose(loss(teacher, student, temperature), value, rtol=1e-9, atol=1e-12)


@of_each
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("scale", [200.0, 1e4])
def test_extreme_logits_have_finite_gradients(name: str, dtype: torch.dtype, scale: float) -> None:
    loss, _ = FAMILY[name]
    student = torch.tensor(
        [[scale, -scale, 0.0], [0, 0, 0], [-scale, scale, scale], [1, -INF, 0], [0, 1, 2]], dtype=dtype, requires_grad=True
    )
    teacher = torch.tensor(
        [[-scale, scale, 0.0], [scale, -scale, 0], [-INF, scale, -scale], [-INF, 0, 1], [-INF, -INF, -INF]], dtype=dtype
    )
    value = loss(student, teacher)
    assert value.dtype == dtype and not bool(value.isnan().any())
    value[:3].float().sum().backward(retain_graph=True)
    assert student.grad is not None and bool(student.grad.isfinite().all())
    value[3:].float().sum().backward()
    assert bool(student.grad.isfinite().all()) and float(value[4].detach()) == 0 and student.grad[4].tolist() == [0, 0, 0]
    assert bool(value[:3].isfinite().all())


@pytest.mark.parametrize("bad", [math.nan, INF])
@pytest.mark.parametrize("whose", ["student", "teacher"])
def test_what_is_no_number_is_never_a_loss(whose: str, bad: float) -> None:
    """-inf is a class that cannot be; NaN and +inf are a side that is broken, and no loss may hide it."""
    every = {name: loss for name, (loss, _) in FAMILY.items()}
    every |= {"forward": losses.forward_kl, "reverse": losses.reverse_kl, "ranking": losses.ranking}
    for name, loss in every.items():
        student, teacher = pair(2, 5)
        (student if whose == "student" else teacher)[0, 1] = bad
        found = loss(student, teacher)
        assert bool(found[0].isnan()) and bool(found[1].isfinite()), name


@of_each
def test_no_items_one_class_and_arguments_left_alone(name: str) -> None:
    loss, _ = FAMILY[name]
    assert loss(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0,)
    assert loss(torch.randn(2, 1), torch.ones(2, 1)).tolist() == pytest.approx([0, 0], abs=1e-6)
    student, teacher = pair(2, 3)
    before = student.clone(), teacher.clone()
    loss(student, teacher)
    assert torch.equal(student, before[0]) and torch.equal(teacher, before[1])
    with pytest.raises(DataError, match="legal"):
        loss(torch.zeros(2, 3), torch.zeros(3, 3))
    with pytest.raises(DataError, match="legal is any number above 0"):
        loss(student, teacher, 0.0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda z: losses.jensen_shannon(z, z, beta=1.1), "beta is 1.1; legal is 0 to 1"),
        (lambda z: losses.symmetric_kl(z, z, reverse=-1), "reverse is -1; legal is 0 to 1"),
        (lambda z: losses.skew_forward_kl(z, z, skew=1.0), "skew is 1.0; legal is 0 up to, but not, 1"),
        (lambda z: losses.skew_reverse_kl(z, z, skew=math.nan), "skew is nan; legal"),
        (lambda z: losses.alpha_beta(z, z, alpha=0, beta=0), "alpha is 0 and beta 0; legal"),
        (lambda z: losses.alpha_beta(z, z, alpha=-1, beta=2), "alpha is -1 and beta 2; legal"),
        (lambda z: losses.interpolated_kl(z, z, share=2), "share is 2; legal is 0 to 1"),
        (lambda z: losses.adaptive_kl(z, z, head=2), "head is 2; legal is 0 to 1"),
        (lambda z: losses.ranking(z, z, top=0), "top is 0; legal is 1 or more"),
        (lambda z: losses.ranking(z, z, 0), "temperature is 0; legal"),
    ],
)
def test_options_that_are_none_are_refused(call: Callable[[Tensor], Tensor], says: str) -> None:
    with pytest.raises(DataError, match=says):
        call(torch.zeros(2, 3))
