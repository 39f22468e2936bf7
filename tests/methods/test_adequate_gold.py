"""Who knows an item, told by gold: each way of knowing has the say that held-out gold gives it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust.errors import RunError
from distrust.gold import Gold
from distrust.methods import who_knows
from distrust.methods.adequate import scored
from distrust.methods.adequate_gold import _blended, _shares
from distrust.methods.specialists import gather
from distrust.methods.who_knows import nearby
from tests.methods.specialist_worlds import ITEMS, LABELS, SPACE, teacher, work
from tests.methods.test_specialists import Claims

PARTS = ("abc", "def")


def test_shares_are_likelihoods_and_faint_ones_have_no_say() -> None:
    even = torch.full((10,), 0.5)
    shares = _shares({"a": even, "b": even + 0.1, "far": even + 1.0})
    ratio = torch.tensor(1.0).exp().item()  # ten items, a tenth of a nat each
    assert list(shares) == ["a", "b"] and sum(shares.values()) == pytest.approx(1)
    assert shares["a"] / shares["b"] == pytest.approx(ratio)


def test_a_blend_is_of_chances_and_silence_stays_silence() -> None:
    one, two = torch.tensor([[0.0, 2.0], [1.0, -torch.inf]]), torch.tensor([[3.0, 0.0], [0.0, -torch.inf]])
    found = _blended({"one": one, "two": two}, {"one": 0.25, "two": 0.75})
    expected = 0.25 * one.double().softmax(0) + 0.75 * two.double().softmax(0)
    torch.testing.assert_close(found.double().exp(), expected)
    assert found[1, 1] == -torch.inf


def picks(folder: Path, **more: str) -> tuple[float, str]:
    """How often the surest teacher knows an item that is no gold, and what the report says of it."""
    run = work(folder, teachers=[teacher(part, **more) for part in PARTS], gold=Gold(ITEMS.ids[:48], LABELS[:48], SPACE))
    here = gather(run)
    who: Tensor = here.adequate(LABELS)[:, 48:].float()
    known = scored(run, here, "auto", 1, scouts=False)
    return float((known.weights(True, 0.2)[:, 48:] * who).sum(0).mean()), run.notes[0]


def test_gold_spreads_to_what_is_near_where_features_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without, said = picks(tmp_path / "a")
    assert "gold nearby" not in said
    beside, said = picks(tmp_path / "b", features={"hidden": "1"})  # type: ignore[arg-type]
    assert "gold nearby" in said.split(", weighed by gold")[0] and beside > without
    monkeypatch.setattr(who_knows, "MOST", len(ITEMS) - 1)
    assert picks(tmp_path / "c", features={"hidden": "1"}) == (without, picks(tmp_path / "d")[1])  # type: ignore[arg-type]


def test_the_order_of_gold_changes_nothing_that_matters(tmp_path: Path) -> None:
    """Gold sorted by class: what is nearby has its say all the same."""
    order = LABELS[:60].argsort(stable=True).tolist()
    said = []
    for name, rows in (("a", list(range(60))), ("b", order)):
        gold = Gold(tuple(ITEMS.ids[row] for row in rows), LABELS[rows], SPACE)
        kept = [teacher(part, features={"hidden": "1"}) for part in PARTS]
        run = work(tmp_path / name, teachers=kept, gold=gold)
        known = scored(run, gather(run), "auto", 1, scouts=False)
        right = gather(run).adequate(LABELS)[:, 60:].float()
        said.append(float((known.weights(False, 0.2)[:, 60:] * right).sum(0).mean()))
        assert "gold nearby" in run.notes[0].split(", weighed by gold")[0], run.notes
    assert abs(said[0] - said[1]) < 0.02


def test_gold_of_one_teachers_classes_alone_is_no_gold_and_said_so(tmp_path: Path) -> None:
    mine = [row for row in range(len(ITEMS)) if int(LABELS[row]) < 3][:20]
    gold = Gold(tuple(ITEMS.ids[row] for row in mine), LABELS[mine], SPACE)
    run = work(tmp_path, *PARTS, gold=gold)
    scored(run, gather(run), "auto", 1, scouts=False)
    assert run.notes[-1].startswith("No gold tells")
    assert any("too few items of the classes of knows def" in one for one in run.warnings), run.warnings


@pytest.mark.parametrize("count", [2, 3, 4])
def test_two_gold_items_and_features_are_no_end_of_the_run(tmp_path: Path, count: int) -> None:
    kept = [teacher(part, features={"hidden": "1"}) for part in PARTS]
    rows = [0, 3, 1, 4][:count]  # of both
    run = work(tmp_path, teachers=kept, gold=Gold(tuple(ITEMS.ids[row] for row in rows), LABELS[rows], SPACE))
    assert bool(scored(run, gather(run), "auto", 1, scouts=False).scores.isfinite().all())


def test_a_teacher_that_is_silent_on_gold_ends_nothing(tmp_path: Path) -> None:
    mute = Claims("def", [-1] * 40 + [0] * (len(ITEMS) - 40))
    run = work(tmp_path, teachers=[teacher("abc"), mute], gold=40)
    scores = scored(run, gather(run), "auto", 1, scouts=False).scores
    assert bool((scores[1, :40] == -torch.inf).all()) and bool(scores[0].isfinite().all())


def test_a_feature_that_is_not_finite_is_refused_by_name(tmp_path: Path) -> None:
    here = gather(work(tmp_path, teachers=[teacher(part, features={"hidden": "1"}) for part in PARTS]))
    one = next(iter(here.members[1].evidence.features.values()))
    spoilt = one[:].clone()
    spoilt[7, 2] = float("nan")
    member = replace(here.members[1], evidence=replace(here.members[1].evidence, features={"hidden": spoilt}))
    with pytest.raises(RunError, match=f"knows def has a feature of {ITEMS.ids[7]} that is not finite"):
        nearby(replace(here, members=(here.members[0], member)))
