"""Which methods a run allows, and why not the others."""

from __future__ import annotations

import pytest
import torch

from distrust.errors import RecipeError
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods import METHODS, find
from distrust.methods.auto_suited import (
    BASELINE,
    CANDIDATES,
    NEEDS,
    OPEN_CANDIDATES,
    Candidate,
    Situation,
    fallback,
    safe,
    situation,
    untried,
    wanted,
    why_not,
)
from tests import worlds


def gold(count: int, **reserve: int) -> Gold:
    return Gold(tuple(map(str, range(count))), torch.zeros(count, dtype=torch.long), worlds.SPACE, reserve)


SPACES = [worlds.SPACE, LabelSpace(("a", "b")), LabelSpace(("c",))]


@pytest.mark.parametrize(
    ("here", "name", "words"),
    [
        (situation([worlds.SPACE], worlds.SPACE, gold(50)), "ca-mkd", "there is one"),
        (situation(SPACES[1:], worlds.SPACE, gold(50)), "ca-mkd", "do not know all classes"),
        (situation(SPACES[1:], worlds.SPACE, gold(50)), "muka", None),
        (situation(SPACES[:1] * 2, worlds.SPACE, gold(50)), "muka", "all know all of them"),
        (situation(SPACES[:1] * 2, worlds.SPACE, gold(50)), "ca-mkd", None),
        (situation(SPACES[:1] * 2, worlds.SPACE, gold(50), heads=False), "fitnet-mkd", "features"),
        (situation(SPACES[:1], None, gold(50)), "elr", "answers are open"),
        (situation(SPACES[:1], None, gold(50)), "peer-advised", None),
        (situation(SPACES[:1], worlds.SPACE, gold(0)), "gold-only", "there is none"),
        (situation([], worlds.SPACE, gold(50)), "distill", "there is none"),
        (situation(SPACES[:1], worlds.SPACE, gold(50)), "ta-in-the-loop", "what to ask"),
        (situation(SPACES[:1], worlds.SPACE, gold(50)), "a new one", "not known"),
    ],
)
def test_what_can_run_and_why_not(here: Situation, name: str, words: str | None) -> None:
    said = why_not(Candidate(name), here)
    assert said is None if words is None else words in str(said)


def test_every_method_is_tried_or_named_as_untried() -> None:
    assert set(NEEDS) <= set(METHODS) and BASELINE in CANDIDATES
    for one in (*CANDIDATES, *OPEN_CANDIDATES):
        find(one.name, dict(one.options))
    for one in OPEN_CANDIDATES:
        assert why_not(one, situation(SPACES[:1] * 2, None, gold(50))) is None
    assert "plain distillation" in str(
        why_not(Candidate("distill", {"targets": "hard"}), situation(SPACES[:1], None, gold(50)))
    )
    named = untried(CANDIDATES, list(METHODS))
    assert set(named) | {one.name for one in CANDIDATES} | {"auto"} == set(METHODS)


def test_candidates_are_checked_by_name() -> None:
    assert [one.called for one in wanted(["elr", "gold-only"])] == ["distill", "elr", "gold-only"]
    assert [one.name for one in wanted(["distill"])] == ["distill", "distill"], "plain, and by a fitted trust"
    assert wanted([]) == [BASELINE]
    assert wanted(None, open_answers=True) == list(OPEN_CANDIDATES)
    assert [one.called for one in wanted(["distill"], open_answers=True)] == ["distill", "distill (targets hard)"]
    for name, words in (("muca", "did you mean 'muka'"), ("auto", "legal are")):
        with pytest.raises(RecipeError, match=words):
            wanted([name])


def test_the_safe_choices() -> None:
    assert safe(situation(SPACES[1:], worlds.SPACE, gold(5)))[0].name == "muka"
    assert safe(situation(SPACES[:1], None, gold(5)))[0] == BASELINE
    assert safe(situation(SPACES[:1], worlds.SPACE, gold(5)))[0] == BASELINE


def test_what_is_safe_where_gold_tells_nothing_apart() -> None:
    called = [
        fallback(here).called
        for here in (
            situation(SPACES[:1], worlds.SPACE, gold(50)),
            situation(SPACES[:1] * 2, worlds.SPACE, gold(50)),
            situation(SPACES[1:], worlds.SPACE, gold(50)),
            situation(SPACES[:1], None, gold(50)),
            situation(SPACES[:1] * 2, None, gold(50)),
        )
    ]
    assert called[:2] == ["peer-advised", "ca-mkd (weights auto)"] and called[2].startswith("muka (score auto")
    assert called[3:] == [BASELINE.called] * 2
    assert set(called) <= {one.called for one in CANDIDATES}, "only what is tried can be taken"
    assert fallback(situation(SPACES[:1], worlds.SPACE, gold(60, choose=50))) == BASELINE, "too little is left for the gate"
    assert fallback(situation(SPACES[:1] * 2, worlds.SPACE, gold(60, choose=50))) == BASELINE, "or for the weights"
    assert fallback(situation(SPACES[1:], worlds.SPACE, gold(60, choose=50))).name == "muka", "as with no gold at all"
