"""A panel believes the good, sees through a crowd, keeps "none of these" apart, and does not mind the order of anything."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evidence import Evidence, votes
from distrust.labels import Candidates
from distrust.trust.panel import panel
from distrust.trust.panel_answers import gold_claims, read_answers
from distrust.trust.panel_asking import plan_asking
from distrust.trust.panel_logit import conditional_logit
from distrust.trust.panel_rows import rows_of
from distrust.trust.panel_text import read_texts
from tests.trust.panel_world import GROUPS, world


def some(gold: Tensor, count: int) -> Tensor:
    shown = torch.full_like(gold, -1)
    shown[:count] = gold[:count]
    return shown


def accuracy(chances: Tensor, gold: Tensor, after: int = 0) -> float:
    return float((chances[after:, :-1].argmax(-1) == gold[after:]).double().mean())


def log_loss(chances: Tensor, gold: Tensor, after: int) -> float:
    return float(-chances[after:].gather(1, gold[after:, None]).clamp(min=1e-12).log().mean())


def test_chances_are_a_distribution_over_what_is_legal() -> None:
    evidence, gold = world(200)
    chances = panel(evidence, some(gold, 40), GROUPS).posterior(evidence)
    space = evidence[0].space
    assert isinstance(space, Candidates)
    assert chances.shape == (200, len(space)) and bool((chances[~space.mask] == 0).all())
    torch.testing.assert_close(chances.sum(-1), torch.ones(200, dtype=torch.float64))


def test_a_little_gold_and_named_groups_beat_the_majority_and_the_plain_logit() -> None:
    rows = []
    for seed in range(4):
        evidence, gold = world(400, seed)
        counts = votes(torch.cat([one.claims for one in evidence]), len(evidence[0].space))
        fitted = panel(evidence, some(gold, 20), GROUPS).posterior(evidence)
        plain = conditional_logit(evidence, some(gold, 20)).posterior(evidence)
        rows.append([accuracy(one, gold, 20) for one in (counts, plain, fitted)])
    majority, logit, ours = np.mean(rows, axis=0)
    assert ours > majority + 0.2 and ours > logit + 0.01


def test_a_weak_panel_is_not_turned_upside_down() -> None:
    """Five options, teachers little better than chance: read backwards, the pool is worse than chance (0.12)."""
    rng = random.Random(1)
    truth = [rng.choice("ABCDE") for _ in range(250)]
    skill = [0, 0.02, 0, 0.1, 0.1, 0.15, 0.05, 0.1, 0, 0.2]  # above chance
    answers = {
        f"t{m}": [right if rng.random() < one else rng.choice("ABCDE") for right in truth] for m, one in enumerate(skill)
    }
    ids = [str(row) for row in range(250)]
    evidence = read_answers(ids, answers, "choice")
    gold = gold_claims(evidence, dict(zip(ids, truth, strict=True)), "choice")
    assert accuracy(panel(evidence).posterior(evidence), gold) > 0.3


def test_without_gold_a_named_crowd_counts_as_one_and_hints_are_not_heard() -> None:
    evidence, gold = world(400, texts=True)
    counts = votes(torch.cat([one.claims for one in evidence]), len(evidence[0].space))
    chances = panel(evidence, None, GROUPS).posterior(evidence)
    assert accuracy(chances, gold) > accuracy(counts, gold) + 0.2
    hints = read_texts(evidence).score(evidence)
    torch.testing.assert_close(panel(evidence, torch.full_like(gold, -1), GROUPS, hints).posterior(evidence, hints), chances)


def test_texts_that_tell_are_heard_and_lower_the_log_loss() -> None:
    evidence, gold = world(400, texts=True)
    hints = read_texts(evidence).score(evidence)
    assert hints.shape == (9, 400) and bool((hints[torch.cat([one.claims for one in evidence]) < 0] == 0).all())
    deaf = panel(evidence, some(gold, 60), GROUPS).posterior(evidence)
    heard = panel(evidence, some(gold, 60), GROUPS, hints).posterior(evidence, hints)
    assert log_loss(heard, gold, 60) < log_loss(deaf, gold, 60)


def test_hostile_texts_are_only_counted() -> None:
    evidence, _ = world(30, texts=True)
    nasty = [
        Evidence(one.source, one.ids, one.space, one.claims, texts=[["\x1b[2J<script>\x00" * 50]] * 30) for one in evidence
    ]
    assert bool(read_texts(nasty).score(nasty).isfinite().all())


def test_gold_that_is_no_candidate_moves_mass_to_none_of_these() -> None:
    evidence, gold = world(200)
    none = torch.where(torch.arange(200) % 2 == 0, len(evidence[0].space) - 1, gold)
    usual = panel(evidence, some(gold, 60), GROUPS).posterior(evidence)[60:, -1].mean()
    often = panel(evidence, some(none, 60), GROUPS).posterior(evidence)[60:, -1].mean()
    assert often > 0.2 > usual


def test_the_order_of_teachers_and_items_changes_nothing() -> None:
    evidence, gold = world(120)
    shown = some(gold, 50)
    chances = panel(evidence, shown, GROUPS).posterior(evidence)
    turned = {"model": GROUPS["model"][::-1]}
    other = panel(evidence[::-1], shown, turned).posterior(evidence[::-1])
    torch.testing.assert_close(other, chances, atol=1e-5, rtol=0)
    rows = list(range(119, -1, -1))
    moved = [one.select(rows) for one in evidence]
    torch.testing.assert_close(panel(moved, shown[rows], GROUPS).posterior(moved), chances[rows], atol=1e-5, rtol=0)


def test_a_fitted_panel_weighs_other_items_of_the_same_teachers() -> None:
    evidence, gold = world(300)
    pilot, rest = [one.select(range(100)) for one in evidence], [one.select(range(100, 300)) for one in evidence]
    fitted = panel(pilot, gold[:100], GROUPS)
    assert accuracy(fitted.posterior(rest), gold[100:]) > 0.85
    with pytest.raises(DataError, match="in this order"):
        fitted.posterior(rest[1:])
    with pytest.raises(DataError, match="without hints"):
        fitted.posterior(rest, torch.zeros(9, 200))


def test_one_teacher_and_silence() -> None:
    evidence, gold = world(60)
    alone = panel(evidence[:1], some(gold, 20)).posterior(evidence[:1])
    said = evidence[0].claims[0]
    spoke = said >= 0
    assert bool((alone[spoke].argmax(-1)[alone[spoke].amax(-1) > 0.5] == said[spoke][alone[spoke].amax(-1) > 0.5]).all())
    mute = Evidence("mute", evidence[0].ids, evidence[0].space, torch.full((1, 60), -1))
    assert bool(panel([mute], some(gold, 20)).posterior([mute]).isfinite().all())
    torch.testing.assert_close(
        panel([*evidence, mute], some(gold, 20)).posterior([*evidence, mute]),
        panel(evidence, some(gold, 20)).posterior(evidence),
        atol=0.02,
        rtol=0,
    )


def test_wrong_groups_hints_and_texts_are_refused() -> None:
    evidence, gold = world(40)
    with pytest.raises(DataError, match="'model' names 2 groups; legal is one a teacher, 9"):
        panel(evidence, gold, {"model": ["a", "b"]})
    with pytest.raises(DataError, match=r"legal is \(9, 40\)"):
        panel(evidence, gold, GROUPS, torch.zeros(40, 9))
    with pytest.raises(DataError, match="one finite number"):
        panel(evidence, gold, GROUPS, torch.full((9, 40), torch.nan))
    with pytest.raises(DataError, match="gave no texts"):
        read_texts(evidence)
    with pytest.raises(DataError, match="too few"):
        read_texts([one.select(range(5)) for one in evidence])
    with pytest.raises(DataError, match="legal is 10"):
        conditional_logit(evidence, some(gold, 3))


def test_asking_stops_early_and_keeps_to_its_share() -> None:
    evidence, gold = world(500)
    pilot, rest = [one.select(range(100)) for one in evidence], [one.select(range(100, 500)) for one in evidence]
    full = panel(pilot, gold[:100], GROUPS).posterior(rest)
    asking = plan_asking(pilot, gold[:100], 0.35, GROUPS)
    chances, calls = asking.ask(rest)
    assert asking.order[0] in (0, 1, 2) and len(set(asking.order)) == len(asking.order) == 6
    assert float(calls.double().mean()) / 9 < 0.42 and int(calls.min()) >= 1
    assert accuracy(chances, gold[100:]) > 0.9 * accuracy(full, gold[100:])
    spoken = {m: rest[m] for m in asking.order}
    ids, space = rest[0].ids, rest[0].space
    silent = torch.full((1, len(ids)), -1)
    muted = [spoken.get(m, Evidence(one.source, ids, space, silent)) for m, one in enumerate(rest)]
    assert torch.equal(asking.ask(muted)[0], chances)
    first = replace(asking, order=asking.order[:1]).ask(rest)[0]
    bought = torch.zeros(first.shape, dtype=torch.bool).scatter(1, rest[asking.order[0]].claims.T.clamp(min=0), True)
    assert bool((first[:, :-1][~bought[:, :-1]] == 0).all()), "what nobody who was asked has said is no candidate"


def test_a_bad_plan_is_refused() -> None:
    evidence, gold = world(40)
    with pytest.raises(DataError, match="above 0 and at most 1"):
        plan_asking(evidence, gold, 0.0)
    with pytest.raises(DataError, match="gold on every item"):
        plan_asking(evidence, some(gold, 20), 0.5)


def test_nothing_of_the_callers_is_changed() -> None:
    evidence, gold = world(60)
    before = [one.claims.clone() for one in evidence]
    state = np.random.get_state()[1]
    shown = some(gold, 20)
    panel(evidence, shown, GROUPS)
    assert all(torch.equal(one.claims, old) for one, old in zip(evidence, before, strict=True))
    assert torch.equal(shown, some(gold, 20)) and np.array_equal(np.random.get_state()[1], state)


def test_the_document_s_example_runs() -> None:
    page = Path(__file__).parents[2] / "docs" / "panel.md"
    block = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0]
    session: dict[str, Tensor] = {}
    exec(compile(block, str(page), "exec"), session)
    assert session["chances"].shape == (3, 3) and session["chances"][0].argmax() == 0


def test_gold_that_was_held_out_says_how_much_the_plain_logit_counts() -> None:
    """The chances are the two logits' by that share; where the pool is a crowd that errs together and nobody says who, less
    of them is the pool's than where groups are named."""
    evidence, gold = world(400)
    shown = some(gold, 100)
    blend = panel(evidence, shown, GROUPS)
    assert blend.plain is not None and 0 < blend.share < 1
    rows = rows_of(evidence)
    parts = blend.pooled.chances(rows, None), conditional_logit(evidence, shown).chances(rows)
    expected = torch.zeros(400, len(evidence[0].space), dtype=torch.float64)
    expected[rows.item, rows.column] = torch.from_numpy(blend.share * parts[0] + (1 - blend.share) * parts[1])
    torch.testing.assert_close(blend.posterior(evidence), expected)
    assert panel(evidence, shown).share < blend.share
    assert panel(evidence, some(gold, 39), GROUPS).share == 1


def test_of_an_item_without_a_candidate_nothing_but_none_of_these_is_left() -> None:
    evidence, gold = world(120)
    mute = [replace(one, claims=one.claims.clone()) for one in evidence]
    for one in mute:
        one.claims[:, :2] = -1
    space = evidence[0].space
    assert isinstance(space, Candidates)
    without = Candidates(((), (), *space.answers[2:]), len(space))
    mute = [Evidence(one.source, one.ids, without, torch.where(one.claims < 0, -1, one.claims)) for one in mute]

    fitted = panel(mute, some(torch.where(torch.arange(120) < 2, len(space) - 1, gold), 60), GROUPS)
    chances = fitted.posterior(mute)
    torch.testing.assert_close(chances.sum(-1), torch.ones(120, dtype=torch.float64))
    assert fitted.plain is not None and bool((chances[:2, -1] == 1).all())
