"""A comparison's figures: pairs by seed and item, corrections, ranks and fronts, against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distrust.comparison.figures import PRICES, Outcome, compared
from distrust.evaluate import holm, paired_difference, paired_test


def outcome(
    method: str, seed: int, right: Tensor, *, setting: str = "", seconds: float = 1.0, money: float | None = 0.0
) -> Outcome:
    return Outcome(method, setting, seed, right, 0.5, seconds, 10, money)


def draws(share: float, seed: int, items: int = 400) -> Tensor:
    return torch.rand(items, generator=torch.Generator().manual_seed(seed)) < share


def three() -> list[Outcome]:
    found = []
    for seed in range(3):
        base = draws(0.7, seed)
        found += [
            outcome("good", seed, base | draws(0.5, 10 + seed), seconds=3.0, money=2.0),
            outcome("same", seed, base | draws(0.5, 20 + seed), seconds=1.0, money=None),
            outcome("weak", seed, base & draws(0.6, 30 + seed), seconds=2.0, money=1.0),
        ]
    return found


def test_the_best_and_the_tied_are_told_from_the_others() -> None:
    found = compared(three(), {}, {"": {}})["settings"][0]
    rows = {row["method"]: row for row in found["rows"]}
    assert [row["method"] for row in found["rows"]][-1] == "weak"
    assert rows["good"]["best_or_tied"] and rows["same"]["best_or_tied"] and not rows["weak"]["best_or_tied"]
    right = torch.stack([one.right for one in three() if one.method == "weak"]).double()
    assert rows["weak"]["accuracy"].value == pytest.approx(float(right.mean()))
    assert rows["weak"]["accuracy_by_seed"] == pytest.approx(right.mean(-1).tolist())
    best = found["rows"][0]["method"]
    gap = torch.stack([one.right for one in three() if one.method == best]).double() - right
    assert rows["weak"]["behind"].value == pytest.approx(float(gap.mean()))
    chances = [pair["p"] for pair in found["pairs"]]
    assert [pair["p_corrected"] for pair in found["pairs"]] == pytest.approx(holm(chances)) and len(chances) == 3


def test_fronts_are_what_nobody_beats_and_an_unknown_price_is_on_none() -> None:
    rows = {row["method"]: row for row in compared(three(), {}, {"": {}})["settings"][0]["rows"]}
    assert rows["same"]["on_front_seconds"] and not rows["weak"]["on_front_seconds"]
    assert not rows["same"]["on_front_money"] and rows["weak"]["on_front_money"] and rows["good"]["on_front_money"]


def test_a_missing_seed_is_left_out_of_its_pairs_and_a_failure_is_said() -> None:
    found = compared(three()[:-1], {"weak, seed 2": "It could not."}, {"": {}})
    rows = {row["method"]: row for row in found["settings"][0]["rows"]}
    assert rows["weak"]["seeds"] == [0, 1] and rows["good"]["seeds"] == [0, 1, 2]
    assert found["failed"] == [{"cell": "weak, seed 2", "why": "It could not."}]
    assert all(row["over"] == 2 for row in found["ranks"]), "ranks only where every method has an outcome"


def test_what_cells_cost_is_said_of_each_and_in_the_mean() -> None:
    right = draws(0.5, 0)
    found = [Outcome("a", "", seed, right, None, 1.0, 10 * seed, 0.5, 100 * seed, seed) for seed in (1, 3)]
    older = Outcome("b", "", 1, right, None, 1.0, 7, None)
    rows = {row["method"]: row for row in compared([*found, older], {}, {"": {}})["settings"][0]["rows"]}
    assert [rows["a"][price] for price in PRICES] == [20, 200, 2, 0.5]
    assert rows["a"]["spent_by_seed"][1] == {"calls": 30, "prompt_tokens": 300, "completion_tokens": 3, "money": 0.5}
    assert [rows["b"][price] for price in PRICES] == [7, None, None, None], "unknown is never 0"


def test_ranks_share_ties() -> None:
    right = draws(0.5, 0)
    ranks = compared([outcome("a", 0, right), outcome("b", 0, right), outcome("c", 0, right & False)], {}, {"": {}})["ranks"]
    assert [(row["method"], row["rank"]) for row in ranks] == [("a", 1.5), ("b", 1.5), ("c", 3.0)]


def test_a_setting_has_its_ranks_and_how_each_method_learned() -> None:
    right = draws(0.5, 0)
    found = [
        Outcome(method, "", seed, right if method == "b" or seed else right & False, None, 1.0, 0, None, learned=learned)
        for method, seed, learned in (
            ("a", 0, {"loss": [4.0, 2.0, 1.0], "validation": [1.0, 1.0]}),
            ("a", 1, {"loss": [2.0, 1.0]}),
            ("b", 0, {}),
            ("b", 1, {"loss": [1.0]}),
        )
    ]
    rows = {row["method"]: row for row in compared(found, {}, {"": {}})["settings"][0]["rows"]}
    assert (rows["a"]["rank"], rows["b"]["rank"]) == (1.75, 1.25), "last and tied; first and tied"
    by_hand = [{"value": 3.0, "low": 2.0, "high": 4.0}, {"value": 1.5, "low": 1.0, "high": 2.0}]
    assert rows["a"]["learned"] == {"loss": by_hand}, "what all seeds have, as far as all came"
    assert rows["b"]["learned"] == {}


def test_nothing_carried_out_is_no_crash() -> None:
    assert compared([], {"a": "No."}, {"x": {}})["settings"][0]["rows"] == []


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_p_value_agrees_with_its_interval_and_is_uniform_without_a_difference() -> None:
    one, other = draws(0.7, 1).double(), draws(0.5, 2).double()
    found, chance = paired_test(one, other, 4000)
    assert found == paired_difference(one, other, 4000) and chance == 2 / 4001 and found.verdict == "above"
    assert paired_test(one, one)[1] == 1.0
    chances = [
        paired_test(draws(0.6, seed, 200).double(), draws(0.6, 999 + seed, 200).double(), 400)[1] for seed in range(200)
    ]
    share = sum(chance < 0.05 for chance in chances) / 200
    assert 0.01 <= share <= 0.1, share
