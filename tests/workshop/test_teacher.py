"""A teacher made wrong: claims and logits together, by the item alone, under another fingerprint and with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from distrust.data import Items
from distrust.errors import DistrustError, TeacherError
from distrust.evidence import Cost, Dense, Evidence
from distrust.finish import gather
from distrust.gold import Gold
from distrust.labels import Candidates, LabelSpace
from distrust.methods import METHODS
from distrust.recipe import Price, Train
from distrust.recipe.wrong import WrongRecipe
from distrust.report.metrics import metrics
from distrust.run import Run
from distrust.students.module import ModuleStudent
from distrust.workshop import SimulatedTeacher, clones
from tests import worlds

SPACE = LabelSpace(("a", "b", "c", "d"))
COUNT = 400
ITEMS = Items(tuple(f"i{row}" for row in range(COUNT)), torch.zeros(COUNT, 1))
LOGITS = 2 * torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(0))
KINDS: list[dict[str, Any]] = [
    {"kind": "symmetric", "rate": 0.4},
    {"kind": "pairwise", "rate": 0.4},
    {"kind": "instance-dependent", "slope": 1.5},
    {"kind": "near-clone", "rate": 0.1},
    {"kind": "adversary"},
    {"kind": "abstaining", "rate": 0.4},
    {"kind": "over-confident", "sharpness": 4},
    {"kind": "exchanged", "share": 1.0},
    {"kind": "class-blind", "classes": ["b", "d"]},
    {"kind": "stale", "merged": {"d": "a"}},
]
EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda one: str(one["kind"]))


class Sure:
    """A teacher with known logits, or with their claims alone."""

    name, space, fingerprint, keeps_answers = "sure", SPACE, "sure", True

    def __init__(self, soft: bool = True) -> None:
        self.soft = soft

    def ask(self, items: Items) -> Evidence:
        rows = torch.tensor([int(one[1:]) for one in items.ids])
        own = LOGITS[rows]
        texts = [["it said so"]] * len(items)
        logits = Dense(own) if self.soft else None
        return Evidence("sure", items.ids, SPACE, own.argmax(-1)[None], logits, texts=texts, cost=Cost.free(len(items)))


def made(kind: dict[str, Any], soft: bool = True, **more: Any) -> SimulatedTeacher:
    wrong: Any = TypeAdapter(WrongRecipe).validate_python(kind | more)
    return SimulatedTeacher(Sure(soft), wrong)


def answers(teacher: Any, items: Items = ITEMS) -> tuple[Tensor, Tensor]:
    said = teacher.ask(items)
    assert said.logits is not None
    return said.claims[0], said.logits.dense()


@EACH
def test_what_is_claimed_is_what_the_logits_say(kind: dict[str, Any]) -> None:
    claims, logits = answers(made(kind))
    spoken = claims >= 0
    assert torch.equal(claims[spoken], logits.argmax(-1)[spoken])
    assert bool((logits[~spoken] == -torch.inf).all()) and bool(spoken.any())
    said = made(kind).ask(ITEMS)
    assert said.texts is None and said.source == "sure" and said.cost is not None


@EACH
def test_an_item_is_answered_alike_alone_and_among_others(kind: dict[str, Any]) -> None:
    claims, logits = answers(made(kind))
    some = [7, 3, 250]
    few, own = answers(made(kind), ITEMS.select(some))
    assert torch.equal(few, claims[some]) and torch.equal(own, logits[some])


@EACH
def test_the_fingerprint_changes_with_whatever_changes_the_answers(kind: dict[str, Any]) -> None:
    prints = {made(kind).fingerprint, made(kind, seed=1).fingerprint, Sure().fingerprint}
    assert len(prints) == 3 and made(kind).fingerprint == made(kind).fingerprint
    assert kind["kind"] in made(kind).simulated and "on purpose" in made(kind).simulated


def test_how_much_and_as_what() -> None:
    true = LOGITS.argmax(-1)

    def wrong(kind: dict[str, Any]) -> float:
        return float((answers(made(kind))[0] != true).double().mean())

    assert wrong({"kind": "symmetric", "rate": 0.4}) == pytest.approx(0.4, abs=0.08)
    assert wrong({"kind": "adversary"}) == 1.0 and wrong({"kind": "over-confident"}) == 0.0
    assert wrong({"kind": "abstaining", "rate": 0.4}) == pytest.approx(0.4, abs=0.08)
    blind, logits = answers(made({"kind": "class-blind", "classes": ["b", "d"]}))
    assert set(blind.tolist()) == {0, 2} and torch.equal(blind, LOGITS[:, [0, 2]].argmax(-1) * 2), "the next best is said"
    assert bool((logits[:, [1, 3]] == -torch.inf).all())


def test_a_wrong_answer_is_as_sure_as_the_right_one_was() -> None:
    for kind in ({"kind": "symmetric", "rate": 0.9}, {"kind": "exchanged", "share": 1.0}, {"kind": "adversary"}):
        _, logits = answers(made(kind))
        assert torch.equal(logits.sort(-1).values, LOGITS.sort(-1).values)


def test_a_stale_teacher_adds_up_what_was_one_class() -> None:
    _, logits = answers(made({"kind": "stale", "merged": {"d": "a"}}))
    old, new = LOGITS.softmax(-1), logits.softmax(-1)
    torch.testing.assert_close(new[:, 0], old[:, 0] + old[:, 3])
    torch.testing.assert_close(new[:, 1:3], old[:, 1:3])
    assert bool((new[:, 3] == 0).all())


def test_doubted_items_are_the_ones_made_wrong() -> None:
    true, sure = LOGITS.argmax(-1), LOGITS.softmax(-1).amax(-1)
    wrong = answers(made({"kind": "instance-dependent", "slope": 1.0}))[0] != true
    assert float(sure[wrong].mean()) < float(sure[~wrong].mean()) - 0.1
    assert float(wrong.double().mean()) == pytest.approx(float((1 - sure).mean()), abs=0.06)


def test_claims_alone_are_made_wrong_too() -> None:
    true = LOGITS.argmax(-1)
    said = made({"kind": "class-blind", "classes": ["b", "d"]}, soft=False).ask(ITEMS)
    assert said.logits is None and set(said.claims[0].tolist()) == {0, 2}
    assert torch.equal(said.claims[0][(true == 0) | (true == 2)], true[(true == 0) | (true == 2)])
    for kind, words in (("instance-dependent", "never shows doubt"), ("over-confident", "states no confidence")):
        with pytest.raises(TeacherError, match=words):
            made({"kind": kind}, soft=False).ask(ITEMS)


def test_stated_confidences_are_sharpened() -> None:
    class Stating(Sure):
        def ask(self, items: Items) -> Evidence:
            stated = {"confidence": torch.tensor([0.5, 0.8, float("nan")])}
            return Evidence("sure", items.ids, SPACE, torch.zeros(1, len(items), dtype=torch.long), features=stated)

    wrong: Any = TypeAdapter(WrongRecipe).validate_python({"kind": "over-confident", "sharpness": 2})
    said = SimulatedTeacher(Stating(), wrong).ask(ITEMS.select([0, 1, 2])).features["confidence"]
    assert torch.as_tensor(said)[:2].tolist() == pytest.approx([0.5, 0.64 / 0.68])
    assert bool(torch.as_tensor(said)[2].isnan())


def test_clones_have_names_and_errors_of_their_own() -> None:
    two = clones(Sure(), 2, rate=0.2)
    assert [one.name for one in two] == ["sure 1", "sure 2"] and two[0].fingerprint != two[1].fingerprint
    first, second = (answers(one)[0] != LOGITS.argmax(-1) for one in two)
    assert 0.1 < float(first.double().mean()) < 0.3 and not torch.equal(first, second)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"kind": "class-blind", "classes": ["e"]}, "no class of this task"),
        ({"kind": "class-blind", "classes": ["a", "b", "c", "d"]}, "leave it one"),
        ({"kind": "stale", "merged": {"d": "e"}}, "no class of this task"),
    ],
)
def test_what_is_refused_at_once(kind: dict[str, Any], words: str) -> None:
    with pytest.raises(DistrustError, match=words):
        made(kind)


def test_parameters_that_cannot_be() -> None:
    for kind in (
        {"kind": "symmetric", "rate": 1.5},
        {"kind": "symmetric", "share": 0.5},
        {"kind": "none"},
        {"kind": "stale", "merged": {"d": "a", "a": "b"}},
    ):
        with pytest.raises(ValueError):
            made(kind)


def test_open_answers_are_refused() -> None:
    class Open(Sure):
        space: Any = Candidates((("x",),), width=2)

    wrong: Any = TypeAdapter(WrongRecipe).validate_python({"kind": "symmetric"})
    with pytest.raises(TeacherError, match="open answers"):
        SimulatedTeacher(Open(), wrong)


def test_the_report_says_that_the_teacher_is_simulated(tmp_path: Path) -> None:
    """And a teacher made wrong another way is another teacher: what was stored of the first is not given for it."""
    items, labels = worlds.points(30)

    class Told(Sure):
        space, keeps_answers = worlds.SPACE, False

        def ask(self, asked: Items) -> Evidence:
            return Evidence("sure", asked.ids, worlds.SPACE, labels[items.rows(asked.ids)][None])

    rates = []
    for rate in (0.0, 1.0):
        wrong: Any = TypeAdapter(WrongRecipe).validate_python({"kind": "symmetric", "rate": rate})
        run = Run(
            tmp_path / str(rate),
            space=worlds.SPACE,
            pool=items,
            teachers=[SimulatedTeacher(Told(), wrong)],
            new_student=lambda seed: ModuleStudent(worlds.network(seed), worlds.SPACE),
            gold=Gold(items.ids[:9], labels[:9], worlds.SPACE),
            options=Train(num_train_epochs=1),
        )
        try:
            student = METHODS["distill"].run(run, METHODS["distill"].options())
            given: dict[str, Any] = {"method": "distill", "options": {}, "recipe": {}, "kinds": {"sure": "recorded"}}
            facts = gather(run, {"student": student}, (items, labels), prices={"sure": Price(per_call=0)}, **given)
        finally:
            run.close()
        rates.append(float((facts.evidence[0].claims[0] != labels).double().mean()))
        assert "made wrong on purpose (symmetric" in metrics(facts)["simulated"][0]
    assert rates == [0.0, 1.0]
