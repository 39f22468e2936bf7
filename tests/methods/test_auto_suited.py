"""Which methods a run allows, and why not the others."""

from __future__ import annotations

import pytest

from distrust.errors import RecipeError
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

SPACES = [worlds.SPACE, LabelSpace(("a", "b")), LabelSpace(("c",))]


@pytest.mark.parametrize(
    ("here", "name", "words"),
    [
        (situation([worlds.SPACE], worlds.SPACE, 50), "ca-mkd", "there is one"),
        (situation(SPACES[1:], worlds.SPACE, 50), "ca-mkd", "do not know all classes"),
        (situation(SPACES[1:], worlds.SPACE, 50), "muka", None),
        (situation(SPACES[:1] * 2, worlds.SPACE, 50), "muka", "all know all of them"),
        (situation(SPACES[:1] * 2, worlds.SPACE, 50), "ca-mkd", None),
        (situation(SPACES[:1] * 2, worlds.SPACE, 50, heads=False), "fitnet-mkd", "features"),
        (situation(SPACES[:1], None, 50), "elr", "answers are open"),
        (situation(SPACES[:1], None, 50), "peer-advised", None),
        (situation(SPACES[:1], worlds.SPACE, 0), "gold-only", "there is none"),
        (situation([], worlds.SPACE, 50), "distill", "there is none"),
        (situation(SPACES[:1], worlds.SPACE, 50), "ta-in-the-loop", "what to ask"),
        (situation(SPACES[:1], worlds.SPACE, 50), "a new one", "not known"),
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
        assert why_not(one, situation(SPACES[:1] * 2, None, 50)) is None
    assert "plain distillation" in str(why_not(Candidate("distill", {"targets": "hard"}), situation(SPACES[:1], None, 50)))
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
    assert safe(situation(SPACES[1:], worlds.SPACE, 5))[0].name == "muka"
    assert safe(situation(SPACES[:1], None, 5))[0] == BASELINE
    assert safe(situation(SPACES[:1], worlds.SPACE, 5))[0] == BASELINE


def test_what_is_safe_where_gold_tells_nothing_apart() -> None:
    called = [
        fallback(here).called
        for here in (
            situation(SPACES[:1], worlds.SPACE, 50),
            situation(SPACES[:1] * 2, worlds.SPACE, 50),
            situation(SPACES[1:], worlds.SPACE, 50),
            situation(SPACES[:1], None, 50),
            situation(SPACES[:1] * 2, None, 50),
        )
    ]
    assert called[:2] == ["peer-advised", "ca-mkd (weights auto)"] and called[2].startswith("muka (score auto")
    assert called[3:] == [BASELINE.called] * 2
    assert set(called) <= {one.called for one in CANDIDATES}, "only what is tried can be taken"
