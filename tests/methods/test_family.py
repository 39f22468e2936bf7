"""The methods beside okd: their memory across a kill, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrust import checkpoint
from distrust.errors import RecipeError
from distrust.methods import find
from tests.methods import tutored
from tests.methods.followed import OFTEN, learnt
from tests.methods.test_conformance import equal


@pytest.mark.parametrize(
    ("name", "options"), [("distillm", OFTEN), ("taid", {"speed": 0.5}), ("speculative-kd", {"interleaved": 0.5})]
)
def test_a_kill_in_the_middle_of_an_epoch_changes_nothing(
    name: str, options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving = tutored.LOOP.model_copy(update={"save_seconds": 0.0})
    whole = learnt(name, tmp_path / "whole", saving, **options)
    real, saved = checkpoint.save, []

    def dying(*given: object) -> None:
        real(*given)  # type: ignore[arg-type]
        saved.append(1)
        if len(saved) == 4:  # in the second epoch
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", dying)
        with pytest.raises(KeyboardInterrupt):
            learnt(name, tmp_path / "cut", saving, **options)
    assert equal(whole, learnt(name, tmp_path / "cut", saving, **options))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("taid", {"start": 0.8, "end": 0.5}, "`end` is 0.5 and `start` 0.8; the teacher's share rises"),
        ("distillm", {"skew": 1.0}, "skew: input should be less than 1"),
        ("speculative-kd", {"top": 0}, "top: input should be greater than 0"),
    ],
)
def test_refusals_are_sentences(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        find(name, options)
