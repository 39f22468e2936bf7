"""Teachers and gold as bad as they come, through every method that doubts claims: each has a defined outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.data import Items
from distrust.errors import RecipeError, RunError
from distrust.methods import find
from distrust.methods.selective import Selective
from tests.methods import noisy

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "peer-advised": ("peer-advised", {"gate": "none"}),
    "peer-advised over all": ("peer-advised", {"gate": "none", "balance": "none"}),
    "peer-advised by match": ("peer-advised", {"gate": "none", "score": "match", "ties": "all"}),
    "selective": ("selective", {}),
    "self-distillation": ("self-distillation", {}),
    "with high confidence": ("self-distillation", {"confident": True}),
    "mckd": ("mckd", {}),
    "mckd of three": ("mckd", {"stages": 3}),
    "co-teaching": ("co-teaching", {}),
    "small-loss": ("small-loss", {}),
    "elr": ("elr", {}),
}
RELABEL = ["self-distillation", "with high confidence", "mckd", "mckd of three"]
LONG = noisy.LOOP.model_copy(update={"num_train_epochs": 12})
MANY, TRUE = noisy.clusters(240)  # enough for a scout of two epochs to know every class
every = pytest.mark.parametrize("way", WAYS)


def student(run: Any, way: str, **options: Any) -> Any:
    name, own = WAYS[way]
    return noisy.carry(run, name, **(own | options))


@every
def test_a_pool_of_one_class_gives_a_student_that_says_it_and_a_warning(tmp_path: Path, way: str) -> None:
    run = noisy.work(tmp_path, torch.full((60,), 1), options=LONG)
    assert set(noisy.claims(student(run, way), noisy.ITEMS)) == {1}
    assert run.warnings == ["The teachers claim 'b' of every item: a student learns no other."]


@every
def test_of_a_teacher_that_is_always_right_is_learned_as_from_plain_distillation(tmp_path: Path, way: str) -> None:
    """Well-separated classes; where they overlap, doubting costs (docs/peer_advised.md)."""
    run = noisy.work(tmp_path / "ours", TRUE, MANY, TRUE, gold=6)
    ours = student(run, way)
    plain = noisy.carry(noisy.work(tmp_path / "plain", TRUE, MANY, TRUE, gold=6), "distill", targets="hard")
    assert noisy.accuracy(plain) >= 0.95
    if way == "peer-advised over all":  # the class that is hardest for the scout is gone, but not in silence
        assert "1 of the claimed classes have no item in the better part" in run.warnings[0]
    else:
        assert noisy.accuracy(ours) >= noisy.accuracy(plain) - 0.05


@every
def test_of_a_teacher_no_better_than_chance_gold_warns(tmp_path: Path, way: str) -> None:
    guesses = torch.randint(0, 3, (60,), generator=torch.Generator().manual_seed(5))
    guesses[:9] = (noisy.LABELS[:9] + 1) % 3
    run = noisy.work(tmp_path, guesses, gold=9)
    found = student(run, way)
    assert all(bool(value.isfinite().all()) for value in noisy.weights(found).values())
    assert run.warnings[0] == (
        "The teachers are right on 0 of 9 gold items, no better than a guess among 3 classes: what a student learns early "
        "from them is no sign of truth either."
    )


@every
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_fewer_gold_than_classes_is_gold_all_the_same(tmp_path: Path, way: str, weight: float) -> None:
    run = noisy.work(tmp_path, gold=2)
    found = student(run, way, gold_weight=weight)
    told = run.fits["student"].labelled
    assert sorted(told.labels[told.labels >= 0].tolist()) == ([0, 1] if weight else [])
    assert noisy.accuracy(found) > 0.5


TWICE = Items(
    (*noisy.ITEMS.ids, *(f"{item}-again" for item in noisy.ITEMS.ids)),
    noisy.ITEMS.inputs.repeat(2, 1),  # type: ignore[union-attr]
)


@every
def test_of_duplicates_with_contradicting_labels_one_answer_is_learned(tmp_path: Path, way: str) -> None:
    """Half of the copies contradict the right claim of the original; each is ranked by itself, both have one prediction."""
    wrong = torch.where(torch.arange(60) % 2 == 0, (noisy.LABELS + 1) % 3, noisy.LABELS)
    run = noisy.work(tmp_path, torch.cat([noisy.LABELS, wrong]), items=TWICE, labels=noisy.LABELS.repeat(2))
    found = student(run, way)
    said = noisy.claims(found, TWICE)
    assert said[:60] == said[60:]
    told = run.fits["student"].labelled
    claim = dict(zip(told.items.ids, told.targets.argmax(-1).tolist(), strict=True))
    split = [item for item in noisy.ITEMS.ids if claim.get(item) != claim.get(f"{item}-again")]
    assert way not in RELABEL or "mckd" in way or not split, "relabelled by one student, copies are told the same"


@every
def test_items_nobody_claims_anything_of_are_left_out(tmp_path: Path, way: str) -> None:
    silent = torch.where(torch.arange(60) < 20, -1, noisy.corrupted(noisy.LABELS))
    run = noisy.work(tmp_path, silent)
    student(run, way)
    assert not set(noisy.ITEMS.ids[:20]) & {item for fit in run.fits.values() for item in fit.labelled.items.ids}


@every
@pytest.mark.parametrize("gold", [0, 5])
def test_fewer_than_two_claims_are_refused_before_anything_is_trained(tmp_path: Path, way: str, gold: int) -> None:
    single = torch.where(torch.arange(60) <= gold, noisy.LABELS, -1)
    run = noisy.work(tmp_path, single, gold=gold)
    said = f"The teachers claim something of {gold + 1} items, 1 of them without gold; whom to doubt is learned from two"
    with pytest.raises(RunError, match=said):
        student(run, way)
    assert not run.fits


@every
def test_two_claims_are_enough(tmp_path: Path, way: str) -> None:
    pair = torch.where(torch.arange(60) < 2, noisy.LABELS, -1)
    assert student(noisy.work(tmp_path, pair), way).module is not None


@every
def test_without_teachers_it_is_refused(tmp_path: Path, way: str) -> None:
    with pytest.raises(RunError, match="asks teachers and the recipe names none"):
        student(noisy.work(tmp_path, teachers=[]), way)


def panel() -> tuple[list[noisy.Said], Tensor]:
    """Three teachers with errors of their own, one of them silent on a third; and their vote (240, 3) by a loop."""
    said = [noisy.corrupted(TRUE, 0.3, seed) for seed in range(3)]
    said[2] = torch.where(torch.arange(240) % 3 == 0, -1, said[2])
    votes = torch.zeros(240, 3)
    for row in range(240):
        counts = [sum(int(one[row]) == c for one in said) for c in range(3)]
        for c in range(3):
            votes[row, c] = (counts[c] == max(counts)) / counts.count(max(counts))
    return [noisy.Said(f"t{number}", MANY, one) for number, one in enumerate(said)], votes


@every
def test_several_teachers_vote(tmp_path: Path, way: str) -> None:
    teachers, votes = panel()
    runs = [
        noisy.work(tmp_path / name, teachers=order, items=MANY, labels=TRUE)
        for name, order in (("a", teachers), ("b", teachers[::-1]))
    ]
    students = [student(run, way) for run in runs]
    assert noisy.same(*students), "in whatever order"
    first = next(iter(runs[0].fits.values())).labelled
    assert 0 < int((votes == 0.5).any(-1).sum()) < 120, "some votes are tied"
    expected = {item: votes[row].tolist() for row, item in enumerate(MANY.ids)}
    assert all(expected[item] == told for item, told in zip(first.items.ids, first.targets.tolist(), strict=True))


def test_a_class_that_the_scout_has_not_learned_is_lost_and_named(tmp_path: Path) -> None:
    """The paper's ranking knows no classes: two of 60 items are a class of their own, and go first."""
    rare = torch.where(torch.arange(60) < 2, 2, torch.arange(60) % 2)
    run = noisy.work(tmp_path / "none", rare)
    student(run, "peer-advised over all")
    assert run.warnings == [
        "The scout agrees too little with every claim of c: 1 of the claimed classes have no item in the better part; "
        "balance: per-class keeps some of each."
    ]
    balanced = noisy.work(tmp_path / "balanced", rare)
    student(balanced, "peer-advised")
    assert not balanced.warnings and bool((balanced.fits["peer"].labelled.targets[:, 2] > 0).any())
    small = noisy.work(tmp_path / "small", rare)
    student(small, "peer-advised", keep=0.1)
    assert small.warnings[0].endswith("have no item in the better part; a larger keep leaves fewer out.")


def test_gold_quoted_in_a_prompt_judges_nobody(tmp_path: Path) -> None:
    """The quoted three are claimed rightly, the other six wrongly."""
    probe = noisy.work(tmp_path / "probe", gold=9, reserve={"prompt": 3})
    quoted = noisy.ITEMS.rows(probe.gold.part("prompt").ids)
    probe.close()
    right = noisy.LABELS.clone()
    right[:9] = (right[:9] + 1) % 3
    right[quoted] = noisy.LABELS[quoted]
    run = noisy.work(tmp_path / "run", right, gold=9, reserve={"prompt": 3})
    student(run, "selective")
    assert run.warnings[0].startswith("The teachers are right on 0 of 6 gold items")


def test_reserved_gold_is_not_trained_on(tmp_path: Path) -> None:
    run = noisy.work(tmp_path, gold=12, reserve={"prompt": 3, "trust": 5})
    student(run, "co-teaching")
    assert int((run.fits["student"].labelled.labels >= 0).sum()) == 4
    assert "on 5 gold items" in run.warnings[0]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("peer-advised", {"keep": 1.5}, "keep"),
        ("peer-advised", {"scout_epochs": 0}, "scout_epochs"),
        ("peer-advised", {"gate": "open"}, "gate"),
        ("selective", {"gate": "none"}, "unknown key 'method.options.gate'"),
        ("selective", {"balance": "per-clas"}, "balance"),
        ("selective", {"ties": "first"}, "ties"),
        ("selective", {"score": "f1"}, "score"),
        ("self-distillation", {"relabel_epochs": 0}, "relabel_epochs"),
        ("co-teaching", {"forget_rate": 1}, "forget_rate"),
        ("co-teaching", {"ramp_epochs": 0}, "ramp_epochs"),
        ("small-loss", {"gold_weight": -1}, "gold_weight"),
        ("elr", {"beta": 1}, "beta"),
        ("elr", {"strength": -1}, "strength"),
    ],
)
def test_mistaken_options_are_refused_by_name(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        find(name, options)
    assert words in str(refused.value)


def test_the_cards_settings_are_the_defaults() -> None:
    """Card, settings: r = 50 %, scout 2 epochs; and its port to classes: a soft score, balanced."""
    assert Selective().model_dump() == {
        "scout_epochs": 2,
        "keep": 0.5,
        "score": None,  # label_likelihood of classes, token_f1 of texts
        "balance": "per-class",
        "ties": "id",
        "gold_weight": 1.0,
    }
