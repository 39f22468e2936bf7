"""Accuracy against answers and money: what a point cost, where anything was gained and every price is known."""

import pytest
import torch

from distrust.report.buying import buying, charts
from distrust.report.facts import Buying, Facts


def facts(items, money, right):
    count = 40
    found = torch.zeros(len(items), count, dtype=torch.bool)
    for row, one in enumerate(right):
        found[row, :one] = True
    empty = Facts.__new__(Facts)  # figures of buying look at nothing else
    object.__setattr__(empty, "buying", Buying(items, money, found, [3 * one for one in items]))
    return empty


def test_points_and_steps_by_hand():
    found = buying(facts([0, 100, 300], [0.0, 1.0, 5.0], [10, 30, 31]))
    assert [one["accuracy"].value for one in found["points"]] == [0.25, 0.75, 0.775]
    first, second = found["steps"]
    assert (first["from"], first["to"], first["money"]) == (0, 100, 1.0)
    assert first["gained"].value == pytest.approx(0.5)
    assert first["items_per_point"] == pytest.approx(2.0) and first["money_per_point"] == pytest.approx(0.02)
    assert second["gained"].value == pytest.approx(0.025), "one item of forty is no gain that anybody knows of"
    assert second["items_per_point"] is None and second["money_per_point"] is None and second["money"] == 4.0


def test_an_unknown_price_leaves_items_alone():
    found = buying(facts([0, 100], [0.0, None], [10, 30]))
    assert found["steps"][0]["money"] is None is found["steps"][0]["money_per_point"]
    assert found["steps"][0]["items_per_point"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("items", "money", "names"),
    [
        ([0, 9], [0.0, 1.0], ["items", "calls", "money"]),
        ([0, 9], [0.0, 0.0], ["items", "calls"]),
        ([0, 9], [None, 1.0], ["items", "calls"]),
        ([9, 9], [1.0, 1.0], []),
    ],
)
def test_there_is_a_chart_where_there_is_something_to_see(items, money, names):
    points = [
        {"items": count, "calls": 2 * count, "money": spent, "accuracy": {"value": 0.5 + count / 100}}
        for count, spent in zip(items, money, strict=True)
    ]
    assert [one["name"] for one in charts({"buying": {"points": points, "steps": []}})] == names
    assert charts({"buying": None}) == []


def test_facts_of_an_older_version_have_no_calls():
    known = facts([0, 100], [0.0, 2.0], [10, 30])
    object.__setattr__(known.buying, "calls", ())
    found = buying(known)["points"]
    assert [one["calls"] for one in found] == [None, None]
    points = [{**one, "accuracy": {"value": 0.5}} for one in found]
    assert [one["name"] for one in charts({"buying": {"points": points}})] == ["items", "money"]
