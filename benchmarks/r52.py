"""Reuters R52 with a real LLM's labels, 60 % right and systematically wrong, and 50 gold labels: is the student above both?

Runs `r52.yaml` for six seeds, each with its own 50 gold, beside the references: the teacher, gold alone, the teacher's
labels alone, and both without an error model. The test items are answered once, by the finished students.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.harness import Result, needs_data
from distrust.build import opened
from distrust.evaluate import final_claims, paired_difference, wilson
from distrust.evidence import stack
from distrust.files import read_json
from distrust.methods import find
from distrust.recipe_file import load_recipe

RECIPE = Path(__file__).with_name("r52.yaml")
ROWS = {  # figure: method and options
    "gold_only": ("gold-only", {}),
    "labels_only": ("distill", {"gold_weight": 0.0}),
    "both_plain": ("distill", {"gold_weight": 1.0}),
    "both_soft": ("distill", {"trust": "confusions"}),
    "student": ("distill", {"trust": "confusions", "targets": "hard"}),
}


def run(quick: bool) -> Result:
    """Six seeds, since the draw of 50 gold decides much; `quick` one. 95 % intervals over seeds and items together."""
    needs_data("r52")
    torch.set_num_threads(1)
    seeds = [0] if quick else [0, 1, 2, 3, 4, 5]
    right: dict[str, list[np.ndarray]] = {name: [] for name in ROWS}
    seconds: list[float] = []
    teacher: tuple[int, int] = (0, 0)
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            teacher = _seed(seed, folder, right)
            done = [read_json(stage) for stage in Path(folder).glob("stages/fit-student-*/done.json")]
            seconds += [one["seconds"] for one in done]
    figures: dict[str, float | bool] = {"teacher": teacher[0] / teacher[1]}
    bounds = wilson(*teacher)
    assert bounds is not None
    figures |= {"teacher.low": bounds.low, "teacher.high": bounds.high}
    table = {name: np.stack(rows) for name, rows in right.items()}  # (seeds, items) each
    for name, rows in table.items():
        figures[name] = float(rows.mean())
        figures[f"{name}.low"], figures[f"{name}.high"] = _interval(rows)
        figures[f"{name}.worst_seed"] = float(rows.mean(1).min())
    for other in ("gold_only", "labels_only", "both_plain"):
        difference = table["student"].astype(float) - table[other]
        figures[f"student_minus_{other}"] = float(difference.mean())
        figures[f"student_minus_{other}.low"], figures[f"student_minus_{other}.high"] = _interval(difference)
    figures["fit_seconds"] = median(seconds)  # of one distill: tokenise 5,007 texts, ten epochs
    settings = {
        "recipe": RECIPE.name,
        "gold": 50,
        "test_items": table["student"].shape[1],
        "threads": torch.get_num_threads(),
    }
    return Result(figures, settings | {name: f"{method} {options}" for name, (method, options) in ROWS.items()}, seeds)


def _seed(seed: int, folder: str, right: dict[str, list[np.ndarray]]) -> tuple[int, int]:
    """One seed's students on the test items; returns (right, answered) of the teacher on the pool, by all its gold."""
    recipe = load_recipe(RECIPE, [f"seed={seed}", f"output_dir={folder}"])
    with opened(recipe) as (work, task):
        students = {}
        for name, (method, options) in ROWS.items():
            chosen, checked = find(method, options)
            students[name] = chosen.run(work, checked)
        assert task.test is not None
        items, labels = task.test
        for name, student in students.items():
            right[name].append((work.ask(student, items).claims[0] == labels).numpy())
        claims = final_claims(stack(work.evidence(), task.space, task.pool.ids))[0]
        gold = torch.tensor([task.space.find(label) for label in task.pool.columns["label"]])
        return int((claims == gold).sum()), len(gold)


def _interval(rows: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of (seeds, items), seeds and items drawn anew together."""
    found = paired_difference(torch.from_numpy(rows).double(), torch.zeros(rows.shape, dtype=torch.float64))
    return found.low, found.high
