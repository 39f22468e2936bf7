"""Monte-Carlo passes of local teachers: MUKA's equation 3, and traps 1 to 3 of its card."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from distrust import recipe
from distrust.data import Items
from distrust.dropout import dropping, item_keys, pass_keys
from distrust.errors import TeacherError
from distrust.evidence import Evidence
from distrust.teachers.classifier import ClassifierTeacher
from distrust.teachers.module import ModuleTeacher
from distrust.teachers.passes import EXPECTED
from distrust.trust.distribution import entropy
from tests import worlds
from tests.models import save_classifier, texts

POINTS = worlds.points()[0]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> ClassifierTeacher:
    folder = save_classifier(tmp_path_factory.mktemp("passes") / "bert")
    return ClassifierTeacher(recipe.Classifier(kind="classifier", name="bert", model=str(folder)))


def module(rate: float = 0.5, **more: object) -> ModuleTeacher:
    return ModuleTeacher("net", worlds.network(1, rate), worlds.SPACE, **more)  # type: ignore[arg-type]


def close(one: Evidence, other: Evidence) -> None:
    assert one.ids == other.ids
    torch.testing.assert_close(one.distribution(), other.distribution(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(one.features[EXPECTED], other.features[EXPECTED], rtol=1e-4, atol=1e-5)


def test_what_is_kept_is_the_mean_of_passes_made_one_by_one() -> None:
    net = worlds.network(1, 0.5)
    said = ModuleTeacher("net", net, worlds.SPACE).passes(POINTS, 5, seed=3)
    alone = []
    for key in pass_keys(item_keys(POINTS.ids, 3), 5):
        with dropping(net) as draws:
            draws.begin(key)
            alone.append(net(POINTS.inputs).softmax(-1).double())
    passes = torch.stack(alone)
    assert not torch.allclose(passes[0], passes[1], atol=0.05), "passes differ"
    torch.testing.assert_close(said.distribution().double(), passes.mean(0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(said.features[EXPECTED].double(), entropy(passes).mean(0), rtol=1e-5, atol=1e-6)
    assert torch.equal(said.claims[0], passes.mean(0).argmax(-1))


def test_a_transformers_passes_vary_in_layers_and_in_attention(bert: ClassifierTeacher) -> None:
    items = texts(12)
    said = bert.passes(items, 4)
    assert not torch.allclose(said.distribution(), bert.ask(items).distribution(), atol=0.01)
    assert not torch.equal(said.distribution(), bert.passes(items, 4, seed=1).distribution())
    with dropping(bert._model) as draws:
        draws.begin(item_keys(items.ids[:1], 0))
        bert._answering(bert._read(items))(torch.tensor([0]))
    assert draws.met == 8, "embeddings, head, and in each of two layers attention, its output and the feed-forward"


@pytest.mark.parametrize("kind", ["bert", "module"])
def test_scores_follow_their_items_in_any_order_and_company(kind: str, bert: ClassifierTeacher) -> None:
    teacher, items = (bert, texts(20)) if kind == "bert" else (module(batch_size=24), POINTS)
    whole = teacher.passes(items, 4)
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(0))
    close(teacher.passes(items.select(order), 4), whole.select(order))
    close(teacher.passes(items.select([7, 2]), 4), whole.select([7, 2]))
    parts = [teacher.passes(items.select(range(start, start + 10)), 4).distribution() for start in (0, 10)]
    torch.testing.assert_close(torch.cat(parts), whole.distribution()[:20], rtol=1e-4, atol=1e-5)


def test_the_same_in_another_process() -> None:
    code = (
        "from tests.teachers.test_passes import POINTS, module\n"
        "print(module().passes(POINTS, 4).distribution().double().sum(0).tolist())"
    )
    given = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert given.stdout.strip() == str(module().passes(POINTS, 4).distribution().double().sum(0).tolist())


def test_the_teacher_and_the_random_state_are_as_before(bert: ClassifierTeacher) -> None:
    model, state = bert._model, torch.get_rng_state()
    model.train()
    modes = [one.training for one in model.modules()]
    before = bert.fingerprint
    bert.passes(texts(3), 2)
    assert [one.training for one in model.modules()] == modes and torch.equal(torch.get_rng_state(), state)
    assert bert.fingerprint == before
    assert torch.equal(bert.ask(texts(3)).distribution(), bert.ask(texts(3)).distribution())
    model.eval()


def test_a_teacher_without_dropout_is_refused_in_a_sentence() -> None:
    with pytest.raises(TeacherError, match=r"net has no dropout above 0.*entropy, energy or max_logit\.$"):
        module(0.0).passes(POINTS, 4)


def test_one_pass_and_no_items() -> None:
    assert module().passes(POINTS, 1).features[EXPECTED].shape == (len(POINTS),)
    assert len(module().passes(POINTS.select([]), 4)) == 0


def test_what_cannot_be_told_apart_by_item_is_refused() -> None:
    class Mixing(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            dropped = nn.functional.dropout(inputs.mean(0).repeat(3, 1), 0.5)
            return inputs @ torch.ones(2, 3) + dropped.sum()

    odd = ModuleTeacher("odd", Mixing(), worlds.SPACE)
    with pytest.raises(TeacherError, match="odd cannot read these items: dropout of a tensor"):
        odd.passes(Items(("a", "b"), torch.ones(2, 2)), 2)


def test_what_lies_below_the_first_dropout_is_worked_out_once_for_all_passes() -> None:
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3))
    rows: list[int] = []
    net[0].register_forward_hook(lambda _, given, out: rows.append(len(out)))
    said = ModuleTeacher("net", net, worlds.SPACE, batch_size=8).passes(POINTS, 16).distribution()
    assert sum(rows) == len(POINTS) + 1, "each item once, and one to see how wide the module is"
    assert not torch.allclose(said, ModuleTeacher("net", net, worlds.SPACE).ask(POINTS).distribution(), atol=0.01)


@pytest.mark.parametrize("kind", ["bert", "module"])
def test_a_module_that_cannot_be_mapped_over_passes_gives_the_same(kind: str, bert: ClassifierTeacher) -> None:
    class Looking(nn.Module):  # at its values, which a mapped tensor does not show
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *given: torch.Tensor, **named: torch.Tensor) -> object:
            made = self.inner(*given, **named)
            assert bool(torch.isfinite(made if isinstance(made, torch.Tensor) else made.logits).all())
            return made

    if kind == "module":
        looking = ModuleTeacher("net", Looking(worlds.network(1, 0.5)), worlds.SPACE)
        close(looking.passes(POINTS, 4), module().passes(POINTS, 4))
        return
    items, plain = texts(9), bert._model
    whole = bert.passes(items, 4)
    bert._model = Looking(plain)
    try:
        close(bert.passes(items, 4), whole)
    finally:
        bert._model = plain
