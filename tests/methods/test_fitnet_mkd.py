"""fitnet-mkd: features held with a gradient, all teachers alike."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import torch

from distrust.methods import find
from tests.methods import several_worlds as worlds
from tests.methods.several_worlds import panel
from tests.methods.written import LABELS, said, told


def test_fitnet_holds_features_with_a_gradient_and_equal_weights(tmp_path: Path) -> None:
    method, options = find("fitnet-mkd", {"feature": "body"})
    longer = worlds.Train(num_train_epochs=12, learning_rate=1e-2)
    with closing(worlds.run(tmp_path, panel(), options=longer)) as work:
        method.run(work, options)
        first, *_, last = work.fits["student"].history
        kept = list((work.folder / "stages").glob("*/objective-student.safetensors"))
    assert len(kept) == 1 and last["hint"] < 0.9 * first["hint"]
    method, options = find("fitnet-mkd", {})
    with closing(
        worlds.run(tmp_path / "vectors", [worlds.teacher("v", worlds.taught(1, LABELS), "head.2.input", ["head.2"])])
    ) as work:
        method.run(work, options)  # `auto` on both sides: what goes into the last layer
        assert work.fits["student"].history[-1]["hint"] > 0


def test_without_hints_fitnet_is_averaged(tmp_path: Path) -> None:
    plain, _ = told(tmp_path / "a", "averaged", said())
    bare, _ = told(tmp_path / "b", "fitnet-mkd", said(), beta=0)
    assert torch.equal(plain.targets, bare.targets)
