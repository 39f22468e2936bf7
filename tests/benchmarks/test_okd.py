"""The benchmark okd: what its page says of figures, which students there are, and puzzles whose right answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import okd
from benchmarks._okd_page import lines, sign
from benchmarks._okd_student import METHODS, Task
from benchmarks._puzzles import CHOSEN, KINDS, TASKS, items, judged, model
from distrust.files import read_json, write_json

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
    assert "Of many.32 there are fewer than three seeds, in which a sign decides nothing" in said and "widths" not in said


def _told(task: Task, okd_costs: float) -> dict[str, float]:
    """What a student might have come to; the smaller a rate the better, and okd as dear as is said."""
    epoch = okd_costs if task.method == "okd" else 1.0
    return {"kl": 1.0, "kl_own": task.rate, "seconds": task.epochs * epoch}


def test_a_student_is_planned_once_its_rate_is_known_and_the_longer_once_okds_cost_is() -> None:
    search = okd.searches()
    assert not okd.planned({})
    found = {task: _told(task, 2.4) for task in search if task.cell == ONE and task.method == "forward"}
    plan = okd.planned(found)
    assert {task.method for task in plan} == {"forward"}, "nobody knows what okd costs"
    assert {task.rate for task in plan} == {min(okd.RATES)} and {task.seed for task in plan} == set(okd.SEEDS)
    assert [task.seed for task in plan] == sorted(task.seed for task in plan), "seed by seed"
    assert {task.seed for task in plan if task.cell in okd.ONCE} == {okd.SEEDS[0]}
    found = {task: _told(task, 2.4) for task in search}
    plan, timed = okd.planned(found), {task.cell for task in search}
    longer = {task.cell: task.epochs for task in plan if task.method == okd.LONGER}
    assert longer == {cell: 29 if cell.texts in KINDS else 10 for cell in timed}, "12 and 4 epochs times 2.4"
    found |= {task: _told(task, 1.5) for task in plan if task.seed == okd.SEEDS[0]}
    whole = okd.planned(found)
    longer = {task.cell: task.epochs for task in whole if task.method == okd.LONGER}
    assert {longer[cell] for cell in longer.keys() - timed} == {6}, "as the first seed's students took, where none searched"
    assert all(longer[cell] in (10, 29) for cell in timed), "a search's time stands"
    students = 3 * (len(okd.WHOLE) * len(METHODS) + len(okd.OTHERS) * len(okd.FEWER)) + len(okd.ONCE) * len(okd.FEWEST)
    assert len(whole) == len(set(whole)) == students


def _walked(seconds: float, kl: list[float], held_out: float) -> dict[str, float]:
    """A student's figures: an epoch of so many seconds after another, validated at each."""
    steps = {f"path.{epoch}.seconds": epoch * seconds for epoch in range(len(kl))}
    steps |= {f"path.{epoch}.kl": value for epoch, value in enumerate(kl)}
    return {**steps, "kl": held_out, "kl_own": 1.0, "rouge_l": 0.3, "seconds": seconds * (len(kl) - 1), "whole_seconds": 9.0}


def test_time_to_quality_and_the_goals_figures_by_their_fixed_names() -> None:
    found = {
        Task(ONE, "forward", 0, 3e-3, 2): _walked(2, [4.0, 2.0, 1.0], 1.1),
        Task(ONE, "okd", 0, 6e-3, 2): _walked(5, [4.0, 1.5, 0.5], 0.9),
        Task(ONE, "gkd", 0, 6e-3, 2): _walked(20, [4.0, 2.0, 1.5], 1.2),
        Task(ONE, "okd.last", 0, 6e-3, 2): _walked(3, [4.0, 2.0, 1.5], 1.3),
        Task(ONE, "forward_longer", 0, 3e-3, 3): _walked(2, [4.0, 2.0, 1.0, 0.9], 0.95),
        Task(ONE, "okd", okd.SEARCH_SEED, 6e-3, 2, search=True): _walked(5, [4.0, 0.1, 0.1], 0.1),
    }
    tasks = [task for task in found if not task.search]
    of = okd.result(found, tasks).figures
    at = ONE.name
    assert of[f"{at}.forward.seconds_to_forward"] == 4 and of[f"{at}.forward_longer.seconds_to_forward"] == 4
    assert of[f"{at}.okd.seconds_to_forward"] == 7.5, "half of its second epoch"
    assert f"{at}.gkd.seconds_to_forward" not in of and of[f"{at}.gkd.seeds_that_reach_forward"] == 0
    assert not [name for name in of if "path." in name]
    assert of["gaps_won_over_gkd"] == of["gaps"] == 1 and of["gaps_won_over_gkd.kl_own"] == 0
    assert "gaps_won_over_reverse_kl" not in of and of["time_over_gkd"] == 10 / 40
    assert of["gain_over_forward_kl.equal_cost"] == pytest.approx(0.05)
    assert of["okd.last.gaps_won_over_gkd"] == 0 and of["okd.last.time_over_gkd"] == 6 / 40
    assert of["okd.last.gain_over_forward_kl.equal_steps"] == pytest.approx(-0.2)
    assert of["okd.last.time_over_forward"] == 6 / 4


def test_the_page_says_which_goals_are_missed() -> None:
    of = _figures("stories.32", {"okd": (1.0, 1.2), "forward": (1.3, 1.4)})
    assert "Goals: not measured yet." in lines(of, _how(["stories.32"]))
    of |= {"gaps_won_over_gkd.rouge_l": 0, "gaps_won_over_reverse_kl.rouge_l": 1}
    of |= {"gaps": 3, "gaps_won_over_gkd": 2, "gaps_won_over_reverse_kl": 1, "time_over_gkd": 0.75}
    of |= {f"gain_over_forward_kl.equal_cost{end}": value for end, value in (("", 0.1), (".low", -0.1), (".high", 0.2))}
    (said,) = [line for line in lines(of, _how(["stories.32"])) if line.startswith("Goals")]
    assert said.split("**")[1::2] == ["met", "missed", "missed", "missed"] and "over 3 widths" in said
    assert "(in Rouge-L on 0)" in said and "(in Rouge-L on 1)" in said
    last = {name: value for name, value in of.items() if name.startswith(("gaps_", "time_"))} | {"time_over_gkd": 0.45}
    gain = {f"gain_over_forward_kl.equal_steps{end}": value for end, value in (("", -0.1), (".low", -0.2), (".high", 0.1))}
    of |= {f"okd.last.{name}": value for name, value in (last | gain | {"time_over_forward": 1.02}).items()}
    (said,) = [line for line in lines(of, _how(["stories.32"])) if line.startswith("Of `okd.last`")]
    assert said.split("**")[1::2] == ["met", "missed", "met", "missed"] and "which cost 1.02 times as much here" in said


def test_a_student_is_measured_once_and_left_to_whoever_is_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(okd.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(okd, "STUDENTS", tmp_path / "students.json")
    okd._earlier.cache_clear()
    made: list[str] = []
    monkeypatch.setattr(okd, "figures", lambda task: made.append(task.name) or {"kl": 1.0})
    first, other = (Task(ONE, name, 0, 3e-3, 4) for name in ("forward", "okd"))
    held = okd.lock(tmp_path / f"distrust-okd-{okd.place()}" / other.name)
    assert okd._kept(first, False, True) == okd._kept(first, False, True) == {"kl": 1.0}
    assert okd._kept(other, False, True) is None and okd._kept(other, True, False) is None and made == [first.name]
    okd.os.close(held)
    okd.keep_students()
    assert read_json(okd.STUDENTS) == {"program": okd.place(), "figures": {first.name: {"kl": 1.0}}}
    assert okd._kept(other, True, True) == {"kl": 1.0}


@pytest.mark.parametrize("same", [True, False])
def test_students_of_an_earlier_run_are_read_back_where_program_and_processor_are_the_same(
    same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(okd.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(okd, "STUDENTS", tmp_path / "students.json")
    task = Task(ONE, "forward", 0, 3e-3, 4)
    program = okd.place() if same else "another"
    write_json(okd.STUDENTS, {"program": program, "figures": {task.name: {"kl": 1.0}}})
    okd._earlier.cache_clear()
    try:
        okd.keep_students()
        assert read_json(okd.STUDENTS)["figures"] == {task.name: {"kl": 1.0}}, "no student of this run: the file stands"
        assert okd._kept(task, False, False) == ({"kl": 1.0} if same else None)
    finally:
        okd._earlier.cache_clear()


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
