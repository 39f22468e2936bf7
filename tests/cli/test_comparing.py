"""compare as it is called: what it prints and leaves, and how it refuses."""

from __future__ import annotations

from pathlib import Path

from tests import worlds
from tests.cli.world import Call


def test_a_comparison_from_recipe_to_page(distrust: Call, tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path, train={"num_train_epochs": 2})
    code, out, err = distrust("compare", recipe, "--methods", "distill, gold-only", "--seeds", "1")
    assert code == 0, err
    assert out.rstrip().endswith(f"Report: {tmp_path / 'run' / 'comparison.html'}")
    assert "over 1 seed" in out and "distill" in out and "gold-only, seed 0: " in err
    assert (tmp_path / "run" / "comparison.json").is_file()


def test_refusals_are_sentences(distrust: Call, tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path)
    for words, said in (
        ((), "takes two methods or more"),
        (("--methods", "distill,selektive"), "did you mean 'selective'"),
        (("--methods", "distill,selective", "--set", "compare.seeds=[]"), "seeds are []"),
    ):
        code, _, err = distrust("compare", recipe, *words)
        assert code == 2 and said in err and "Traceback" not in err, err
    assert not (tmp_path / "run").exists()


def test_without_a_test_set_nothing_is_compared(distrust: Call, tmp_path: Path) -> None:
    worlds.recipe(tmp_path)
    recipe = worlds.recipe(tmp_path, data={"pool": {"path": str(tmp_path / "pool.csv"), "label": "label"}})
    code, _, err = distrust("compare", recipe, "--methods", "distill,gold-only")
    assert code == 2 and "data.test" in err and not (tmp_path / "run").exists()
