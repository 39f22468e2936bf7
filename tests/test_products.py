"""Products go through oneDNN only on the makers it helps, and only where they stay exact; a real rounding is found out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from distrust import products

SWITCH = torch.backends.mkldnn.matmul


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = SWITCH.fp32_precision
    yield
    SWITCH.fp32_precision = before


def test_another_makers_processor_is_left_alone() -> None:
    before = SWITCH.fp32_precision
    assert not products.choose("GenuineIntel")
    assert SWITCH.fp32_precision == before


def test_torchs_own_products_are_exact() -> None:
    assert products.error() < products.EXACT / 10


def test_the_switch_is_kept_exactly_where_products_stay_exact() -> None:
    """On a processor with units for bf16 the switch rounds, and must go back; on others it may stay."""
    before = SWITCH.fp32_precision
    SWITCH.fp32_precision = "bf16"
    rounds = products.error() > products.EXACT
    SWITCH.fp32_precision = before
    assert products.choose(products.SLOW) is not rounds
    assert SWITCH.fp32_precision == (before if rounds else "bf16")
    assert products.error() < products.EXACT
    assert ("oneDNN" in products.said()) is not rounds


def test_rounding_is_told_from_single_precision() -> None:
    left, right = torch.randn(8, 64), torch.randn(64, 8)
    rounded = left.bfloat16().float() @ right.bfloat16().float()
    exact = left.double() @ right.double()
    assert float((rounded.double() - exact).abs().max() / exact.abs().max()) > products.EXACT
