from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest
import torch

from benchmarks import _reasoning as reasoning
from benchmarks import _reasoning_world
from benchmarks import ta_in_the_loop as benchmark
from benchmarks._reasoning_world import Taught, Upbringing, world
from benchmarks._ta_figures import figures
from benchmarks.ta_in_the_loop import OTHERS, OURS, Cell, best
from distrust.answers import Answers
from distrust.methods.ta_in_the_loop import TaInTheLoop
from distrust.recipe import Answer

NAMES = ["Ada", "Bo", "Cy", "Di", "Ed"]
SHORT = Answer(kind="short", after="answer is")
MADE = {
    "coin": (lambda draw: reasoning._coin(draw, NAMES), Answer(kind="yes_no", after="answer is")),
    "letters": (lambda draw: reasoning.letters_of([draw.choice(NAMES), draw.choice(NAMES)]), SHORT),
    "arithmetic": (reasoning._arithmetic, Answer(kind="number", after="answer is")),
    "shuffled": (reasoning._shuffled, SHORT),
}


def worked_out(family: str, text: str) -> str:
    """The answer, by another way than the one by which the question was made."""
    if family == "coin":
        return "no" if text.count("flips") % 2 else "yes"
    if family == "letters":
        return "".join(word[-1] for word in re.findall(r'"(.*)"', text)[0].split()).casefold()
    if family == "arithmetic":
        steps = re.findall(r"(with|Add|Subtract) (\d)", text)
        return str(sum(-int(by) if what == "Subtract" else int(by) for what, by in steps))
    has = dict(re.findall(r"(\w+) has the (\w+) ball", text))
    for one, other in re.findall(r"(\w+) and (\w+) swap", text):
        has[one], has[other] = has[other], has[one]
    return has[re.findall(r"does (\w+) have", text)[0]]


@pytest.mark.parametrize("name", sorted(MADE))
def test_made_questions_are_worked_out_right(name: str) -> None:
    make, how = MADE[name]
    family, answers = reasoning.Family(name, make, how, 40), Answers(how)
    made = family.questions(20, 0)
    assert made == family.questions(20, 0) and len({one.text for one in made}) == 20
    assert not {one.text for one in made} & {one.text for one in family.questions(3, 1, frozenset(o.text for o in made))}
    for one in made:
        assert answers.read(one.chain) == answers.reference(one.answer) == worked_out(name, one.text)


def test_arithmetic_stays_among_the_digits() -> None:
    draw = random.Random(0)
    values = [int(value) for _ in range(200) for value in re.findall(r": (-?\d+)", reasoning._arithmetic(draw).chain)]
    assert min(values) == 0 and max(values) == reasoning.HIGHEST


def test_every_method_of_the_benchmark_has_legal_options() -> None:
    for method in (*OURS, *OTHERS, "whole"):
        options = TaInTheLoop.model_validate(Cell("coin", 1.0 if method == "whole" else 0.4, method, 0).options)
        assert options.gold_weight == 0 and options.stop == "never", "no cell has gold"


def test_a_world_is_made_once_and_its_models_grow_until_it_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"KEPT": tmp_path, "POOL": 12, "TEST": 6, "TRIED": 4, "SAMPLES": 2, "HALVINGS": 1, "STUDENT": (16, 2)}
    for name, value in small.items():
        monkeypatch.setattr(_reasoning_world, name, value)
    family = reasoning.Family("arithmetic", *MADE["arithmetic"], 12)
    how = Upbringing(20, 1, Taught(16, 2, 8, 1, 0.0), Taught(24, 2, 8, 1, 1.0), parts=2)
    found = world(family, how)
    assert len(found.pool) == 12 and len(found.test) == 6 and not set(found.pool.inputs) & set(found.test.inputs)
    assert all(len(one) == 2 for one in found.pool.columns["assistant"]) and isinstance(
        found.pool.columns["teacher"][0], str
    )
    said = capsys.readouterr().out
    assert said.count("the assistant is right") == 1, "that is as often as was wanted"
    assert said.count("the teacher is right") == 2 and said.count("a reader of 24 by 2") == 2, "never enough: both parts"
    assert world(family, how).pool.columns == found.pool.columns and not capsys.readouterr().out
    assert found.right("assistant") <= 1


def test_a_changed_program_keeps_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _reasoning_world.program.__wrapped__()
    assert before == _reasoning_world.program.__wrapped__()
    for name, text in {"src/distrust/train.py": "a = 1", "src/distrust/answers.py": "b = 2  # why"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(_reasoning_world.distrust, "__file__", str(tmp_path / "src" / "distrust" / "__init__.py"))
    modules = ("train.py", "answers.py")
    first = _reasoning_world.program.__wrapped__(modules)
    (tmp_path / "src/distrust/answers.py").write_text("b = 2  # another reason")
    assert _reasoning_world.program.__wrapped__(modules) == first, "comments change nothing"
    (tmp_path / "src/distrust/answers.py").write_text("b = 3")
    assert _reasoning_world.program.__wrapped__(modules) != first


def test_all_cells_are_few_enough() -> None:
    names = ["coin", "letters", "arithmetic", "shuffled"]
    cells = [*benchmark._screening(names), *benchmark._reported(names, "grown")]
    assert len(cells) == len(set(cells)) == 452
    for method, budgets in {"random": 4, "grown": 4, "oracle": 2, "entropy": 2, "whole": 1}.items():
        for name in names:
            of = [one for one in cells if (one.family, one.method) == (name, method) and one.seed < 100]
            assert len(of) == 5 * budgets and len({one.seed for one in of}) == 5


def test_work_is_split_by_who_is_there_first(tmp_path: Path) -> None:
    here = tmp_path / "cell"
    with benchmark.alone(here, wait=False) as mine, benchmark.alone(here, wait=False) as theirs:
        assert mine and not theirs
    with benchmark.alone(tmp_path / "cell", wait=True) as later:
        assert later


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("DISTRUST_DATA"), reason="needs DISTRUST_DATA")
def test_the_quick_one_runs_and_what_is_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "STEPS", {**benchmark.STEPS, "arithmetic": 60})
    for module in (benchmark, _reasoning_world):
        monkeypatch.setattr(module, "KEPT", tmp_path / "runs" / "benchmarks" / "reasoning")
    found = benchmark.run(quick=True)
    assert found.figures["arithmetic.teacher"] == pytest.approx(0.67, abs=0.05)
    assert {"arithmetic.0.2.r1.gain", "arithmetic.0.2.oracle.gain", "worst_family_gain"} <= found.figures.keys()
    assert found.settings["cells_measured"] == 3 and found.settings["rows_not_measured_yet"] == ""
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    assert benchmark.run(quick=True).figures == found.figures
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == times


def outcome(*right: int) -> dict[str, object]:
    return {"right": list(right), "seconds": 1.0}


def test_options_are_chosen_on_screening_seeds_alone() -> None:
    known = {
        Cell("coin", 0.4, "random", 100): outcome(1, 0, 0, 0),
        Cell("coin", 0.4, "r1", 100): outcome(1, 1, 0, 0),
        Cell("coin", 0.4, "r2", 100): outcome(1, 1, 1, 0),
        Cell("coin", 0.4, "random", 0): outcome(0, 0, 0, 0),
        Cell("coin", 0.4, "r1", 0): outcome(1, 1, 1, 1),
    }
    assert best(known) == "r2"
    known[Cell("letters", 0.4, "random", 100)] = outcome(0, 0)
    known[Cell("letters", 0.4, "r1", 100)] = outcome(0, 0)
    assert best(known) == "r1", "what was screened on fewer cells is not compared"
    assert best({}) == "r1"


def test_options_that_lose_a_family_are_chosen_only_where_all_do() -> None:
    known = {}
    for family, r1, r2 in (("coin", 10, 16), ("letters", 10, 0)):  # of 20 right; the reference has 8
        for seed in (100, 101):
            for method, right in (("random", 8), ("r1", r1), ("r2", r2)):
                known[Cell(family, 0.4, method, seed)] = outcome(*([1] * right + [0] * (20 - right)))
    assert best(known) == "r1"
    alone = {cell: one for cell, one in known.items() if cell.method != "r1"}
    assert best(alone) == "r2"


def test_figures_are_gains_over_the_reference_of_the_same_seeds() -> None:
    right = {
        ("coin", 0.4, "random", 0): [1, 0, 0, 0],
        ("coin", 0.4, "random", 1): [1, 1, 0, 0],
        ("coin", 0.4, "r1", 0): [1, 1, 0, 0],
        ("coin", 0.4, "r1", 1): [1, 1, 1, 0],
        ("letters", 0.4, "random", 0): [0, 0, 0, 0],
        ("letters", 0.4, "r1", 0): [1, 0, 0, 0],
        ("coin", 0.4, "r1", 100): [1, 1, 1, 1],
    }
    of = figures(right, "r1", (100, 101))
    assert of["coin.0.4.r1"] == pytest.approx(5 / 8) and of["coin.0.4.r1.gain"] == pytest.approx(0.25)
    assert of["coin.0.4.r1.relative_gain"] == pytest.approx(0.25 / (3 / 8)) == of["relative_gain.coin"]
    assert of["relative_gain.best_budget"] == pytest.approx(0.25 / (3 / 8)), "letters' reference is below a tenth"
    assert of["gain.best_budget"] == pytest.approx(0.25) == of["gain.budget_1"]
    assert "letters.0.4.r1.relative_gain" not in of and of["letters.0.4.r1.gain"] == 0.25
    assert of["worst_family_gain"] == pytest.approx(25) and of["screening.coin.0.4.r1"] == 1.0
    assert "screening.coin.0.4.r1.gain" not in of, "there is no reference of that seed"


def test_means_of_families_have_intervals_over_seeds_and_items() -> None:
    draw = torch.Generator().manual_seed(0)
    right = {}
    for family in ("coin", "letters"):
        for seed in range(5):
            for method, share in (("random", 0.5), ("r1", 0.7)):
                right[family, 0.4, method, seed] = (torch.rand(200, generator=draw) < share).int().tolist()
    of = figures(right, "r1", (100, 101))
    alone = of["coin.0.4.r1.gain.high"] - of["coin.0.4.r1.gain.low"]
    assert of["gain.budget_1.low"] < of["gain.budget_1"] < of["gain.budget_1.high"]
    assert of["gain.budget_1"] == pytest.approx((of["coin.0.4.r1.gain"] + of["letters.0.4.r1.gain"]) / 2)
    assert of["gain.budget_1.high"] - of["gain.budget_1.low"] == pytest.approx(alone / 2**0.5, rel=0.25)
    assert of["relative_gain.budget_1.low"] < of["relative_gain.budget_1"] < of["relative_gain.budget_1.high"]
    assert of["cells_above_random"] == 2 and "cells_below_random" not in of
