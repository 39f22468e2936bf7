"""Divergences from hidden states and heads: the same as from whole logits, value and gradients, and never as large."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from distrust import losses
from distrust.errors import DataError
from distrust.logits import top
from distrust.losses import linear
from distrust.losses.linear import Projected
from tests.losses import drawn

F64 = torch.float64
ITEMS, CLASSES = (2, 7), 11
Loss = Callable[..., Tensor]
LOSSES: dict[str, Loss] = {
    "forward": losses.forward_kl,
    "reverse": losses.reverse_kl,
    "symmetric": losses.symmetric_kl,
    "js": partial(losses.jensen_shannon, beta=0.3),
    "skew forward": losses.skew_forward_kl,
    "interpolated": losses.interpolated_kl,
    "skew reverse": losses.skew_reverse_kl,
    "total variation": losses.total_variation,
    "ab": losses.alpha_beta,
    "adaptive": losses.adaptive_kl,
    "ranking": partial(losses.ranking, top=4),
    "sorted": losses.sorted_distance,
}


def side(size: int, seed: int, bias: bool = False, cap: float | None = None, rows: int = CLASSES, dtype=F64) -> Projected:  # type: ignore[no-untyped-def]
    draw = torch.Generator().manual_seed(seed)
    made = [torch.randn(*shape, generator=draw, dtype=F64).to(dtype) for shape in ((*ITEMS, size), (rows, size), (rows,))]
    leaves = [one.requires_grad_() for one in made]
    return Projected(leaves[0], leaves[1], leaves[2] if bias else None, cap)


def teacher_of(one: Projected) -> Projected:
    return replace(one, weight=one.weight.detach(), bias=None if one.bias is None else one.bias.detach())


def whole(one: Projected, classes: int | None = None) -> Tensor:
    logits = one.hidden @ one.weight.T + (0 if one.bias is None else one.bias)
    logits = logits if one.softcap is None else one.softcap * (logits / one.softcap).tanh()
    return logits[..., :classes]


def leaves(one: Projected) -> list[Tensor]:
    return [one.hidden, one.weight] + ([] if one.bias is None else [one.bias])


def same(mine: Tensor, theirs: Tensor, inputs: list[Tensor], atol: float = 1e-10) -> None:
    assert float(mine.detach() - theirs.detach()) == pytest.approx(0, abs=atol)
    expected = torch.autograd.grad(theirs * 3, inputs)
    for one, other in zip(torch.autograd.grad(mine * 3, inputs), expected, strict=True):
        assert one.dtype == other.dtype and float((one - other).abs().max()) < atol


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("bias", "cap", "temperature", "chunk"),
    [(False, None, 1.0, 4), (True, None, 2.0, 5), (True, 3.0, 1.5, 100), (False, 2.0, 1.0, 1)],
)
def test_every_divergence_is_that_of_whole_logits(
    name: str, bias: bool, cap: float | None, temperature: float, chunk: int
) -> None:
    student, teacher = side(3, 0, bias, cap), side(5, 1, bias, cap)
    weights, counted = torch.rand(ITEMS, dtype=F64), torch.rand(ITEMS) > 0.4
    weights[0, 0] = 0
    loss = LOSSES[name]
    mine, values = linear.divergence(
        student, teacher, loss=loss, weights=weights, counted=counted, count=20, temperature=temperature, chunk=chunk
    )
    each = loss(whole(student), whole(teacher).detach(), temperature)
    assert torch.allclose(values, each.detach() * counted, atol=1e-10) and not values.requires_grad
    same(mine, (each * weights * counted).sum() / 20, leaves(student))


@pytest.mark.parametrize("loss", [losses.forward_kl, losses.reverse_kl])
@pytest.mark.parametrize("bias", [False, True])
def test_several_teachers_are_weighed_token_by_token(loss: Loss, bias: bool) -> None:
    student, teachers = side(3, 0, bias), [side(5, 1), side(2, 2, bias), side(3, 3)]
    weights = torch.rand(3, *ITEMS, dtype=F64)
    mine, values = linear.divergence(student, teachers, loss=loss, weights=weights, temperature=2.0, chunk=6)
    each = torch.stack([loss(whole(student), whole(one).detach(), 2.0) for one in teachers])
    assert torch.allclose(values, each.detach())
    same(mine, (each * weights).sum() / 14, leaves(student))
    if loss is losses.forward_kl and not bias:
        logits = torch.stack([whole(one).detach() for one in teachers])
        together = losses.weighted_kl(whole(student), logits, weights, 2.0)
        assert float((values * weights).sum()) == pytest.approx(float(together.detach().sum()))


def test_stored_targets_are_read_as_they_are_or_spread() -> None:
    student, said = side(3, 0), whole(side(5, 1)).detach()
    kept, drawn = top(said, 4), losses.sampled(said, 6, torch.Generator().manual_seed(0))
    counted = torch.rand(ITEMS) > 0.3
    for loss, target, plain in (
        (losses.topk_kl, kept, losses.topk_kl(whole(student), kept)),
        (losses.sampled_cross_entropy, drawn, losses.sampled_cross_entropy(whole(student), drawn)),
        (losses.forward_kl, kept, losses.forward_kl(whole(student), kept.dense())),
        (losses.jensen_shannon, kept, losses.jensen_shannon(whole(student), kept.dense())),
    ):
        mine, _ = linear.divergence(student, target, loss=loss, counted=counted, chunk=5)  # type: ignore[arg-type]
        same(mine, plain[counted].mean(), leaves(student))


def test_padded_heads_of_other_sizes_and_other_tokenizers() -> None:
    student, teacher = side(3, 0, rows=13, bias=True), side(5, 1, rows=16)
    mine, _ = linear.divergence(student, teacher, vocabulary=11, chunk=4)
    plain = losses.forward_kl(whole(student, 11), whole(teacher, 11).detach()).mean()
    same(mine, plain, leaves(student))
    assert (
        torch.autograd.grad(linear.divergence(student, teacher, vocabulary=11)[0], student.weight)[0][11:].tolist()
        == [[0] * 3] * 2
    )
    other, _ = linear.divergence(student, teacher, loss=losses.sorted_distance, chunk=3)
    same(other, losses.sorted_distance(whole(student), whole(teacher).detach()).mean(), leaves(student))
    with pytest.raises(DataError, match=r"Vocabularies differ: 13 of the student, 16 of its targets.*`vocabulary`.*ULD"):
        linear.divergence(student, teacher)


@pytest.mark.parametrize("loss", [losses.forward_kl, losses.jensen_shannon])
def test_a_bias_of_minus_infinity_is_a_class_that_is_not_known(loss: Loss) -> None:
    student, teacher = side(3, 0), side(5, 1, bias=True)
    bias = teacher.bias.detach().clone()  # type: ignore[union-attr]
    bias[[2, 5]] = -math.inf
    teacher = Projected(teacher.hidden, teacher.weight, bias)
    mine, _ = linear.divergence(student, teacher, loss=loss, chunk=4)
    same(mine, loss(whole(student), whole(teacher).detach()).mean(), leaves(student))
    ruled = Projected(
        student.hidden, student.weight, torch.zeros(CLASSES, dtype=F64).index_fill(0, torch.tensor([1]), -math.inf)
    )
    value, each = linear.divergence(ruled, side(5, 1), chunk=4)
    assert float(value.detach()) == math.inf and bool((each == math.inf).all())
    assert all(bool(one.isfinite().all()) for one in torch.autograd.grad(value, [student.hidden, student.weight]))


@pytest.mark.parametrize("loss", [losses.forward_kl, losses.reverse_kl, losses.skew_forward_kl])
@pytest.mark.parametrize(
    ("alpha", "temperature", "bias", "cap"), [(0.25, 1.0, False, None), (0.0, 2.0, False, None), (1.0, 1.0, True, 4.0)]
)
def test_two_sides_learn_from_each_other(
    loss: Loss, alpha: float, temperature: float, bias: bool, cap: float | None
) -> None:
    student, teacher = side(3, 0, bias, cap), teacher_of(side(5, 1, bias, cap))
    labels = torch.randint(-1, CLASSES, ITEMS, generator=torch.Generator().manual_seed(0))
    weights, counted = torch.rand(ITEMS, dtype=F64), torch.rand(ITEMS) > 0.4
    found = linear.two_sided(
        student,
        teacher,
        labels,
        alpha=alpha,
        loss=loss,
        weights=weights,
        counted=counted,
        count=9,
        temperature=temperature,
        chunk=4,
    )
    s, t = whole(student), whole(teacher)
    learned = loss(s, t.detach(), temperature)
    adapted = alpha * losses.forward_kl(t, s.detach(), temperature) + (1 - alpha) * losses.cross_entropy(t, labels)
    assert torch.allclose(found.student_values, learned.detach() * counted)
    assert torch.allclose(found.teacher_values, adapted.detach() * counted)
    for mine, plain, mine_inputs in (
        (found.teacher, adapted, [teacher.hidden]),  # the teacher's first: any order is legal
        (found.student, learned, leaves(student)),
    ):
        same(mine, (plain * weights * counted).sum() / 9, mine_inputs)
    alone = linear.two_sided(student, teacher, labels, alpha=alpha, loss=loss)
    assert torch.autograd.grad(alone.student, teacher.hidden, allow_unused=True) == (None,)


@pytest.mark.parametrize("loss", [losses.forward_kl, losses.jensen_shannon])
def test_nobody_counts_and_one_token(loss: Loss) -> None:
    student, teacher = side(3, 0, bias=True), side(5, 1)
    mine, values = linear.divergence(student, teacher, loss=loss, counted=torch.zeros(ITEMS, dtype=torch.bool))
    gradients = torch.autograd.grad(mine, leaves(student))
    assert float(mine.detach()) == 0 and not bool(values.any()) and not any(bool(one.any()) for one in gradients)
    mine, _ = linear.divergence(student, teacher, loss=loss, weights=torch.zeros(ITEMS, dtype=F64))
    assert float(mine.detach()) == 0 and not any(bool(one.any()) for one in torch.autograd.grad(mine, leaves(student)))
    one = torch.zeros(ITEMS, dtype=torch.bool)
    one[1, 2] = True
    mine, _ = linear.divergence(student, teacher, loss=loss, counted=one)
    same(mine, loss(whole(student), whole(teacher).detach())[1, 2], leaves(student))
    empty = Projected(student.hidden[:0], student.weight)
    assert linear.divergence(empty, Projected(teacher.hidden[:0], teacher.weight), loss=loss)[1].shape == (0, 7)


@pytest.mark.parametrize("loss", [losses.forward_kl, losses.jensen_shannon])
def test_saturated_logits_are_finite_in_single_precision(loss: Loss) -> None:
    student, teacher = side(3, 0, dtype=torch.float32), side(5, 1, dtype=torch.float32)
    far = Projected(student.hidden * 1e4, student.weight), Projected(teacher.hidden * -1e4, teacher.weight)
    mine, _ = linear.divergence(far[0], far[1], loss=loss, chunk=3)
    assert all(bool(one.isfinite().all()) for one in [mine, *torch.autograd.grad(mine, leaves(student))])


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("loss", [losses.forward_kl, losses.reverse_kl])
def test_lower_precision_is_near_double(loss: Loss, dtype: torch.dtype, atol: float) -> None:
    student, teacher = side(3, 0, dtype=dtype), side(5, 1, dtype=dtype)
    exact = (
        Projected(student.hidden.double(), student.weight.double()),
        Projected(teacher.hidden.double(), teacher.weight.double()),
    )
    mine, _ = linear.divergence(student, teacher, loss=loss, chunk=4)
    same(mine.double(), loss(whole(exact[0]), whole(exact[1]).detach()).mean(), leaves(student), atol)
    mixed = Projected(student.hidden, student.weight.detach().float().requires_grad_())  # as under autocast
    value, _ = linear.divergence(mixed, teacher, loss=loss, chunk=4)
    assert torch.autograd.grad(value, mixed.weight)[0].dtype == torch.float32


class Largest(TorchDispatchMode):
    """The most elements that any operation gave back."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, tuple | list) else [found]:
            if isinstance(one, Tensor):
                self.most = max(self.most, one.numel())
        return found


def test_it_never_holds_tokens_by_vocabulary() -> None:
    tokens, classes = 150, 500
    hidden, weight = torch.randn(tokens, 4, requires_grad=True), torch.randn(classes, 4, requires_grad=True)
    student, teacher = Projected(hidden, weight), Projected(torch.randn(tokens, 4, requires_grad=True), weight.detach())
    calls: list[Callable[[], Tensor]] = [
        partial(lambda loss: linear.divergence(student, teacher, loss=loss, chunk=16)[0], loss) for loss in LOSSES.values()
    ]
    calls.append(lambda: linear.divergence(student, top(whole(teacher).detach(), 3), chunk=16)[0])
    calls.append(
        lambda: sum(linear.two_sided(student, teacher, torch.zeros(tokens, dtype=torch.long), alpha=0.5, chunk=16)[:2])
    )  # type: ignore[arg-type, return-value]
    kept = top(whole(teacher).detach(), 3)
    calls[-2] = lambda: linear.divergence(student, kept, chunk=16)[0]
    for call in calls:
        with Largest() as seen:
            call().backward()
        assert 0 < seen.most < tokens * classes / 4
    with Largest() as seen:
        losses.forward_kl(whole(student), whole(teacher).detach()).mean().backward()
    assert seen.most >= tokens * classes


def test_without_gradients_the_value_is_the_same() -> None:
    student, teacher = side(3, 0), side(5, 1)
    with torch.no_grad():
        value, _ = linear.divergence(student, teacher)
    assert not value.requires_grad and float(value) == float(linear.divergence(student, teacher)[0].detach())
    frozen = Projected(student.hidden, student.weight.detach())
    (gradient,) = torch.autograd.grad(linear.divergence(frozen, teacher)[0], student.hidden)
    assert torch.equal(gradient, torch.autograd.grad(linear.divergence(student, teacher)[0], student.hidden)[0])


def test_a_second_derivative_and_a_second_backward_are_refused() -> None:
    student, teacher = side(3, 0), side(5, 1)
    mine, _ = linear.divergence(student, teacher)
    with pytest.raises(DataError, match="have none of their own"):
        torch.autograd.grad(mine, student.hidden, create_graph=True)
    mine.backward(retain_graph=True)
    with pytest.raises(DataError, match="a second time; legal is one backward"):
        mine.backward()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s, t: linear.divergence(s, []), "no targets; legal is one"),
        (lambda s, t: linear.divergence(s, t, chunk=0), "chunk is 0; legal is 1 token"),
        (lambda s, t: linear.divergence(s, t, temperature=0.0), "temperature is 0.0; legal"),
        (lambda s, t: linear.divergence(s, t, vocabulary=12), "vocabulary is 12; legal is 1 to 11"),
        (lambda s, t: linear.divergence(s, t, weights=torch.ones(3)), r"Weights are \(3,\); legal is \(2, 7\)"),
        (lambda s, t: linear.divergence(s, [t], weights=torch.ones(2, 7)), r"Weights are \(2, 7\); legal is \(1, 2, 7\)"),
        (
            lambda s, t: linear.divergence(s, t, counted=torch.ones(2, 7)),
            r"counted is torch.float32.*legal is bool \(2, 7\)",
        ),
        (
            lambda s, t: linear.divergence(s, replace(t, hidden=t.hidden[:1])),
            r"A teacher has items \(1, 7\) and the student",
        ),
        (lambda s, t: linear.divergence(replace(s, weight=t.weight), t), r"student's head is \(11, 5\) for .* size 3"),
        (lambda s, t: linear.divergence(replace(s, bias=torch.ones(3)), t), r"its bias \(3,\); legal"),
        (lambda s, t: linear.divergence(s, replace(t, softcap=0.0)), "A teacher's softcap is 0.0; legal"),
        (
            lambda s, t: linear.two_sided(s, t, torch.zeros(2, 7, dtype=torch.long), alpha=1.5),
            "alpha is 1.5; legal is 0 to 1",
        ),
        (lambda s, t: linear.two_sided(s, t, torch.zeros(2, 7), alpha=0.5), r"Labels are torch.float32.*int64 \(2, 7\)"),
        (lambda s, t: linear.two_sided(s, t, torch.zeros(2, 7, dtype=torch.long), alpha=0.5), "head wants a gradient"),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[Projected, Projected], object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        call(side(3, 0), side(5, 1))


@pytest.mark.parametrize("loss", [losses.forward_kl, losses.reverse_kl])
@pytest.mark.parametrize("count", [0, 0.0, torch.tensor(0.0)])
def test_nothing_is_divided_by_no_tokens(loss: Loss, count: float | Tensor) -> None:
    student, teacher = side(3, 0), teacher_of(side(5, 1))
    counted, labels = torch.zeros(ITEMS, dtype=torch.bool), torch.zeros(ITEMS, dtype=torch.long)
    mine, _ = linear.divergence(student, teacher, loss=loss, counted=counted, count=count)
    both = linear.two_sided(student, teacher, labels, alpha=0.3, loss=loss, counted=counted, count=count)
    for value, inputs in ((mine, leaves(student)), (both.student, leaves(student)), (both.teacher, [teacher.hidden])):
        assert float(value.detach()) == 0 and not any(bool(one.any()) for one in torch.autograd.grad(value, inputs))


@pytest.mark.parametrize("seeds", [range(60), pytest.param(range(60, 3000), marks=pytest.mark.slow)], ids=["few", "many"])
def test_whatever_is_combined_is_that_of_whole_logits(seeds: range) -> None:
    """Several teachers, stored targets, weights, masks, counts, temperature, bias, cap, padding and precision, at random."""
    assert not [one for seed in seeds for compare in (drawn.one_sided, drawn.both_sided) for one in compare(seed)]


def test_labels_go_by_one_rule_however_the_gradient_is_found() -> None:
    """-1 is none; what is no class is refused, unless the position does not count."""
    student, teacher = side(3, 0), teacher_of(side(5, 1))
    labels, counted = torch.zeros(ITEMS, dtype=torch.long), torch.ones(ITEMS, dtype=torch.bool)
    for temperature in (1.0, 2.0):
        for wrong in (CLASSES, -2, -100):
            labels[1, 3] = wrong
            with pytest.raises(DataError, match=rf"A label is {wrong}; legal is 0 to {CLASSES - 1}, -1 for none"):
                linear.two_sided(student, teacher, labels, alpha=0.5, temperature=temperature)
            hidden = counted.clone()
            hidden[1, 3] = False
            linear.two_sided(student, teacher, labels, alpha=0.5, temperature=temperature, counted=hidden)
        labels[1, 3] = 9
        with pytest.raises(DataError, match="A label is 9; legal is 0 to 8"):
            linear.two_sided(student, teacher, labels, alpha=0.5, temperature=temperature, vocabulary=9)


@pytest.mark.parametrize(
    ("loss", "kind", "legal"),
    [
        (losses.topk_kl, "Projected", "topk_kl towards TopK"),
        (partial(losses.topk_kl), "Sampled", "topk_kl towards TopK"),
        (losses.forward_kl, "Sampled", "sampled_cross_entropy towards Sampled"),
        (losses.sampled_cross_entropy, "TopK", "every other divergence towards Projected or TopK"),
        (losses.sampled_cross_entropy, "Projected", "every other divergence"),
    ],
)
def test_a_target_of_another_kind_is_refused(loss: Loss, kind: str, legal: str) -> None:
    student, said = side(3, 0), whole(side(5, 1)).detach()
    target = {"Projected": side(5, 1), "TopK": top(said, 3), "Sampled": losses.sampled(said, 2)}[kind]
    for given in (target, [top(said, 3), target] if loss is losses.topk_kl else [target]):
        with pytest.raises(DataError, match=rf"towards {kind}; legal are .*{legal}"):
            linear.divergence(student, given, loss=loss)  # type: ignore[arg-type]


def test_a_label_that_is_ruled_out_costs_nothing_where_labels_do_not_count() -> None:
    student, teacher = side(3, 0), teacher_of(side(5, 1, bias=True))
    bias = torch.zeros(CLASSES, dtype=F64).index_fill(0, torch.tensor([2]), -math.inf)
    ruled = replace(teacher, bias=bias)
    student = replace(student, bias=bias)
    found = linear.two_sided(student, ruled, torch.full(ITEMS, 2), alpha=1.0)
    wanted = losses.forward_kl(whole(ruled), whole(student).detach())
    assert torch.allclose(found.teacher_values, wanted.detach())


@pytest.mark.parametrize(("temperature", "bias"), [(1.0, False), (2.0, False), (1.0, True)])
def test_the_student_of_two_sides_learns_what_it_learns_alone(temperature: float, bias: bool) -> None:
    """OKD's first step: bit for bit at temperature 1 without bias, else to rounding in single precision."""
    student = side(3, 0, bias, dtype=torch.float32)
    teacher = teacher_of(side(5, 1, bias, dtype=torch.float32))
    labels = torch.zeros(ITEMS, dtype=torch.long)
    both = linear.two_sided(student, teacher, labels, alpha=0.3, temperature=temperature)
    alone, _ = linear.divergence(student, teacher, temperature=temperature)
    found = [both.student.detach(), *torch.autograd.grad(both.student, leaves(student))]
    for mine, plain in zip(found, [alone.detach(), *torch.autograd.grad(alone, leaves(student))], strict=True):
        if temperature == 1 and not bias:
            assert torch.equal(mine, plain)
        assert float((mine - plain).abs().max()) <= 1e-6 * max(1.0, float(plain.abs().max()))
