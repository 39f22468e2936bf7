"""The benchmark okd: what its page says of figures, which students there are, and puzzles whose right answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import okd
from benchmarks._okd_page import lines, sign
from benchmarks._okd_student import METHODS, Task
from benchmarks._puzzles import CHOSEN, KINDS, TASKS, items, judged, model

ONE = okd.WHOLE[0]


def _figures(cell: str, values: dict[str, tuple[float, float]], seeds: int = 3) -> dict[str, float]:
    """KL (least, most) by method; everything else alike."""
    of: dict[str, float] = {}
    for name, (low, high) in values.items():
        of |= {f"{cell}.{name}.kl": (low + high) / 2, f"{cell}.{name}.kl.low": low, f"{cell}.{name}.kl.high": high}
        for other in ("kl_own", "rouge_l", "seconds"):
            of |= {f"{cell}.{name}.{other}{end}": 1.0 for end in ("", ".low", ".high")}
        of[f"{cell}.{name}.seeds"] = seeds
    return of


def _how(cells: list[str]) -> dict[str, object]:
    return {"cells": cells, "measured": "9 of 99", "hours_of_one_core_so_far": 1.0, **dict.fromkeys(METHODS, "")}


def test_the_page_says_where_a_control_ties_okd_and_where_okd_loses() -> None:
    of = _figures("stories.32", {"okd": (1.0, 1.2), "forward": (1.3, 1.4), "reverse": (1.5, 1.6), "gkd": (1.5, 1.6)})
    of |= _figures("stories.32", {"forward_longer": (1.1, 1.3), "tuned_first": (0.8, 0.9)})
    assert [sign(of, "stories.32", "okd", one, "kl") for one in ("forward", "forward_longer", "tuned_first")] == list("+=-")
    assert sign(of, "stories.32", "okd", "forward", "rouge_l") == "=" and not sign(of, "stories.32", "okd", "taid", "kl")
    said = "\n".join(lines(of, _how(["stories.32", "stories.48"])))
    assert "1 of 1 widths" in said and "loses to `tuned_first` (stories.32)" in said
    assert "`forward_longer` (the plain forward divergence at equal cost) ties `okd` in stories.32" in said
    assert "`tuned_first` (terms that learn the texts first and then stand still) is ahead in stories.32" in said
    assert "stories.48" not in said and "drift" not in said, "nothing is said of what is not measured"
    of |= {f"stories.32.okd.drift{end}": 0.25 for end in ("", ".low", ".high")}
    assert "| `okd` | 0.11 | 0.25 |" in lines(of, _how(["stories.32"]))


def test_the_page_says_that_one_seed_decides_nothing() -> None:
    of = _figures("many.32", {"okd": (1.0, 1.0), "forward": (1.3, 1.3)}, seeds=1)
    said = "\n".join(lines(of, _how(["many.32"])))
    assert "1 seed so far, in which a sign decides nothing" in said and "widths" not in said


def test_a_student_is_planned_once_its_rate_is_known() -> None:
    search = okd.searches()
    assert not okd.planned({})
    found = {task: {"kl": 1.0, "kl_own": task.rate} for task in search if task.cell == ONE and task.method == "forward"}
    plan = okd.planned(found)
    assert {task.method for task in plan} == {"forward", "forward_longer"}, "which goes by the same rate"
    assert {task.rate for task in plan} == {min(okd.RATES)} and {task.seed for task in plan} == set(okd.SEEDS)
    assert [task.seed for task in plan] == sorted(task.seed for task in plan), "seed by seed"
    whole = okd.planned({task: {"kl": 1.0, "kl_own": task.rate} for task in search})
    assert len(whole) == len(set(whole)) == 3 * (len(okd.WHOLE) * len(METHODS) + len(okd.OTHERS) * len(okd.FEWER))


def test_a_student_is_measured_once_and_left_to_whoever_is_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(okd.tempfile, "gettempdir", lambda: str(tmp_path))
    made: list[str] = []
    monkeypatch.setattr(okd, "figures", lambda task: made.append(task.name) or {"kl": 1.0})
    first, other = (Task(ONE, name, 0, 3e-3, 4) for name in ("forward", "okd"))
    held = okd.lock(tmp_path / f"distrust-okd-{okd.program()}" / other.name)
    assert okd._kept(first, False, True) == okd._kept(first, False, True) == {"kl": 1.0}
    assert okd._kept(other, False, True) is None and okd._kept(other, True, False) is None and made == [first.name]
    okd.os.close(held)
    assert okd._kept(other, True, True) == {"kl": 1.0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_puzzles_completion_is_right(kind: str) -> None:
    for prompt, said in zip((made := items(kind, 60, "p")).inputs, made.columns["completion"], strict=True):
        what, *symbols = str(prompt).split()
        right = {"copy": symbols, "reverse": symbols[::-1], "sort": sorted(symbols)}
        assert said.split() == right[what] if what in TASKS else sorted(said.split()) == sorted(symbols)
    assert made.inputs == items(kind, 60, "p").inputs != items(kind, 60, "t").inputs


def test_mass_and_cover_are_those_of_a_uniform_model() -> None:
    one, test = model(16, 1, seed=0), items("many", 3, "t")
    with torch.no_grad():
        one.module.get_output_embeddings().weight.zero_()  # type: ignore[operator]
    found, size = judged("many", one, test), len(one.reader.tokenizer)
    assert found["covered"] == pytest.approx(1.0)
    assert found["right"] == pytest.approx(24 * size ** -(CHOSEN + 1.0), rel=1e-4)
