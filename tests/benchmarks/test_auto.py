"""The benchmark auto: figures of made-up worlds, which rows it keeps for the end, and the page written from them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from benchmarks import _noisy_worlds
from benchmarks._auto_worlds import DEVELOPMENT, Row, opened
from benchmarks._which_page import SECTIONS, table
from benchmarks.auto import QUICK, ROWS, result


def world(auto: float, plain: float, best: float, chosen: str) -> dict[str, object]:
    def right(share: float) -> list[bool]:
        return [place < share * 200 for place in range(200)]

    each = {"auto": right(auto), "distill": right(plain), "selective": right(best)}
    return {"right": each, "chosen": chosen, "seconds": 5.0}


def test_rows_below_plain_distillation_are_counted_and_the_best_in_hindsight_is_found() -> None:
    found = {
        "won": [world(0.9, 0.6, 0.9, "selective"), world(0.9, 0.6, 0.95, "selective")],
        "tied": [world(0.6, 0.6, 0.5, "distill")] * 2,
        "lost": [world(0.4, 0.7, 0.4, "selective")] * 2,
    }
    made = result(found, [0, 1], ["lost"])  # type: ignore[arg-type]
    of = made.figures
    assert (of["rows"], of["rows_below_distill"], of["rows_above_distill"], of["rows_leaving_distill"]) == (3, 1, 1, 2)
    assert of["won.auto_minus_distill"] == 0.3 and of["tied.auto_minus_best"] == 0.0
    assert abs(float(of["won.auto_minus_best"]) + 0.025) < 1e-9 and of["won.seconds_over_distill"] == 5.0
    assert made.settings["closing_rows"] == "lost" and made.settings["chosen.tied"].startswith("distill; distill;")
    lines = next(one for one in SECTIONS if one[1] == "auto")[3](of)
    assert "Of 3 worlds, `auto` is below plain distillation beyond noise in 1 and above it in 1" in list(lines)[-1]
    assert "Of the 1 of sets that no choice was made on, `auto` is below" in list(lines)[-1]


def test_the_quick_run_opens_development_sets_alone() -> None:
    assert not any(row.closing for row in QUICK) and any(row.closing for row in ROWS)
    assert {row.set for row in ROWS if not row.closing} == set(DEVELOPMENT)
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_classes_become_words_and_nothing_else_changes(data_folder: Path, tmp_path: Path) -> None:
    here = _noisy_worlds.world("trec", "pairwise", 60, 0)
    given = opened(Row("open", "trec", "pairwise 60 in words", 30), 0, tmp_path)
    with closing(given.run) as run:
        assert run.pool.ids == here.pool.ids and run.answers is not None and len(run.gold) == len(run.gold_items) == 30
        said = run.ask(run.teachers[0], run.pool)
        assert [texts[0] for texts in said.texts or ()] == [here.space.names[one] for one in here.claims.tolist()]
        truth = dict(zip(here.pool.ids, here.truth.tolist(), strict=True))
        gold = [run.answers.reference(text) for text in run.gold_items.columns["reference"]]
        assert [here.space.find(str(one)) for one in gold] == [truth[item] for item in run.gold_items.ids]
        right = given.right(run.new_student(0))
        assert len(right) == len(here.test) and sum(right) < len(right) / 2, "who has learned nothing is not right"


def test_the_best_in_contest_are_bold_and_empty_columns_left_out() -> None:
    rows = {"one": {"a": 0.5, "b": 0.5004, "c": 0.9}, "two": {"a": 0.25}}
    assert table("world", {"a": "A", "b": "B", "c": "C", "d": "D"}, rows, ["a", "b"]) == [
        "| world | A | B | C |",
        "|---|---|---|---|",
        "| one | **50.0** | **50.0** | 90.0 |",
        "| two | **25.0** |  |  |",
    ]
