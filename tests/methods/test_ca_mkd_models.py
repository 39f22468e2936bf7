"""CA-MKD from a recipe, with transformers models on both sides: features by `auto`, the page and the facts of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distrust.build import opened
from distrust.errors import RunError
from distrust.finish import carry_out, write
from distrust.recipe_file import load_recipe
from distrust.store import load_tensors
from tests import models, worlds

SMALL = {"model_type": "bert", **models.SIZES, "hidden_size": 16, "intermediate_size": 32}


def recipe(folder: Path, **options: Any) -> Path:
    """Two checkpoints of different widths that know nothing of the matter, and a small student of their kind."""
    labels = tuple(worlds.WORDS)
    wide = models.save_classifier(folder / "wide", labels)
    narrow = models.save_classifier(folder / "narrow", labels, seed=4, hidden_size=24, num_attention_heads=2)
    teachers = [{"kind": "classifier", "name": path.name, "model": str(path), "feature": "auto"} for path in (wide, narrow)]
    return worlds.recipe(
        folder,
        teachers=teachers,
        student={"kind": "transformer", "config": SMALL, "vocabulary": 300, "max_length": 32},
        train={"num_train_epochs": 2, "save_seconds": 0},
        method={"name": "ca-mkd", "options": options},
    )


@pytest.mark.slow
def test_a_run_with_features_of_different_widths(tmp_path: Path) -> None:
    path = recipe(tmp_path, weights="auto", feature="auto")
    with opened(load_recipe(path)) as (run, task):
        facts, student = carry_out(run, task, load_recipe(path))
        write(facts, student, run.folder)
        history = run.fits["student"].history
        (kept,) = (run.folder / "stages").glob("fit-student-*/objective-student.safetensors")
    assert history[-1]["inter"] > 0 and all(row["loss"] == row["loss"] for row in history)
    sizes = {name: tuple(value.shape) for name, value in load_tensors(kept).items() if name.endswith("weight")}
    assert sizes == {"0.linear.weight": (32, 16), "1.linear.weight": (24, 16)}
    assert facts.weights is not None and facts.weights.shape == (2, 150)
    assert "no gold label" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_a_feature_with_a_place_for_every_token_is_refused(tmp_path: Path) -> None:
    path = recipe(tmp_path, feature="bert.encoder.layer.0")
    with (
        opened(load_recipe(path)) as (run, task),
        pytest.raises(RunError, match="The teacher wide: No projection leads from"),
    ):
        carry_out(run, task, load_recipe(path))
