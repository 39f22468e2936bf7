"""A comparison's page: what it says first, what it draws, and that strangers' words stay inert."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.comparison.figures import Outcome, compared
from distrust.files import read_json
from distrust.report.comparison import render, sentence, write_comparison
from distrust.report.text import plain
from tests.report.worlds import HOSTILE


def outcomes(
    shares: dict[str, float], setting: str = "", seeds: int = 2, learned: dict[str, list[float]] | None = None
) -> list[Outcome]:
    found = []
    for seed in range(seeds):
        draw = torch.rand(300, generator=torch.Generator().manual_seed(seed))
        for place, (method, share) in enumerate(shares.items()):
            price = (0.5, 1.0 + place, 10 * place, float(place))
            found.append(Outcome(method, setting, seed, draw < share, *price, learned=learned or {}))
    return found


def known(found: list[Outcome], settings: dict[str, dict[str, Any]] | None = None, failed: Any = None) -> dict[str, Any]:
    return plain(
        {"distrust": "0", "title": "t", **compared(found, failed or {}, settings or {"": {}}), "recipe": {"seed": 0}}
    )


def test_it_says_who_is_best_or_that_nobody_is() -> None:
    assert sentence(known(outcomes({"a": 0.9, "b": 0.5}))) == "a is best over 2 seeds, beyond what chance explains."
    tied = sentence(known(outcomes({"a": 0.8, "b": 0.8, "c": 0.3}, seeds=1)))
    assert tied == "a and b cannot be told apart over 1 seed."
    assert sentence(known([])) == "No method could be carried out."
    settings = {"gold.size=10": {"gold.size": 10}, "gold.size=20": {"gold.size": 20}}
    several = [one for name in settings for one in outcomes({"a": 0.9, "b": 0.5}, name)]
    assert sentence(known(several, settings)) == "a has the best mean rank, 1.0 of 2, over 4 settings and seeds."


def test_the_page_shows_every_figure(tmp_path: Path) -> None:
    settings = {"gold.size=10": {"gold.size": 10}, "gold.size=20": {"gold.size": 20}}
    several = [one for name in settings for one in outcomes({"first": 0.9, "second": 0.5}, name)]
    found = compared(several, {"third, seed 0": "It needs gold."}, settings)
    page = write_comparison(tmp_path, found, "mine", {"seed": 0}).read_text()
    for text in (
        "first",
        "second",
        "gold.size=20",
        "It needs gold.",
        "Curves",
        "Ranks",
        "Accuracy against money",
        "&lt; .001",
    ):
        assert text in page, text
    saved = read_json(tmp_path / "comparison.json")
    assert saved["settings"][0]["pairs"][0]["p_corrected"] < 0.05 and render(saved) == page


def test_what_was_paid_together_and_by_each_run(tmp_path: Path) -> None:
    found = [
        Outcome(name, "", 0, torch.rand(9) < 0.5, None, 1.0, 12, price, 4321, 55)
        for name, price in (("a", 0.5), ("b", None))
    ]
    whole = {"calls": 15, "prompt_tokens": 5000, "completion_tokens": 60, "money": None}
    page = write_comparison(tmp_path, {**compared(found, {}, {"": {}}), "paid": whole}, "mine", {}).read_text()
    assert "15 calls, 5,000 prompt and 60 completion tokens, money unknown" in page
    assert page.count("4,321") == 2 and page.count("4,376") == 2
    assert read_json(tmp_path / "comparison.json")["paid"] == whole
    free = write_comparison(tmp_path, {**compared(found, {}, {"": {}}), "paid": None}, "mine", {}).read_text()
    assert 'id="paid"' not in free


def test_one_chart_shows_four_methods_and_another_the_rest() -> None:
    settings = {f"gold.size={size}": {"gold.size": size} for size in (10, 20)}
    shares = {f"m{place}": 0.5 + place / 20 for place in range(6)}
    page = render(known([one for name in settings for one in outcomes(shares, name)], settings))
    assert page.count('class="line-3" points') == 1 and page.count('class="line-1" points') == 2


def test_curves_over_a_grid_have_their_intervals() -> None:
    settings = {f"gold.size={size}": {"gold.size": size} for size in (10, 20, 40)}
    found = known([one for name in settings for one in outcomes({"a": 0.9, "b": 0.6}, name)], settings)
    page = render(found)
    bands = [path.split() for path in re.findall(r'<polygon class="band-\d" points="([^"]*)"', page)]
    assert [len(band) for band in bands] == [6, 6], "high ends there, low ends back"
    lines = re.findall(r'<polyline class="line-\d" points="([^"]*)"', page)
    for band, line in zip(bands, lines, strict=True):
        for point, high, low in zip(line.split(), band, reversed(band), strict=False):
            (x, y), (x_high, top), (x_low, bottom) = (tuple(map(float, one.split(","))) for one in (point, high, low))
            assert x == x_high == x_low and top < y < bottom


def test_how_methods_learned_is_drawn_and_validation_goes_first() -> None:
    trained = {"loss": [2.0, 1.0, 0.5]}
    page = render(known(outcomes({"a": 0.9, "b": 0.6}, learned=trained)))
    assert "How each learned: loss over" in page and "its height cannot" in page and page.count("<polygon") == 2
    page = render(known(outcomes({"a": 0.9, "b": 0.6}, learned={**trained, "validation": [1.0, 0.5, 0.75]})))
    assert "loss on the validation items" in page and "its height cannot" not in page
    mixed = outcomes({"a": 0.9}, learned={**trained, "validation": [1.0, 0.5, 0.75]}) + outcomes({"b": 0.6}, learned=trained)
    assert "How each learned: loss over" in render(known(mixed)), "one measure for all"
    assert "How each learned" not in render(known(outcomes({"a": 0.9}, learned={"loss": [1.0]})))


def test_mean_ranks_over_seeds_are_shown() -> None:
    page = render(known(outcomes({"a": 0.9, "b": 0.6, "c": 0.3}, seeds=3)))
    assert "mean rank" in page and page.count('<td class="n">3.00</td>') == 1, "c is the third of every seed, and costs 2"


def test_hostile_names_are_inert() -> None:
    found = known(outcomes({HOSTILE[:300]: 0.9, "b": 0.5}), failed={HOSTILE[:200]: HOSTILE[:500]})
    page = render(found)
    assert "<script>document" not in page and "<img src=x" not in page and "\x1b" not in page and "\u202e" not in page


@pytest.mark.parametrize("count", [1, 12])
def test_many_or_few_methods_are_drawn(count: int) -> None:
    page = render(known(outcomes({f"m{place}": 0.4 + place / 25 for place in range(count)})))
    assert page.count('role="listitem"') == count
