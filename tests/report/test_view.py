"""What is laid out from figures: who stands where, how large a table is shown, and which curves there are."""

from dataclasses import replace

import pytest

from distrust.report.view import MOST_CURVES, TOP_CLASSES, WHOLE_TABLE, _table, curves, figures, flat


def interval(value, half=0.02):
    return {"value": value, "low": value - half, "high": value + half}


def found(test, teachers, vote=None):
    return {"test": test, "teachers": teachers, "vote": vote, "items": {"test": 1200}}


def test_dots_stand_on_one_scale_best_first_within_their_kind():
    teachers = {
        "poor": {"accuracy": interval(0.5), "judged": 40},
        "good": {"accuracy": interval(0.9), "judged": 1000},
        "mute": {"accuracy": None, "judged": 0},
    }
    test = {"student": {"accuracy": interval(0.7)}, "gold_only": {"accuracy": interval(0.8)}}
    shown = figures(found(test, teachers, {"accuracy": interval(0.6), "judged": 40}))
    assert [row["name"] for row in shown["rows"]] == ["student", "gold-only", "good", "majority vote", "poor"]
    assert [row["first"] for row in shown["rows"]] == [False, False, True, False, False]
    assert [row["on"] for row in shown["rows"]][1:3] == ["1,200 test items", "1,000 gold items"]
    student = shown["rows"][0]  # the scale begins at the round tenth below the lowest end, 0.4
    assert (student["at"], student["from"]) == (50.0, pytest.approx(46.67)) and student["wide"] == pytest.approx(
        6.66, abs=0.02
    )
    assert shown["ticks"][0] == {"at": 0.0, "text": "40"} and shown["ticks"][-1] == {"at": 100.0, "text": "100"}
    assert figures(found(None, {"mute": teachers["mute"]})) == {"rows": [], "ticks": []}


def test_teachers_asked_about_the_test_items_are_shown_there():
    pool = {"a": {"accuracy": interval(0.9), "judged": 40}}
    test = {"student": {"accuracy": interval(0.7)}, "teachers": {"a": {"accuracy": interval(0.6), "judged": 1200}}}
    (_, teacher) = figures(found(test, pool))["rows"]
    assert (teacher["value"], teacher["on"]) == (0.6, "1,200 test items")


def test_a_large_table_shows_the_classes_with_most_mistakes():
    classes = [f"c{n}" for n in range(WHOLE_TABLE + 5)]
    cells = [{"gold": name, "claimed": name, "items": 9, "share": 1.0} for name in classes]
    wrong = {"gold": "c24", "claimed": "c3", "items": 2, "share": 0.2}
    shown = _table([*cells, wrong], classes)
    assert len(shown["classes"]) == TOP_CLASSES == len(shown["rows"]) and shown["of"] == 25
    assert {"c3", "c24"} <= set(shown["classes"]) and shown["classes"] == sorted(shown["classes"], key=classes.index)
    row = shown["rows"][shown["classes"].index("c24")]
    assert row["cells"][shown["classes"].index("c3")] is wrong and row["cells"][0] is None
    assert _table(cells[:WHOLE_TABLE], classes[:WHOLE_TABLE])["classes"] == classes[:WHOLE_TABLE]


def test_each_quantity_has_a_chart_and_what_is_not_finite_is_no_point(messages_facts):
    rows = [
        {"fit": "student", "step": n, "epoch": n / 2, "loss": 1 / (n + 1), "once": 1.0 if n == 0 else None} for n in range(4)
    ]
    rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
    rows[2]["loss"] = float("nan")
    rows += [{"fit": f"other {n}", "step": step, "loss": 1.0} for n in range(MOST_CURVES) for step in range(2)]
    (loss,) = curves(replace(messages_facts, history=rows))
    assert loss["name"] == "loss" and len(loss["fits"]) == MOST_CURVES and loss["fits"][0] == "student"
    assert loss["chart"].split('class="line-0" points="')[1].split('"')[0].count(",") == 3
    assert ">step</text>" in loss["chart"]


def test_settings_are_flattened_by_dots():
    assert dict(flat({"a": {"b": {"c": 1}}, "d": [1, {"e": 2}], "f": {}})) == {"a.b.c": 1, "d": [1, {"e": 2}]}
