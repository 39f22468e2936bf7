"""A teacher whose lower layers run once: the same student as without, the lower layers silent afterwards, damage named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from distrust import low_rank, trunk
from distrust.data import Items
from distrust.errors import RecipeError, RunError
from distrust.methods import find
from distrust.methods.okd import Okd, okd
from distrust.students import Student
from tests import writers
from tests.methods import tutored

ABOVE = Okd(rank=4, layers=1)
STORED = Okd(rank=4, layers=1, store_trunk=True)


def learnt(folder: Path, options: Okd, kind: str = "llama", bottom: list[int] | None = None) -> dict[str, torch.Tensor]:
    asked = tutored.teacher(kind)
    if bottom is not None:
        first = low_rank.blocks(asked.model.module)[0]
        first.register_forward_hook(lambda *_: bottom.append(1))
    with tutored.opened(folder, asked, kind=kind) as run:
        student: Student = okd(run, options)
        return {name: value.clone() for name, value in student.module.state_dict().items()}


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mistral"])
def test_the_student_is_the_one_of_the_whole_teacher(kind: str, tmp_path: Path) -> None:
    whole = learnt(tmp_path / "whole", ABOVE, kind)
    for name, value in learnt(tmp_path / "cut", STORED, kind).items():
        torch.testing.assert_close(value, whole[name], rtol=1e-3, atol=1e-4)


def test_the_lower_layers_run_once_for_each_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = {"drift": 0.0, "kl": 1.0}  # an epoch's figures are taken on the whole teacher
    monkeypatch.setattr(sys.modules["distrust.methods.okd"], "_figures", lambda *_: quiet)
    often: list[int] = []
    learnt(tmp_path / "whole", ABOVE, bottom=often)
    once: list[int] = []
    learnt(tmp_path / "cut", STORED, bottom=once)
    checks = 4  # two of the head, two of the cut, on two tokens each
    assert len(once) == 1 + checks and len(often) > 6, "48 texts are one shard, whatever the number of epochs"
    again: list[int] = []
    learnt(tmp_path / "cut", STORED.model_copy(update={"alpha": 0.5}), bottom=again)
    assert len(again) == checks, "another fit finds them on disk"


def test_the_model_is_whole_again_and_damage_is_named(tmp_path: Path) -> None:
    asked = tutored.teacher()
    with tutored.opened(tmp_path, asked) as run:
        okd(run, STORED)
    assert len(low_rank.blocks(asked.model.module)) == 2
    file = next(tmp_path.rglob("states.bin"))
    content = bytearray(file.read_bytes())
    content[7] ^= 1
    file.write_bytes(content)
    with tutored.opened(tmp_path, tutored.teacher()) as run, pytest.raises(RunError, match="damaged in rows 0 to"):
        okd(run, STORED.model_copy(update={"alpha": 0.5}))


FULL, WINDOW = "full_attention", "sliding_attention"
ALTERNATING = {**writers.LLAMA, "num_hidden_layers": 4, "sliding_window": 4}


@pytest.mark.parametrize(
    "config",
    [
        writers.LLAMA,
        {**ALTERNATING, "model_type": "qwen2", "use_sliding_window": True, "layer_types": [FULL, FULL, WINDOW, WINDOW]},
        {**ALTERNATING, "model_type": "gemma3_text", "head_dim": 8, "layer_types": [WINDOW, WINDOW, WINDOW, FULL]},
        {**ALTERNATING, "model_type": "gemma2", "head_dim": 8, "layer_types": [FULL, WINDOW, FULL, WINDOW]},
    ],
    ids=lambda config: config["model_type"],
)
def test_a_long_prompt_with_a_short_completion_keeps_all_its_states(config: dict[str, object], tmp_path: Path) -> None:
    """Also where the layers that are left attend otherwise than those below: a window is shorter than the text."""
    items = Items(("a", "b"), ("Heads up. " + 3 * "A flips. ", "Heads up."))
    told = ["no", "yes yes yes"]
    model = writers.writer(config=config)
    trunk.check(model, 1, "big")

    def kept(key: str, build: Callable[[Path], None]) -> Path:
        build(tmp_path)
        return tmp_path

    top, rows = trunk.top(model, 1, kept), torch.tensor([0, 1])
    stored, read = top.encode_told(items, told), model.encode_told(items, told)
    with torch.no_grad():
        for chosen in (rows, rows[:1], rows[1:]):  # alone, a text is its batch's longest
            found, wanted = top.hidden(stored.batch(chosen)).hidden, model.hidden(read.batch(chosen)).hidden
            counted = read.batch(chosen)["labels"] >= 0
            torch.testing.assert_close(found[counted], wanted[counted], rtol=1e-4, atol=1e-5)
    assert model.module.config.to_dict().get("layer_types") == config.get("layer_types"), "it is told as it was"


def test_what_cannot_be_cut_is_refused() -> None:
    model = writers.writer()
    first = low_rank.blocks(model.module)[-1]
    first.register_forward_hook(lambda one, given, said: said + model.module.model.layers[0].self_attn.q_proj.weight.sum())
    with pytest.raises(RunError, match="big does more with its layers than run one after the other"):
        trunk.check(model, 1, "big")
    model = writers.writer()
    layers = model.module.model
    low_rank.blocks(model.module)[-1].register_forward_hook(
        lambda one, given, said: said + (said.shape[1] > 8) * len(layers.layers)
    )
    with pytest.raises(RunError, match="set store_trunk: false"):  # on a text of some length alone
        trunk.check(model, 1, "big")
    with pytest.raises(RecipeError, match="give how many of the last are adapted"):
        find("okd", {"store_trunk": True})
