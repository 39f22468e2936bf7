"""auto: takes what gold shows to be better beyond noise, else what is safe; asks once, goes on after a stop."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.methods import METHODS, find
from distrust.methods.auto import choose
from distrust.methods.auto_suited import (
    BASELINE,
    LEAST_GOLD,
)
from distrust.methods.auto_trial import Outcome
from distrust.report.metrics import metrics
from distrust.report.page import render
from distrust.run import Run
from tests.methods.auto_worlds import LABELS, Told, carried, exchanging, opened
from tests.methods.test_conformance import equal, reported, weights

TRUSTED = "distill (trust auto, targets hard)"


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
        assert rows["muka (score auto, target soft, margin False, passes 1)"]["score"] is None
        assert f"Auto carries out {TRUSTED}" in run.notes[0] and "elr" in run.notes[1]
    assert set(teacher.asked.values()) == {1}, "once each, whatever is tried"
    with closing(opened(tmp_path / "alone", [exchanging()])) as run:
        method, checked = find("distill", {"trust": "auto", "targets": "hard"})
        assert equal(student, weights(method.run(run, checked)))


def test_a_right_teacher_is_not_left_where_the_safe_choice_is_no_candidate(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "auto", [Told("careful", LABELS)])) as run:
        student = weights(carried(run))
        assert chosen(run)["candidate"] == "distill" and chosen(run)["why"] == "nothing is better beyond noise"
    with closing(opened(tmp_path / "alone", [Told("careful", LABELS)])) as run:
        assert equal(student, weights(METHODS["distill"].run(run, METHODS["distill"].options()))), "bit for bit"


@pytest.mark.parametrize(("teachers", "safe"), [(1, "peer-advised"), (2, "ca-mkd (weights auto)")])
def test_where_nothing_is_better_the_safe_choice_is_carried_out(teachers: int, safe: str, tmp_path: Path) -> None:
    with closing(opened(tmp_path, [Told(f"careful {n}", LABELS) for n in range(teachers)])) as run:
        carried(run, candidates=["peer-advised", "ca-mkd"])
        assert chosen(run)["candidate"] == safe
        assert chosen(run)["why"] == "nothing is better beyond noise, and it is the safe choice"


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
    return Outcome(right.double(), torch.zeros(len(right), dtype=torch.float64) + nats)


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


def test_where_gold_tells_nothing_apart_the_safe_choice_is_taken_unless_it_is_below() -> None:
    base = outcome(torch.arange(60) < 30, 0.1 * torch.arange(60).sin())

    def best(otherwise: str, **found: Outcome) -> tuple[str, str]:
        rows = choose({BASELINE.called: base, **found}, otherwise)
        return next((row.candidate, row.why) for row in rows if row.chosen)

    assert best("a", a=share(0.48), b=share(0.52)) == (
        "a",
        "nothing is better beyond noise, and it is the safe choice",
    )
    assert best("a", a=share(0.48), b=share(0.9, 0.2))[0] == "b", "a gain beyond noise comes first"
    assert best("a", a=share(0.2), b=share(0.52))[0] == BASELINE.called, "what is below beyond noise is not safe"
    assert best("a", a=share(0.48, -0.5), b=share(0.52))[0] == BASELINE.called, "fewer are right, and it is no chance"
    assert best("a", b=share(0.52))[0] == BASELINE.called, "nor what was not tried"
    rows = {row.candidate: row.why for row in choose({BASELINE.called: base, "a": share(0.2), "b": share(0.5)}, "a")}
    assert rows["a"] == "worse than plain distillation beyond noise"
    rows = {row.candidate: row.why for row in choose({BASELINE.called: base, "a": share(0.5), "b": share(0.5)}, "a")}
    assert rows[BASELINE.called] == "nothing is better beyond noise, and a is the safe choice"


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
