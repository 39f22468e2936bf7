"""What `auto` would try, from a recipe alone."""

from __future__ import annotations

from pathlib import Path

from tests import worlds


def test_the_plan_says_what_would_be_tried(tmp_path: Path) -> None:
    from distrust.methods.auto_plan import tries
    from distrust.recipe_file import load_recipe

    path = worlds.recipe(tmp_path, method={"name": "auto"}, gold={"size": 40})
    said = dict(tries(load_recipe(path)))
    assert said["distill"] == said["gold-only"] == "would be tried on 40 gold items"
    assert said["peer-advised"] == "would be tried on 40 gold items; taken where nothing is better beyond noise"
    chosen = worlds.recipe(tmp_path, method={"name": "auto", "options": {"candidates": ["elr"]}}, gold={"size": 40})
    assert dict(tries(load_recipe(chosen)))["distill"].endswith("; taken where nothing is better beyond noise")
    assert "there is one" in said["best-teacher"] and not (tmp_path / "run").exists()
    few = dict(tries(load_recipe(worlds.recipe(tmp_path, method={"name": "auto"}))))
    assert list(few) == ["distill"] and "12 gold items are fewer than 20" in few["distill"]
