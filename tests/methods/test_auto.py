"""auto: leaves plain distillation where gold shows a gain beyond noise and nowhere else, asks once, goes on after a stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.data import Items
from distrust.errors import RecipeError
from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods import METHODS, find
from distrust.methods.auto import choose
from distrust.methods.auto_suited import (
    BASELINE,
    CANDIDATES,
    LEAST_GOLD,
    NEEDS,
    Candidate,
    Situation,
    safe,
    situation,
    untried,
    wanted,
    why_not,
)
from distrust.methods.auto_trial import TEMPERATURES, Outcome, crossed, tempered
from distrust.recipe import Train
from distrust.report.metrics import metrics
from distrust.report.page import render
from distrust.run import Run
from distrust.students.module import ModuleStudent
from tests import worlds
from tests.methods.test_conformance import equal, reported, weights

POOL, LABELS = worlds.points(120)
FEW = {"candidates": ["distill", "muka", "best-teacher"], "folds": 2}
TRUSTED = "distill (trust auto, targets hard)"


class Told:
    """A teacher whose claims are known; it counts how often it was asked about an item."""

    space, keeps_answers = worlds.SPACE, False

    def __init__(self, name: str, claims: Tensor) -> None:
        self.name, self.fingerprint, self.asked = name, f"told {claims.tolist()}", dict.fromkeys(POOL.ids, 0)
        self._claims = claims

    def ask(self, items: Items) -> Evidence:
        for one in items.ids:
            self.asked[one] = self.asked.get(one, 0) + 1
        known = dict(zip(POOL.ids, self._claims.tolist(), strict=True))
        return Evidence(self.name, items.ids, self.space, torch.tensor([[known.get(one, -1) for one in items.ids]]))


def exchanging() -> Told:
    return Told("careful", torch.tensor([1, 0, 2])[LABELS])


def opened(folder: Path, teachers: list[Any], gold: int = 60, **more: Any) -> Run:
    """Most gold is in the pool, some of it outside."""
    pool = POOL.select(range(10, 120))
    return Run(
        folder,
        space=worlds.SPACE,
        pool=pool,
        teachers=teachers,
        new_student=lambda seed: ModuleStudent(worlds.network(seed), worlds.SPACE),
        gold=Gold(POOL.ids[:gold], LABELS[:gold], worlds.SPACE),
        gold_items=POOL.select(range(gold)),
        options=Train(num_train_epochs=4, per_device_train_batch_size=8, learning_rate=3e-2),
        **more,
    )


def carried(run: Run, **options: Any) -> Any:
    method, checked = find("auto", FEW | options)
    return method.run(run, checked)


def chosen(run: Run) -> Mapping[str, Any]:
    return next(row for row in run.choice if row["chosen"])


def test_a_wrong_teacher_is_left_and_the_winner_is_carried_out_as_it_is(tmp_path: Path) -> None:
    teacher = exchanging()
    with closing(opened(tmp_path / "auto", [teacher])) as run:
        student = weights(carried(run))
        assert chosen(run)["candidate"] == TRUSTED and chosen(run)["gain"]["low"] > 0
        rows = {row["candidate"]: row for row in run.choice}
        assert rows["distill"]["why"] == "something is better beyond noise" and rows["distill"]["gain"] is None
        assert "there is one" in rows["best-teacher"]["why"]
        assert rows["muka (score auto, target soft)"]["score"] is None
        assert f"Auto carries out {TRUSTED}" in run.notes[0] and "elr" in run.notes[1]
    assert set(teacher.asked.values()) == {1}, "once each, whatever is tried"
    with closing(opened(tmp_path / "alone", [exchanging()])) as run:
        method, checked = find("distill", {"trust": "auto", "targets": "hard"})
        assert equal(student, weights(method.run(run, checked)))


def test_a_right_teacher_is_not_left(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "auto", [Told("careful", LABELS)])) as run:
        student = weights(carried(run))
        assert chosen(run)["candidate"] == "distill" and chosen(run)["why"] == "nothing is better beyond noise"
    with closing(opened(tmp_path / "alone", [Told("careful", LABELS)])) as run:
        assert equal(student, weights(METHODS["distill"].run(run, METHODS["distill"].options()))), "bit for bit"


def test_stopped_anywhere_it_goes_on_and_ends_alike(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    calls = 0

    def stopping(task: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        nonlocal calls
        calls += 1
        assert calls > 8 or task.startswith("trial of distill: ")
        if calls in (3, 9, 17):
            raise Stop

    teacher = exchanging()
    stops = 0
    while True:
        with closing(opened(tmp_path / "stopped", [teacher], progress=stopping)) as run:
            try:
                student = weights(carried(run))
            except Stop:
                stops += 1
                continue
        break
    assert stops == 3 and set(teacher.asked.values()) == {1}
    done = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("done.json")}
    assert sum("trial-" in str(path) for path in done) == 4, "two candidates that can run, two folds"
    with closing(opened(tmp_path / "stopped", [teacher])) as run:
        assert equal(student, weights(carried(run)))
    assert done == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("done.json")}
    with closing(opened(tmp_path / "whole", [exchanging()])) as run:
        assert equal(student, weights(carried(run)))


def test_no_held_out_item_is_learned_from(tmp_path: Path) -> None:
    """What a trial's students learned from lies in the stages; the fold's held items are in none of the fold's."""
    with closing(opened(tmp_path, [exchanging()])) as run:
        carried(run)
        small = list(tmp_path.rglob("trial.json"))
        assert len(small) == 4
    pool = {run.pool.ids[row] for row in range(len(run.pool))} - set(run.gold.ids)
    folds = run.gold.folds("choose", 2)
    assert {one for fold in folds for one in fold.held.ids} == set(run.gold.ids)
    from distrust.methods.auto_trial import bench
    from distrust.methods.believed import heard

    with closing(opened(tmp_path / "again", [exchanging()])) as run:
        desk = bench(run, heard(run, "choose"), folds, 40, 0.5)
        assert desk.options.num_train_epochs == 12, "56 steps, as many as the recipe's, in epochs of 5"
        assert set(desk.pool.ids) <= pool and len(desk.pool) == 40


def test_its_report_has_the_table(tmp_path: Path) -> None:
    from distrust.methods import Method
    from distrust.methods.auto import Auto

    teachers = [exchanging(), Told("hasty", LABELS), Told("muddled", LABELS)]
    with closing(opened(tmp_path, teachers)) as run:
        facts = reported(run, "auto", carried(run, candidates=["best-teacher"]))
    found = metrics(facts)
    assert [row["chosen"] for row in found["choice"]].count(True) == 1
    page = render(facts, found)
    assert "right on held-out gold" in page and "best-teacher" in page and "<b>chosen</b>" in page
    assert METHODS["auto"].options is Auto and isinstance(METHODS["auto"], Method)


@pytest.mark.parametrize("gold", [0, LEAST_GOLD - 1])
def test_with_little_gold_the_safe_choice_is_taken(gold: int, tmp_path: Path) -> None:
    with closing(opened(tmp_path, [exchanging()], gold=gold)) as run:
        carried(run)
        assert chosen(run)["candidate"] == "distill" and str(gold) in chosen(run)["why"]
        assert not list(tmp_path.rglob("trial-*"))


def test_without_a_teacher_gold_is_all_there_is(tmp_path: Path) -> None:
    with closing(opened(tmp_path, [])) as run:
        carried(run)
        assert chosen(run)["candidate"] == "gold-only"


def outcome(right: Tensor, nats: Tensor | float = 0.0) -> Outcome:
    return Outcome(right, torch.zeros(len(right), dtype=torch.float64) + nats)


def share(of: float, nats: float = 0.0, count: int = 60) -> Outcome:
    return outcome(torch.arange(count) < of * count, nats + 0.1 * torch.arange(count).cos())


def test_only_what_is_beyond_noise_is_chosen() -> None:
    plain = BASELINE.called
    base = outcome(torch.arange(60) < 30, 0.1 * torch.arange(60).sin())

    def best(**found: Outcome) -> str:
        return next(row.candidate for row in choose({plain: base, **found}) if row.chosen)

    assert best(a=share(0.52), b=share(0.55)) == plain
    assert best(a=share(0.7, 0.1), b=share(0.9, 0.2)) == "b"
    assert best(a=share(0.2, 0.5)) == plain, "a clear loss is no gain, however likely"
    assert best(a=share(0.55, 0.5)) == "a", "more are right, and the likelihood says it is no chance"
    rows = choose({plain: base, "a": share(0.7), "b": share(0.9, 0.2), "c": share(0.52)})
    assert [row.candidate for row in rows] == ["b", "a", "c", plain]
    assert [row.why.split(",")[0] for row in rows] == [
        "the likeliest of those that are better beyond noise",
        "better beyond noise",
        "not better than plain distillation beyond noise",
        "something is better beyond noise",
    ]


def test_likelihoods_are_those_of_a_naive_loop_at_the_temperature_of_the_other_folds() -> None:
    chances = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5]], dtype=torch.float64)
    labels = torch.tensor([0, 2, 0, 1])
    found = tempered(chances, labels)
    for row, (chance, label) in enumerate(zip(chances.tolist(), labels.tolist(), strict=True)):
        for column, one in enumerate(TEMPERATURES):
            powers = [max(value, 1e-6) ** (1 / one) for value in chance]
            assert float(found[row, column]) == pytest.approx(math.log(powers[label] / sum(powers)))
    first, second = found[:2], found[2:]
    sharp, soft = int(first.sum(0).argmax()), int(second.sum(0).argmax())
    assert sharp < soft, "sure and right; unsure and wrong"
    assert torch.equal(crossed([first, second]), torch.cat([first[:, soft], second[:, sharp]]))


def test_plain_distillation_is_hardly_left_for_what_is_worse() -> None:
    """Three methods that are 10 points worse, wrong elsewhere: of 20 such trials hardly one may leave it."""
    draw = torch.Generator().manual_seed(0)
    left = 0
    for _ in range(20):
        found = {
            name: torch.rand(50, generator=draw) < (0.7 if name == BASELINE.called else 0.6) for name in ("distill", *"abc")
        }
        told = {name: outcome(right, torch.where(right, -0.3, -1.5)) for name, right in found.items()}
        left += not next(row for row in choose(told) if row.candidate == BASELINE.called).chosen
    assert left <= 1


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
    for one in CANDIDATES:
        find(one.name, dict(one.options))
    named = untried(None, list(METHODS))
    assert set(named) | {one.name for one in CANDIDATES} | {"auto"} == set(METHODS)


def test_candidates_are_checked_by_name() -> None:
    assert [one.called for one in wanted(["elr", "gold-only"])] == ["distill", "elr", "gold-only"]
    assert [one.name for one in wanted(["distill"])] == ["distill", "distill"], "plain, and by a fitted trust"
    assert wanted([]) == [BASELINE]
    for name, words in (("muca", "did you mean 'muka'"), ("auto", "legal are")):
        with pytest.raises(RecipeError, match=words):
            wanted([name])


def test_the_safe_choices() -> None:
    assert safe(situation(SPACES[1:], worlds.SPACE, 5))[0].name == "muka"
    assert safe(situation(SPACES[:1], None, 500))[0] == BASELINE
    assert safe(situation(SPACES[:1], worlds.SPACE, 5))[0] == BASELINE


def test_the_plan_says_what_would_be_tried(tmp_path: Path) -> None:
    from distrust.methods.auto_plan import tries
    from distrust.recipe_file import load_recipe

    path = worlds.recipe(tmp_path, method={"name": "auto"}, gold={"size": 40})
    said = dict(tries(load_recipe(path)))
    assert said["distill"] == said["gold-only"] == "would be tried on 40 gold items"
    assert "there is one" in said["best-teacher"] and not (tmp_path / "run").exists()
    few = dict(tries(load_recipe(worlds.recipe(tmp_path, method={"name": "auto"}))))
    assert list(few) == ["distill"] and "12 gold items are fewer than 20" in few["distill"]
