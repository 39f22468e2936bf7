"""Raw answers become candidates and claims: alike where they mean the same, apart where nobody answered."""

from __future__ import annotations

import pytest
import torch

from distrust.errors import DataError
from distrust.labels import Candidates
from distrust.trust.panel_answers import gold_claims, normalise, read_answers


@pytest.mark.parametrize(
    ("raw", "kind", "wanted"),
    [
        ("$1,200.00", "number", "1200"),
        (1200, "number", "1200"),
        ("15.000000000000002", "number", "15"),
        ("-0.0", "number", "0"),
        ("16 liters", "number", "16"),
        ("apples/2 + 38", "number", None),  # a formula, not a number
        ("1e999", "number", None),
        ("", "number", None),
        ("(b) 0.22", "choice", "B"),
        ("E (None of these", "choice", "E"),
        ("NONE OF THE ABOVE", "choice", None),
        ("True", "yes-no", "yes"),
        ("No.", "yes-no", "no"),
        ("maybe", "yes-no", None),
        ("9/9/1909", "date", "09/09/1909"),
        ("02/30/2020", "date", None),
        ("  The  Hague. ", "short", "the hague"),
        (None, "short", None),
    ],
)
def test_answers_that_mean_the_same_are_written_alike(raw: object, kind: str, wanted: str | None) -> None:
    assert normalise(raw, kind) == wanted


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'number'"):
        normalise("3", "numbers")


def test_read_answers_shares_candidates_and_keeps_abstentions_apart() -> None:
    evidence = read_answers(["a", "b"], {"x": ["3", "none"], "y": ["3.0", "7"], "z": ["4", None]}, "number")
    space = evidence[0].space
    assert isinstance(space, Candidates) and space.answers == (("3", "4"), ("7",))
    assert [one.claims[0].tolist() for one in evidence] == [[0, -1], [0, 0], [1, -1]]
    assert gold_claims(evidence, {"a": 4, "b": "8"}, "number").tolist() == [1, space.none_of_these]
    assert gold_claims(evidence, {"b": "7"}, "number").tolist() == [-1, 0]


def test_wrong_input_is_refused_in_a_sentence() -> None:
    with pytest.raises(DataError, match="at least one teacher"):
        read_answers(["a"], {}, "number")
    with pytest.raises(DataError, match="x has 2 answers"):
        read_answers(["a"], {"x": ["1", "2"]}, "number")
    evidence = read_answers(["a"], {"x": ["1"]}, "number")
    with pytest.raises(DataError, match="'many' of item 'a' is no number"):
        gold_claims(evidence, {"a": "many"}, "number")
    with pytest.raises(DataError, match="space of candidates"):
        gold_claims([], {}, "number")


def test_texts_travel_with_the_teacher_that_has_them() -> None:
    evidence = read_answers(["a"], {"x": ["1"], "y": ["1"]}, "number", {"x": ["so it is 1"]})
    assert evidence[0].texts == [["so it is 1"]] and evidence[1].texts is None
    assert torch.equal(evidence[0].claims, evidence[1].claims)
