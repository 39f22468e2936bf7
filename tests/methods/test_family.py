"""The methods beside okd: their memory across a kill, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrust import checkpoint
from distrust.errors import RecipeError
from distrust.methods import METHODS, find
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


def test_of_a_teachers_texts_alone_it_is_sequence_level_distillation(tmp_path: Path) -> None:
    """SeqKD (Kim and Rush 2016): `distill`, told what the language model writes."""
    asked = tutored.teacher()
    with tutored.opened(tmp_path, asked, recorded=False) as run:
        METHODS["distill"].run(run, METHODS["distill"].options())
        told, wrote = run.fits["student"].labelled.texts, asked.ask(run.pool).texts
    assert told is not None and wrote is not None
    assert [list(one) for one in told.answers] == [list(one) for one in wrote]


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
