"""Who knows an item: the choice of a score, by gold and without it."""

from __future__ import annotations

import re
from pathlib import Path

from distrust.gold import Gold
from distrust.methods.adequate import scored
from distrust.methods.specialists import gather
from distrust.methods.who_knows import Scored
from tests.methods import noisy
from tests.methods.specialist_worlds import ITEMS, LABELS, SPACE, teacher, work
from tests.methods.test_specialists import Claims

PARTS = ("abc", "def")


def test_auto_by_gold_says_how_often_it_is_right_and_is_better_for_it(tmp_path: Path) -> None:
    run = work(tmp_path, "ab", "cd", "ef", gold=90)
    here = gather(run)
    known = scored(run, here, "auto", 4)
    rest = slice(90, None)
    who = here.adequate(LABELS)[:, rest].float()
    entropy = scored(run, here, "entropy", 1)

    def picks(one: Scored) -> float:
        return float((one.weights(True, 0.2)[:, rest] * who).sum(0).mean())

    assert picks(known) > picks(entropy) - 0.02
    said = re.fullmatch(
        r"Who knows an item is told by (.+), weighed by gold: of the 90 gold items .* class of (\d+) % \(.*\)\.",
        run.notes[0],
    )
    assert said and abs(float(said.group(2)) / 100 - picks(known)) < 0.1, run.notes


def test_auto_without_gold_goes_by_agreement_and_says_so(tmp_path: Path) -> None:
    run = work(tmp_path, *PARTS)
    assert scored(run, gather(run), "auto", 4).odds
    assert re.match(r"No gold tells who knows an item, so \w+ does: .*mc_entropy \d+ %.* is unknown\.", run.notes[0])


def test_auto_does_without_passes_where_there_is_no_dropout_and_without_logits_where_there_are_none(tmp_path: Path) -> None:
    dry = [teacher("abc", 0.0), teacher("def", 0.0)]
    run = work(tmp_path / "a", teachers=dry)
    scored(run, gather(run), "auto", 4)
    assert "no dropout above 0" in run.notes[0] and "mc_entropy" not in run.notes[1]
    bare = work(tmp_path / "b", teachers=[Claims("abc", [0, 1, 2, -1] * 60), Claims("def", [-1, -1, -1, 2] * 60)])
    student = noisy.carry(bare, "muka", score="auto")
    assert bool(bare.fits["student"].labelled.targets.sum(-1).gt(0).all()) and noisy.weights(student)


def test_gold_of_nested_specialists_that_tells_nothing_apart_is_no_gold(tmp_path: Path) -> None:
    run = work(tmp_path, "abcdef", "abc", gold=Gold(ITEMS.ids[:2], LABELS[:2], SPACE))
    scored(run, gather(run), "auto", 1)
    assert run.notes[0].startswith("No gold tells")
