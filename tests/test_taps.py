"""Taps: what flows by a path is kept with its gradient, and the layer that makes the logits is found by trial."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from distrust import taps
from distrust.errors import RunError
from distrust.labelled import Labelled, from_gold
from distrust.losses import cross_entropy
from distrust.objective import Objective, Term
from distrust.processes import mix
from distrust.recipe import Strict, Train
from distrust.run import Run
from distrust.students.module import ModuleStudent
from distrust.train import Fit, Side, fit
from tests import worlds


class Net(nn.Module):
    """Two layers, one of which takes its input by name, and one that stands idle."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.idle = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(4, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(input=self.first(inputs).relu())  # type: ignore[no-any-return]


def test_what_goes_in_and_what_comes_out_is_kept_with_its_gradient() -> None:
    net, given = Net(), torch.randn(6, 4)
    with taps.tapped(net, {"out": "first", "in": "last.input"}) as latest:
        logits = net(given)
        assert torch.equal(latest["out"], net.first(given))
        assert torch.equal(latest["in"], net.first(given).relu())
        latest["in"].sum().backward()
    assert net.first.weight.grad is not None
    assert torch.equal(net.last(latest["in"]), logits)
    assert not any(one._forward_hooks for one in net.modules())


def test_an_unknown_path_is_refused_with_the_nearest() -> None:
    with pytest.raises(RunError, match=r"no module 'lst.input'.*'last'"):
        taps.check(Net(), {"in": "lst.input"}, "The student", RunError)


def test_a_module_called_input_is_its_output() -> None:
    net = nn.Sequential()
    net.add_module("body", nn.Sequential())
    net.body.add_module("input", nn.Linear(2, 2))
    with taps.tapped(net, {"it": "body.input"}) as latest:
        said = net(torch.ones(1, 2))
    assert torch.equal(latest["it"], said)


def test_the_layer_that_makes_the_logits_is_the_innermost() -> None:
    inner = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    net = nn.Sequential(nn.Flatten(), inner)
    assert taps.last_layer(net, lambda: net(torch.randn(2, 2, 2))) == "1.2"
    assert not any(one._forward_hooks for one in net.modules())


def test_no_single_layer_makes_scaled_logits() -> None:
    class Scaled(Net):
        def forward(self, inputs: Tensor) -> Tensor:
            return 2 * super().forward(inputs)

    net = Scaled()
    assert taps.last_layer(net, lambda: net(torch.randn(2, 4))) is None


def test_a_frozen_copy_lets_gradients_through_and_keeps_none() -> None:
    net = Net().train()
    copy = taps.frozen_copy([net.first, nn.ReLU(), net.last])
    given = torch.randn(2, 4, requires_grad=True)
    copy(given).sum().backward()
    assert given.grad is not None
    assert all(value.grad is None and not value.requires_grad for value in copy.parameters())
    assert net.training and all(value.requires_grad for value in net.parameters())


# --- in a fit ------------------------------------------------------------------------------------------------------


def hinted(wanted: Tensor, path: str) -> Objective:
    """Cross-entropy to gold, and a projected feature pulled to what is wanted of each row (N, 2)."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        project = nn.Linear(8, 2)

    def hint(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        return (project(batch["taps.feature"]) - wanted[batch["row"]]).square().mean(-1)

    terms = {"gold": Term(lambda logits, batch: cross_entropy(logits, batch["labels"])), "hint": Term(hint, 3.0)}
    return Objective(terms, nn.ModuleDict({"project": project}), {"feature": path})


LOOP = Train(num_train_epochs=2, per_device_train_batch_size=8, learning_rate=1e-2, lr_scheduler_type="constant")
WANTED = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))


def gold() -> Labelled:
    return from_gold(*worlds.points(), 3)


def test_a_fit_with_a_tapped_feature_equals_a_hand_written_loop(tmp_path: Path) -> None:
    items, labels = worlds.points()
    student, objective = worlds.student(), hinted(WANTED, "3.input")
    fit([Side(student, objective, LOOP)], Fit("student", gold(), LOOP, 0, tmp_path))

    model, project = worlds.network(), hinted(WANTED, "3.input").modules["project"]
    weights = [*model.parameters(), *project.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=1e-2, weight_decay=0)
    for step in range(10):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(mix(0, step // 5, 1)))
        rows = order[step % 5 * 8 :][:8]
        optimiser.zero_grad()
        feature = model[:3](items.inputs[rows])
        hint = (project(feature) - WANTED[rows]).square().mean()
        (nn.functional.cross_entropy(model[3](feature), labels[rows]) + 3 * hint).backward()
        nn.utils.clip_grad_norm_(weights, LOOP.max_grad_norm)
        optimiser.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(student.module.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(objective.modules["project"].weight, project.weight, rtol=1e-5, atol=1e-6)


def test_a_tap_that_the_forward_passes_by_is_a_sentence(tmp_path: Path) -> None:
    student = ModuleStudent(Net(), worlds.SPACE, inputs=lambda items: torch.ones(len(items), 4), key="net")
    side = Side(student, hinted(WANTED, "idle"), LOOP)
    with pytest.raises(RunError, match="does not use its module 'idle'"):
        fit([side], Fit("student", gold(), LOOP, 0, tmp_path))


def test_a_run_knows_its_fits_apart_by_taps_and_by_frozen_heads(tmp_path: Path) -> None:
    items, _ = worlds.points()
    run = Run(tmp_path, space=worlds.SPACE, pool=items, teachers=[], new_student=worlds.student, options=LOOP)
    keys = []
    for path, head in (("3.input", 0), ("1", 0), ("3.input", 1), ("3.input", 0)):
        objective = hinted(WANTED, path)
        objective.frozen["head"] = taps.frozen_copy([worlds.network(head)[3]])
        keys.append(run.fit("student", gold(), objective, Options()).key)
    run.close()
    assert len(set(keys)) == 3 and keys[0] == keys[3]


def test_a_run_refuses_a_tap_that_the_student_lacks_before_it_trains(tmp_path: Path) -> None:
    items, _ = worlds.points()
    run = Run(tmp_path, space=worlds.SPACE, pool=items, teachers=[], new_student=worlds.student, options=LOOP)
    with pytest.raises(RunError, match=r"The student has no module '4.input'"):
        run.fit("student", gold(), hinted(WANTED, "4.input"), Options())
    run.close()
    assert not (tmp_path / "stages").exists()


class Options(Strict):
    """Of no method."""
