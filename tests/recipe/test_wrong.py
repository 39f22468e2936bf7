"""Ways to be wrong, by name: each is carried out by its defaults alone, and what says nothing is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter

from distrust.data import Items
from distrust.evidence import Dense, Evidence
from distrust.labels import LabelSpace
from distrust.recipe import WrongRecipe
from distrust.recipe_file import WRONGS
from distrust.workshop import SimulatedTeacher
from tests.recipe.raw import LLM, recipe, refusal

SPACE = LabelSpace(("a", "b", "c", "d"))
MADE: TypeAdapter[Any] = TypeAdapter(WrongRecipe)


class Sure:
    """Says what is true of each item, and how likely it finds every class."""

    name, space, fingerprint, keeps_answers = "sure", SPACE, "1", False

    def ask(self, items: Items) -> Evidence:
        claims = torch.arange(len(items)) % 4
        logits = 3.0 * torch.eye(4)[claims] + 0.1 * torch.arange(4)
        return Evidence(self.name, items.ids, SPACE, claims.unsqueeze(0), Dense(logits))


def test_a_refusal_knows_every_kind() -> None:
    kinds = {get_args(one.model_fields["kind"].annotation)[0]: one for one in get_args(get_args(WrongRecipe)[0])}
    assert kinds == WRONGS


@pytest.mark.parametrize("kind", WRONGS)
def test_every_kind_is_carried_out_by_its_defaults_and_is_wrong(kind: str) -> None:
    items = Items(tuple(map(str, range(400))), ("x",) * 400)
    before, after = Sure().ask(items), SimulatedTeacher(Sure(), MADE.validate_python({"kind": kind})).ask(items)
    assert before.logits is not None and after.logits is not None
    assert not torch.equal(before.logits.dense(), after.logits.dense())
    assert torch.equal(before.claims, after.claims) == (kind == "over-confident")  # the same answers, stated otherwise


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kind": "symmetric", "rate": 1.5}, "wrong.rate: input should be less than or equal to 1"),
        ({"kind": "symmetric", "share": 0.5}, "unknown key 'teachers.0.wrong.share'"),
        ({"kind": "instance-dependent", "slope": 0}, "wrong.slope: input should be greater than 0"),
        ({"kind": "over-confident", "sharpness": 0}, "wrong.sharpness: input should be greater than 0"),
        ({"kind": "class-blind", "classes": []}, "wrong.classes: list should have at least 1 item"),
        ({"kind": "stale", "merged": {}}, "wrong.merged: dictionary should have at least 1 item"),
        ({"kind": "stale", "merged": {"a": "a"}}, "`merged` has 'a' as a newer class and as one that was there before"),
        ({"kind": "stale", "seed": "x"}, "wrong.seed: must be a whole number"),
        ({"rate": 0.5}, "teachers.0.wrong lacks the key 'kind'; legal are symmetric, "),
        ("symmetric", "must hold keys, each with a value"),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(wrong: Any, sentence: str) -> None:
    assert sentence in refusal(recipe(teachers=[LLM | {"wrong": wrong}]))
