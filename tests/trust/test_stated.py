"""P(True) and numbers in words: the card's trap 8, and texts that mean harm."""

from __future__ import annotations

import math
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.trust import p_true, read_confidence, stated_confidence

LOGP = st.floats(-50, 0)


@given(LOGP, LOGP, st.floats(-20, 20))
def test_p_true_is_the_share_of_two_probabilities_and_a_constant_changes_nothing(true, false, constant) -> None:  # type: ignore[no-untyped-def]
    """Trap 8."""
    two = torch.tensor([true, false], dtype=torch.float64)
    naive = math.exp(true) / (math.exp(true) + math.exp(false))
    assert p_true(two[0], two[1]).item() == pytest.approx(naive)
    assert p_true(two[0] + constant, two[1] + constant).item() == pytest.approx(naive, rel=1e-6, abs=1e-12)


def test_p_true_at_the_ends() -> None:
    never = -torch.inf
    found = p_true(torch.tensor([0.0, never, never, -900.0]), torch.tensor([never, 0.0, never, -900.0]))
    assert found[:2].tolist() == [1, 0] and found[2].isnan() and found[3] == 0.5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.85", 0.85),
        (".9", 0.9),
        ("1", 1.0),
        ("1.0.", 1.0),
        ("85%", 0.85),
        ("My confidence is 85 percent.", 0.85),
        ("8/10", 0.8),
        ("I would say 7 out of 10.", 0.7),
        ("The answer is 42. Confidence: 0.7", 0.7),
        ("Confidence in 3 steps... Final probability: 0.2, as 1 of 5 fits", 0.2),
        ("There are 3 apples and 0.5 of them", None),  # which of the two?
        ("85", None),  # of how many?
        ("-0.5", None),
        ("120%", None),
        ("12/10", None),
        ("0/0", None),
        ("1e9", None),
        ("1,000", None),
        ("v2.0.1", None),
        ("no idea", None),
        ("", None),
    ],
)
def test_a_reply_is_read_or_it_is_not(text: str, value: float | None) -> None:
    assert read_confidence(text) == (None if value is None else pytest.approx(value))


@given(st.text())
def test_any_text_gives_a_share_or_nothing(text: str) -> None:
    value = read_confidence(text)
    assert value is None or 0 <= value <= 1


@pytest.mark.parametrize("text", ["1" * 10**6, "confidence " * 10**5, "0.1/" * 10**5, "." * 10**6, "9 " * 10**6])
def test_a_hostile_reply_takes_no_time(text: str) -> None:
    start = time.perf_counter()
    read_confidence(text)
    assert time.perf_counter() - start < 1


def test_samples_are_averaged_and_a_mute_item_is_nan() -> None:
    found = stated_confidence([["0.5", "90 %", "?"], ["?"], []])
    assert found[0].item() == pytest.approx(0.7) and found[1:].isnan().all()
