"""Text from outside is inert, and values are readable."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust import secrets
from distrust.evaluate import Interval
from distrust.report.text import count, inert, money, percent, plain


@given(st.text(st.characters(codec=None), max_size=400))
def test_nothing_active_passes(text):
    shown = inert(text)
    assert not any(ord(mark) < 32 and mark not in "\t\n" for mark in shown)
    assert not set(shown) & set("\x7f\x9b\u202a\u202e\u2066\u2069\u200e\u200f\u2028")
    shown.encode()  # no half characters
    assert inert(shown, 1000) == shown


def test_escapes_stay_visible_and_length_is_told():
    assert inert("a\x1b[31mb\u202ec") == "a\ufffd[31mb\ufffdc"
    assert inert("line\r\nnext") == "line\nnext"
    assert inert("x" * 1_000_000, 10) == "xxxxxxxxxx … (1,000,000 characters)"
    assert inert("日本 עברית 👩‍👩‍👧", 300) == "日本 עברית 👩‍👩‍👧"


def test_a_secret_is_struck_out_even_where_a_text_is_cut(monkeypatch):
    monkeypatch.setenv("REPORT_TEST_KEY", "sk-verysecret")
    monkeypatch.setattr(secrets, "_handed_out", set())
    secrets.expand("${REPORT_TEST_KEY}", secret=True)
    assert "sk-v" not in inert("y" * 6 + "sk-verysecret", 10)
    assert plain({"sk-verysecret": ["sk-verysecret"]}) == {"***": ["***"]}


def test_plain_values_are_json_without_nan():
    value = {
        1: torch.tensor([[1.0, float("nan")]]),
        "interval": Interval(0.5, float("-inf"), 1.0),
        "half": "\ud800",
        "numpy": np.float64("inf"),
        "set": (True, None, 3),
    }
    found = plain(value)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == {
        "1": [[1.0, None]],
        "interval": {"value": 0.5, "low": None, "high": 1.0},
        "half": "?",
        "numpy": None,
        "set": [True, None, 3],
    }


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (None, "unknown"),
        (0.744, "74 %"),
        (1, "100 %"),
        (0.996, "99.6 %"),
        (0.99999, "99.9 %"),
        (0.0001, "0.1 %"),
        (0, "0 %"),
    ],
)
def test_only_everything_is_100_percent(share, said):
    assert percent(share) == said


def test_unknown_is_not_zero():
    assert (money(None), count(None)) == ("unknown", "unknown")
    assert (money(0), money(0.0173), money(12.3456), count(12345)) == ("0.00", "0.017", "12.35", "12,345")
