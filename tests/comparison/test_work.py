"""A comparison carried out in real processes: shared stages, kills, answers bought once, and runs that cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust import train
from distrust.build import opened
from distrust.comparison.cells import cells, chosen
from distrust.comparison.figures import compared
from distrust.comparison.work import outcomes, paid, read
from distrust.files import read_json
from distrust.methods import find
from distrust.recipe_file import load_recipe
from distrust.store import load_tensors
from tests import test_generation, worlds
from tests.servers import loopback, served

FAST = {"num_train_epochs": 2, "save_seconds": 0}


def carried(recipe: Path, methods: list[str], seeds: int) -> Any:
    loaded = load_recipe(recipe)
    every = cells(chosen(loaded, methods, seeds))
    said: list[str] = []
    folder = Path(loaded.output_dir)
    found, failed = outcomes(every, folder, lambda cell, _: said.append(cell.shown), lambda _: None, lambda *_: None)
    return every, found, failed, said


def test_cells_share_stages_and_are_what_single_runs_are(tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path, train=FAST)
    every, found, failed, said = carried(recipe, ["distill", "selective", "gold-only"], 2)
    assert paid(tmp_path / "run") is None, "nobody was paid"
    assert not failed and len(found) == 6 and sorted(said) == sorted(cell.shown for cell in every)
    fits = [path.name.rsplit("-", 1)[0] for path in (tmp_path / "run" / "stages").glob("fit-*")]
    assert fits.count("fit-gold-only") == 2, "the reference of every cell is trained once a seed"
    alone = tmp_path / "alone"
    command = [sys.executable, "-m", "distrust", "run", str(recipe), "--set", "seed=1", "--set", f"output_dir={alone}"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    cell = next(one for one in every if one.seed == 1 and one.method == "distill")
    ours, theirs = (load_tensors(folder / "student" / "model.safetensors") for folder in (cell.folder, alone))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert (cell.folder / "report.html").is_file()
    outcome = read(cell)
    assert outcome is not None and outcome.seconds > 0
    for one in every:
        known = read(one)
        assert known is not None and list(known.learned) == ["loss"] and len(known.learned["loss"]) >= 2
    shown = read_json(cell.folder / "metrics.json")["test"]["student"]["accuracy"]["value"]
    assert float(outcome.right.double().mean()) == pytest.approx(shown)


def test_a_seed_pairs_the_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gold, initial weights and batches as the loop has them, of methods that learn from every item."""
    recipe = worlds.recipe(tmp_path, train={"num_train_epochs": 2, "per_device_train_batch_size": 32})
    steps: list[tuple[str, ...]] = []
    starts: list[dict[str, torch.Tensor]] = []
    step = train._step

    def watched(loop: Any, rows: torch.Tensor, number: int, total: int) -> Any:
        if loop.task.name == "student":
            if number == 0:
                starts.append({name: value.clone() for name, value in loop.sides[0].student.module.state_dict().items()})
            steps.append(loop.task.labelled.told().items.select(rows.tolist()).ids)
        return step(loop, rows, number, total)

    monkeypatch.setattr(train, "_step", watched)
    gold, batches = {}, {}
    for cell in cells(chosen(load_recipe(recipe), ["distill", "elr", "small-loss"], 2)):
        method, options = find(cell.method, {})
        with opened(cell.recipe) as (run, _):
            method.run(run, options)
            gold[cell.method, cell.seed] = (run.gold.ids, run.gold.labels.tolist())
        batches[cell.method, cell.seed], steps = steps, []
    weights = dict(zip(batches, starts, strict=True))
    for seed in (0, 1):
        for method in ("elr", "small-loss"):
            assert gold[method, seed] == gold["distill", seed]
            assert batches[method, seed] == batches["distill", seed] and len(batches[method, seed]) == 2 * 5
            assert all(torch.equal(value, weights["distill", seed][name]) for name, value in weights[method, seed].items())
    assert gold["distill", 0] != gold["distill", 1] and batches["distill", 0] != batches["distill", 1]
    assert any(not torch.equal(value, weights["distill", 1][name]) for name, value in weights["distill", 0].items())


def test_what_is_done_is_not_done_again_and_a_changed_recipe_is_another_cell(tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path, train=FAST)
    every, first, _, _ = carried(recipe, ["distill", "gold-only"], 1)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    _, again, _, _ = carried(recipe, ["distill", "gold-only"], 1)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()} == times
    assert all(torch.equal(one.right, other.right) for one, other in zip(first, again, strict=True))
    changed = load_recipe(recipe, ["train.num_train_epochs=3"])
    assert read(cells(chosen(changed, ["distill", "gold-only"], 1))[0]) is None and read(every[0]) is not None


def test_a_method_that_cannot_run_is_a_sentence_beside_the_others(tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path, train=FAST, gold=None)
    _, found, failed, _ = carried(recipe, ["distill", "gold-only"], 1)
    assert [one.method for one in found] == ["distill"] and "gold" in failed["gold-only, seed 0"]


def test_open_answers_are_compared_too(tmp_path: Path) -> None:
    recipe = test_generation.recipe(tmp_path, train={"num_train_epochs": 1})
    _, found, failed, _ = carried(recipe, ["distill", "gold-only"], 1)
    assert not failed, failed
    assert [one.nll for one in found] == [None, None] and all(one.right.shape == (40,) for one in found)
    assert compared(found, {}, {"": {}})["settings"][0]["rows"][0]["nll"] is None


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, whole, _, _ = carried(worlds.recipe(tmp_path / "a", train=FAST), ["distill", "selective"], 2)
    recipe = worlds.recipe(tmp_path / "b", train=FAST)
    command = [sys.executable, "-m", "distrust", "compare", str(recipe), "--methods", "distill,selective", "--seeds", "2"]
    killed = 0
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stages = tmp_path / "b" / "run" / "stages"
        seen = len(list(stages.glob("*"))) if stages.is_dir() else 0
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            if stages.is_dir() and len(list(stages.glob("*"))) > seen + 1:
                process.send_signal(signal.SIGKILL)
                killed += 1
                break
            time.sleep(0.02)
        process.wait()
        _until_nobody_works(recipe)
    assert killed, "the kills came too late to prove anything"
    subprocess.run(command, check=True, capture_output=True)
    loaded = load_recipe(recipe)
    for mine, theirs in zip(cells(chosen(loaded, ["distill", "selective"], 2)), whole, strict=True):
        outcome = read(mine)
        assert outcome is not None and torch.equal(outcome.right, theirs.right)
    assert (tmp_path / "b" / "run" / "comparison.html").is_file()


def _until_nobody_works(recipe: Path) -> None:
    """Workers notice within a second that their parent is gone."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if subprocess.run(["pgrep", "-f", "multiprocessing.spawn"], capture_output=True, text=True).stdout == "":
            return
        time.sleep(0.2)


def test_paid_answers_are_bought_once_for_all(tmp_path: Path) -> None:
    with loopback() as address:
        teacher = {
            "kind": "endpoint", "name": "llm", "base_url": f"{address}/fine/v1", "model": "m", "prompt": "{text}",
            "price": {"per_call": 0.01}, "labels": {"alpha": "sport", "beta": "money", "gamma": "weather"},
        }  # fmt: skip
        recipe = worlds.recipe(tmp_path, train=FAST, teachers=[teacher], labels=["money", "sport", "weather"])
        _, found, failed, _ = carried(recipe, ["distill", "selective"], 2)
        asked = sum(served(address)["served"].values())
    assert not failed, failed
    assert asked == 150, "one question an item of the pool"
    assert {one.calls for one in found} == {150} and {round(one.money or 0, 6) for one in found} == {1.5}
    whole = paid(tmp_path / "run")
    assert whole is not None and (whole["calls"], round(whole["money"], 6)) == (150, 1.5), "once, and not four times"
    assert {(one.prompt_tokens, one.completion_tokens) for one in found} == {
        (whole["prompt_tokens"], whole["completion_tokens"])
    }
    _, again, _, _ = carried(recipe, ["distill", "selective"], 2)  # the server is gone, and nobody misses it
    assert all(torch.equal(one.right, other.right) for one, other in zip(found, again, strict=True))


@pytest.mark.slow
def test_a_method_that_chooses_buys_no_more_and_its_cells_lend_each_other(tmp_path: Path) -> None:
    options = {"budget": 20, "stop": "never"}
    with loopback() as address:
        teacher = {
            "kind": "endpoint", "name": "llm", "base_url": f"{address}/fine/v1", "model": "m", "prompt": "T: {text}",
            "price": {"per_call": 0.01}, "labels": {"alpha": "sport", "beta": "money", "gamma": "weather"},
        }  # fmt: skip
        says = {"alpha": "True", "beta": "False", "gamma": "True"}
        judge = {**teacher, "name": "judge", "prompt": "{text}", "labels": says, "knows": ["True", "False"]}
        contenders = [
            {"name": "ta-in-the-loop", "called": called, "options": {**options, "select": select, "budget": budget}}
            for called, select, budget in (("need", "need", 20), ("random", "random", 20), ("one stage", "random", 10))
        ]
        given = {"train": FAST, "teachers": [teacher], "assistant": judge, "labels": ["money", "sport", "weather"]}
        recipe = worlds.recipe(tmp_path, **given, compare={"methods": contenders})
        every, _, failed, _ = carried(recipe, [], 1)
        said = served(address)["served"]
        assert not failed, failed
        assert set(said.values()) == {1}, "nothing is paid for twice"
        whole = paid(tmp_path / "run")
        assert whole is not None and whole["calls"] == len(said), "what was lent is counted where it was paid"
        of_teacher = [one for one in said if one.startswith("T: ")]
        assert 20 <= len(of_teacher) <= 40, "far from the pool's 150"
        spent = {cell.method: read_json(cell.folder / "metrics.json")["spending"]["teachers"]["llm"] for cell in every}
        assert {name: one["calls"] for name, one in spent.items()} == {"need": 20, "random": 20, "one stage": 10}
        _, more, failed, _ = carried(recipe, ["ta-in-the-loop", "distill"], 1)
        assert not failed and {one.method: one.calls for one in more}["distill"] == 150, "which has no use for the judge"
