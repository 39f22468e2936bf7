"""distill: ordinary distillation where there is one teacher, and targets as naive loops make them of several."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import RunError
from distrust.evidence import Dense, Evidence
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods.distill import Distill, distill
from distrust.processes import mix
from distrust.recipe import Train
from distrust.run import Run
from distrust.teachers.module import ModuleTeacher
from distrust.trust import ESTIMATORS, Blend, load_trust
from tests import worlds

ITEMS, LABELS = worlds.points()
CLASSES = 3


class Said:
    """A teacher whose answers are written down here: claims (S, N), or logits (N, C)."""

    keeps_answers = True

    def __init__(self, name: str, claims: Tensor, logits: Tensor | None = None, space: LabelSpace = worlds.SPACE) -> None:
        self.name, self.space, self.fingerprint = name, space, name
        self.claims, self.logits = claims, logits

    def ask(self, items: Items) -> Evidence:
        rows = ITEMS.rows(items.ids)
        logits = None if self.logits is None else Dense(self.logits[rows])
        return Evidence(self.name, items.ids, self.space, self.claims[:, rows], logits)


def draw(*size: int, low: int = -1, high: int = CLASSES, seed: int = 0) -> Tensor:
    return torch.randint(low, high, size, generator=torch.Generator().manual_seed(seed))


def panel() -> list[Said]:
    """One claim, three sampled claims, logits, and half of the classes; all silent on the last items."""
    sure = torch.randn(40, CLASSES, generator=torch.Generator().manual_seed(3)) * 2
    sure[30:] = -torch.inf
    samples, one, half = draw(3, 40, seed=1), draw(1, 40, seed=2), draw(1, 40, high=2, seed=4)
    for claims in (samples, one, half):
        claims[:, 36:] = -1
    said = torch.where(sure[:, :1] > -torch.inf, sure.argmax(-1, keepdim=True), -1).T.contiguous()
    return [
        Said("one", one),
        Said("samples", samples),
        Said("logits", said, sure),
        Said("half", half, space=LabelSpace(("c", "a"))),
    ]


def run(folder: Path, teachers: Sequence[Any], gold: int = 0, **changes: Any) -> Run:
    return Run(
        folder,
        space=worlds.SPACE,
        pool=ITEMS,
        teachers=teachers,
        new_student=worlds.student,
        gold=Gold(ITEMS.ids[:gold], LABELS[:gold], worlds.SPACE),
        options=Train(num_train_epochs=2, learning_rate=1e-2),
        **changes,
    )


def told(folder: Path, teachers: Sequence[Any], gold: int = 0, **options: Any) -> Tensor:
    """The targets (40, 3) that a student of the pool was given."""
    work = run(folder, teachers, gold)
    distill(work, Distill(gold_weight=0, **options))
    labelled = work.fits["student"].labelled
    assert labelled.items.ids == ITEMS.ids and not labelled.has_labels
    return labelled.targets


# ordinary knowledge distillation


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_one_teacher_is_ordinary_distillation_bit_for_bit(tmp_path: Path, temperature: float) -> None:
    """Hinton et al. 2015: T² times the cross-entropy between the teacher's and the student's softmax at T."""
    teacher = worlds.network(7)
    work = run(tmp_path, [ModuleTeacher("teacher", teacher, worlds.SPACE)])
    ours = distill(work, Distill(temperature=temperature)).module.state_dict()
    with torch.no_grad():
        targets = (teacher.eval()(ITEMS.inputs) / temperature).softmax(-1)
    model = worlds.network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0, fused=True)
    for step in range(4):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(mix(0, step // 2, 1)))
        rows = order[step % 2 * 32 :][:32]
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 4)
        optimiser.zero_grad()
        assert isinstance(ITEMS.inputs, Tensor)
        loss = temperature**2 * nn.functional.cross_entropy(model(ITEMS.inputs[rows]) / temperature, targets[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    assert all(torch.equal(value, ours[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "options", [{}, {"targets": "hard"}, {"trust": "confusions"}, {"trust": "dawid-skene"}, {"temperature": 3.0}]
)
def test_the_order_of_teachers_changes_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    orders = list(itertools.permutations(range(4)))[::7]
    targets = [
        told(tmp_path / str(number), [panel()[one] for one in order], gold=12, **options)
        for number, order in enumerate(orders)
    ]
    for other in targets[1:]:
        torch.testing.assert_close(other, targets[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"targets": "hard"}, {"trust": "confusions"}, {"temperature": 3.0}])
def test_a_teacher_asked_twice_over_says_no_more_when_all_are_alike(tmp_path: Path, options: dict[str, Any]) -> None:
    one = panel()[:1]
    twice = [*one, Said("again", one[0].claims)]
    same = torch.allclose(told(tmp_path / "1", one, 12, **options), told(tmp_path / "2", twice, 12, **options))
    assert same == (options.get("trust") != "confusions"), "as independent witnesses two weigh more than one"


# targets against naive loops


def distribution(teacher: Said, row: int, temperature: float = 1.0) -> list[float] | None:
    """What a teacher says of an item, in the task's classes; None where it says nothing."""
    places = [worlds.SPACE.names.index(name) for name in teacher.space.names]
    if teacher.logits is not None:
        scores = [float(value) / temperature for value in teacher.logits[row]]
        if all(value == -math.inf for value in scores):
            return None
        mass = [math.exp(value - max(scores)) for value in scores]
    else:
        mass = [0.0] * CLASSES
        for claim in teacher.claims[:, row].tolist():
            if claim >= 0:
                mass[places[claim]] += 1
        if not any(mass):
            return None
        mass = [(value / sum(mass)) ** (1 / temperature) for value in mass]
    return [value / sum(mass) for value in mass]


def final(teacher: Said, row: int) -> int:
    """Its one claim: the most frequent, then the first; every panel member's logits agree with its claim."""
    places = [worlds.SPACE.names.index(name) for name in teacher.space.names]
    counts = [0] * CLASSES
    for claim in teacher.claims[:, row].tolist():
        if claim >= 0:
            counts[places[claim]] += 1
    return counts.index(max(counts)) if any(counts) else -1


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_soft_targets_of_teachers_alike_are_the_mean_of_those_who_spoke(tmp_path: Path, temperature: float) -> None:
    """Of logits and of shares alike: p^(1/T), scaled to one, is the softmax at T where p is a softmax.

    A class is averaged over the teachers that know it: `half` knows two of three, and its silence on b is no "no".
    """
    found = told(tmp_path, panel(), temperature=temperature)
    for row in range(40):
        said = [(one, said) for one in panel() if (said := distribution(one, row, temperature)) is not None]
        mean = [0.0] * CLASSES
        for c, name in enumerate(worlds.SPACE.names):
            heard = [chances[c] for one, chances in said if name in one.space.names]
            mean[c] = sum(heard) / len(heard) if heard else 0.0
        assert found[row].tolist() == pytest.approx([one / (sum(mean) or 1) for one in mean], abs=1e-5), row


def test_hard_targets_of_teachers_alike_are_the_vote(tmp_path: Path) -> None:
    found = told(tmp_path, panel(), targets="hard")
    tied = 0
    for row in range(40):
        counts = [0] * CLASSES
        for teacher in panel():
            if final(teacher, row) >= 0:
                counts[final(teacher, row)] += 1
        winners = [c for c in range(CLASSES) if counts[c] == max(counts)] if any(counts) else []
        tied += len(winners) > 1
        assert found[row].tolist() == pytest.approx([(c in winners) / max(len(winners), 1) for c in range(CLASSES)])
    assert tied, "the panel has ties to share"


def posterior(teachers: Sequence[Said], row: int, gold: int, shrinkage: float) -> list[float]:
    """Naive Bayes with confusions counted on the first `gold` items, as combine.fit_confusions documents them.

    Of a class that a teacher does not know, its claim says what it is wont to claim at all: `half` cannot be right on b.
    """
    claims = [[final(teacher, item) for item in range(40)] for teacher in teachers]
    truth = LABELS.tolist()[:gold]
    said = [1 + sum(mine.count(c) for mine in claims) for c in range(CLASSES)]
    prior = [(truth.count(c) + shrinkage * said[c] / sum(said)) / (gold + shrinkage) for c in range(CLASSES)]
    score = [math.log(value) for value in prior]
    for teacher, mine in zip(teachers, claims, strict=True):
        if mine[row] < 0:
            continue
        knows = [name in teacher.space.names for name in worlds.SPACE.names]
        spoken = [(truth[item], mine[item]) for item in range(gold) if mine[item] >= 0]
        inside = [(t, s) for t, s in spoken if knows[t]]
        accuracy = (sum(t == s for t, s in inside) + 1) / (len(inside) + 2)
        habit = [(mine.count(c) + 1 / CLASSES) * knows[c] for c in range(CLASSES)]
        for c in range(CLASSES):
            right = accuracy * knows[c]
            base = (1 - right) * habit[mine[row]] / sum(habit) + right * (c == mine[row])
            count = sum(pair == (c, mine[row]) for pair in spoken)
            score[c] += math.log((count + shrinkage * base) / (sum(t == c for t, _ in spoken) + shrinkage))
    mass = [math.exp(value - max(score)) for value in score]
    return [value / sum(mass) for value in mass]


@pytest.mark.parametrize("targets", ["soft", "hard"])
@pytest.mark.parametrize("shrinkage", [0.5, 2.0])
def test_targets_by_confusions_are_the_posterior(tmp_path: Path, targets: str, shrinkage: float) -> None:
    found = told(tmp_path, panel(), gold=15, trust="confusions", targets=targets, shrinkage=shrinkage)
    for row in range(40):
        silent = all(final(teacher, row) < 0 for teacher in panel())
        by_hand = [0.0] * CLASSES if silent else posterior(panel(), row, 15, shrinkage)
        if targets == "hard" and not silent:
            by_hand = [float(c == by_hand.index(max(by_hand))) for c in range(CLASSES)]
        assert found[row].tolist() == pytest.approx(by_hand, abs=1e-5), row


# other trust


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_estimator_makes_targets_and_leaves_a_trust_that_makes_them_again(tmp_path: Path, name: str) -> None:
    """With all gold inside the pool; `soft` is what trust.json gives back, and silent items are told nothing."""
    work = run(tmp_path, panel(), gold=15)
    distill(work, Distill(gold_weight=0, trust=name))  # type: ignore[arg-type]
    found = work.fits["student"].labelled.targets
    assert found.dtype == torch.float32 and not found[36:].any()
    torch.testing.assert_close(found[:36].sum(-1), torch.ones(36))
    kept = load_trust(tmp_path / "trust.json")
    assert kept.estimator == name and kept.gold_count == 15
    claims = torch.tensor([[final(teacher, row) for row in range(40)] for teacher in panel()])
    stacked = work.stacked()
    teachers = [(teacher.name, teacher.fingerprint) for teacher in panel()]
    again = kept.posterior(claims, teachers, worlds.SPACE.names, stacked.probabilities)
    torch.testing.assert_close(again[:36].float(), found[:36])
    assert work.notes == ([kept.fitted.why] if isinstance(kept.fitted, Blend) else [])


@pytest.mark.parametrize("options", [{}, {"targets": "hard"}, {"trust": "confusions"}, {"trust": "auto"}], ids=str)
def test_what_might_have_been_told_is_what_the_others_would_have_told(tmp_path: Path, options: dict[str, Any]) -> None:
    work = run(tmp_path / "all", panel(), gold=15)
    distill(work, Distill(gold_weight=2, **options))
    kept = (tmp_path / "all" / "trust.json").read_bytes() if "trust" in options else b""
    notes = list(work.notes)
    names = [f"without {teacher.name}" for teacher in panel()]
    assert list(work.alternatives) == names + (["all alike"] if "trust" in options else [])
    for place, name in enumerate(names):
        fewer = run(tmp_path / name, [teacher for row, teacher in enumerate(panel()) if row != place], gold=15)
        distill(fewer, Distill(gold_weight=2, **options))
        ours, theirs = work.alternatives[name](), fewer.fits["student"].labelled
        assert ours.key == theirs.key, name
    assert work.notes == notes and (kept == b"" or (tmp_path / "all" / "trust.json").read_bytes() == kept)


def test_one_teacher_has_no_alternative(tmp_path: Path) -> None:
    work = run(tmp_path, panel()[:1], gold=5)
    distill(work, Distill())
    assert work.alternatives == {}


def test_gold_outside_the_pool_is_fitted_on_too(tmp_path: Path) -> None:
    """The same evidence and gold, once with the gold items in the pool and once beside it: the same error models."""
    found = {}
    for name, pool in (("inside", ITEMS), ("beside", ITEMS.select(range(12, 40)))):
        work = Run(
            tmp_path / name,
            space=worlds.SPACE,
            pool=pool,
            teachers=panel(),
            new_student=worlds.student,
            gold=Gold(ITEMS.ids[:12], LABELS[:12], worlds.SPACE),
            gold_items=ITEMS.select(range(12)),
            options=Train(num_train_epochs=1),
        )
        distill(work, Distill(trust="dawid-skene", gold_weight=0))
        found[name] = work.fits["student"].labelled.targets
    torch.testing.assert_close(found["inside"][12:], found["beside"], rtol=1e-4, atol=1e-5)


def test_auto_needs_no_gold_and_says_what_it_relies_on(tmp_path: Path) -> None:
    work = run(tmp_path, panel())
    distill(work, Distill(trust="auto"))
    assert len(work.notes) == 1 and "without gold" in work.notes[0]
    kept = load_trust(tmp_path / "trust.json")
    assert kept.gold_count == 0 and kept.teachers == tuple((one.name, one.name) for one in panel())


def test_a_teacher_silent_on_all_gold_is_refused_where_trust_is_gold_s(tmp_path: Path) -> None:
    claims = draw(1, 40, low=0)
    claims[:, :9] = -1
    teachers = [*panel(), Said("late", claims)]
    with pytest.raises(RunError, match="late claims nothing about any gold item"):
        distill(run(tmp_path / "refused", teachers, gold=9), Distill(trust="weighted-vote"))
    distill(run(tmp_path / "fine", teachers, gold=9), Distill(trust="dawid-skene"))


# gold, and who is silent


def test_gold_items_are_told_gold_and_weigh_what_they_should(tmp_path: Path) -> None:
    work = run(tmp_path, panel(), gold=9)
    distill(work, Distill(gold_weight=5))
    labelled = work.fits["student"].labelled
    known = labelled.select((labelled.labels >= 0).nonzero().squeeze(-1))
    assert set(known.items.ids) == set(ITEMS.ids[:9]) and not known.targets.any() and known.weight.tolist() == [5.0] * 9
    assert known.labels.tolist() == [int(LABELS[row]) for row in ITEMS.rows(known.items.ids)]


def test_an_item_nobody_spoke_of_teaches_nothing(tmp_path: Path) -> None:
    work = run(tmp_path / "all", panel())
    whole = distill(work, Distill()).module.state_dict()
    assert set(work.fits["student"].labelled.told().items.ids) == set(ITEMS.ids[:36])
    spoken = Run(
        tmp_path / "some",
        space=worlds.SPACE,
        pool=ITEMS.select(range(36)),
        teachers=panel(),
        new_student=worlds.student,
        options=Train(num_train_epochs=2, learning_rate=1e-2),
    )
    some = distill(spoken, Distill()).module.state_dict()
    assert all(torch.equal(value, some[name]) for name, value in whole.items())


def test_without_gold_confusions_are_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    class Expensive(Said):
        def ask(self, items: Items) -> Evidence:
            raise AssertionError("asked")

    teachers = [Expensive("llm", draw(1, 40))]
    with pytest.raises(RunError, match="fitted on gold, and there is none for it"):
        distill(run(tmp_path / "none", teachers), Distill(trust="confusions"))
    reserved = run(tmp_path / "reserved", teachers)
    reserved.gold = Gold(ITEMS.ids[:4], LABELS[:4], worlds.SPACE, {"prompt": 4})
    with pytest.raises(RunError, match="fitted on gold"):
        distill(reserved, Distill(trust="confusions"))


def test_without_teachers_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="asks teachers and the recipe names none"):
        distill(run(tmp_path, [], gold=9), Distill())
