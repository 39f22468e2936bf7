"""Products go through oneDNN where a recipe asks and they stay exact, and only as long; a real rounding is found out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from distrust import products
from distrust.build import opened
from distrust.errors import RecipeError
from distrust.products import routed
from distrust.recipe_file import load_recipe
from distrust.stages import surroundings
from tests import worlds

SWITCH = torch.backends.mkldnn.matmul


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = SWITCH.fp32_precision
    yield
    assert SWITCH.fp32_precision == before


@pytest.fixture(scope="module")
def rounds() -> bool:
    """Whether this processor rounds: one with units for bf16 may."""
    before, SWITCH.fp32_precision = SWITCH.fp32_precision, "bf16"
    far = products.error()
    SWITCH.fp32_precision = before
    return far > products.EXACT


def test_torchs_own_products_are_exact_and_nobodys_default_is_another() -> None:
    assert products.error() < products.EXACT / 10 and not products.is_on()
    with routed(False):
        assert not products.is_on()


def test_inside_they_are_exact_and_a_stage_knows_or_they_are_refused(rounds: bool) -> None:
    plain = surroundings()
    if rounds:
        with pytest.raises(RecipeError, match="not possible here: this processor rounds them"), routed(True):
            pass
        return
    with routed(True):
        assert products.is_on() and products.error() < products.EXACT
        assert surroundings() == plain | {"onednn": True}
    assert not products.is_on() and surroundings() == plain


def test_a_processor_that_rounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "error", lambda: 2e-3)
    with (
        pytest.raises(RecipeError, match=r"rounds them \(2e-03 of the largest number\); leave it out"),
        routed(True),
    ):
        pass
    assert "not possible here" in products.said()


def test_a_torch_without_the_switch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_switch", lambda: None)
    with pytest.raises(RecipeError, match="torch has the switch from"), routed(True):
        pass
    assert not products.is_on()


def test_doctor_says_what_it_gains_or_costs(rounds: bool) -> None:
    assert ("narrow products take" in products.said()) is not rounds


def test_a_run_has_them_as_long_as_it_is_open(tmp_path: Path, rounds: bool) -> None:
    recipe = load_recipe(worlds.recipe(tmp_path, onednn=True))
    if rounds:
        with pytest.raises(RecipeError, match="`onednn: true` is not possible here"), opened(recipe):
            pass
        return
    with opened(recipe):
        assert products.is_on()


def test_rounding_is_told_from_single_precision() -> None:
    left, right = torch.randn(8, 64), torch.randn(64, 8)
    rounded = left.bfloat16().float() @ right.bfloat16().float()
    exact = left.double() @ right.double()
    assert float((rounded.double() - exact).abs().max() / exact.abs().max()) > products.EXACT
