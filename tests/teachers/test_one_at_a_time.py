"""Teachers that do not fit together: at most one of them is in memory, and they say the same."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust import build, recipe
from distrust.errors import TeacherError
from distrust.methods import find
from distrust.recipe_file import parse_recipe
from distrust.teachers import classifier, one_at_a_time
from distrust.teachers.classifier import ClassifierTeacher
from distrust.teachers.one_at_a_time import OneAtATime, crowded
from tests.models import save_classifier, texts


def options(name: str, folder: Path) -> recipe.Classifier:
    return recipe.Classifier(kind="classifier", name=name, model=str(folder))


def test_at_most_one_is_alive_and_the_student_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"bank": ("loan", "card"), "trip": ("flight", "car"), "law": ("suit", "will")}
    folders = [save_classifier(tmp_path / name, own) for name, own in labels.items()]
    rows = "\n".join(f'{{"text": "{text}"}}' for text in texts(12).inputs)
    (tmp_path / "pool.jsonl").write_text(rows, encoding="utf-8")
    asked: dict[str, Any] = {
        "data": {"pool": {"path": str(tmp_path / "pool.jsonl")}},
        "teachers": [{"kind": "classifier", "name": one.name, "model": str(one)} for one in folders],
        "student": {"kind": "ngram", "buckets": 64},
        "train": {"num_train_epochs": 1},
    }
    seen: list[weakref.ref[Any]] = []
    most = 0
    load = classifier.load_classifier

    def loading(*given: Any, **named: Any) -> Any:
        nonlocal most
        made = load(*given, **named)
        seen.append(weakref.ref(made[0]))
        most = max(most, sum(one() is not None for one in seen))
        return made

    monkeypatch.setattr(classifier, "load_classifier", loading)

    def carried(folder: str) -> Any:
        method, checked = find("concatenated", {})
        with build.opened(parse_recipe({**asked, "output_dir": str(tmp_path / folder)})) as (run, _):
            return method.run(run, checked).module.state_dict()

    together = carried("a")
    assert most >= 3
    gc.collect()
    monkeypatch.setattr(one_at_a_time, "free_memory", lambda: 0)
    most = 0
    apart = carried("b")
    assert most == 1 and len(seen) > 6
    assert all(torch.equal(value, together[name]) for name, value in apart.items())


def test_what_fits_together_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (options(name, save_classifier(tmp_path / name)) for name in "ab")
    size = sum(file.stat().st_size for file in tmp_path.glob("*/*.safetensors"))
    monkeypatch.setattr(one_at_a_time, "free_memory", lambda: 2 * size)
    assert not crowded([one, two]), "half of the free memory is theirs"
    monkeypatch.setattr(one_at_a_time, "free_memory", lambda: 2 * size - 2)
    assert crowded([one, two]) and not crowded([one])


def test_it_answers_as_ever_and_refuses_a_checkpoint_that_changed(tmp_path: Path) -> None:
    asked = options("bert", save_classifier(tmp_path / "bert"))
    plain, lone = ClassifierTeacher(asked), OneAtATime(asked)
    assert (lone.name, lone.space, lone.fingerprint) == (plain.name, plain.space, plain.fingerprint)
    assert torch.equal(lone.ask(texts(3)).distribution(), plain.ask(texts(3)).distribution())
    assert torch.equal(lone.passes(texts(3), 2).distribution(), plain.passes(texts(3), 2).distribution())
    save_classifier(tmp_path / "bert", seed=9)
    with pytest.raises(TeacherError, match="The checkpoint of the teacher bert has changed during the run"):
        lone.ask(texts(3))


def test_free_memory_is_some() -> None:
    assert 2**20 < one_at_a_time.free_memory() < 2**50
