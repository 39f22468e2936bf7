"""Asking a panel one by one: to the end it is the whole panel, the first is who tells most, and bad plans are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.trust.panel_asking import LONGEST, Asking, plan_asking
from distrust.trust.panel_rows import rows_of
from tests.trust.panel_world import world

Pilot = tuple[list[Evidence], Tensor, Asking]


@pytest.fixture(scope="module")
def pilot() -> Pilot:
    evidence, gold = world(40)
    return evidence, gold, plan_asking(evidence, gold, 0.3)


def test_who_asks_everybody_has_the_whole_panel(pilot: Pilot) -> None:
    evidence, _, asking = pilot
    chances, calls = replace(asking, order=(8, 2, 3, 0, 1, 4, 7, 6, 5), threshold=2.0).ask(evidence)
    assert calls.tolist() == [9] * 40
    rows = rows_of(evidence)
    torch.testing.assert_close(chances[rows.item, rows.column], torch.from_numpy(asking.pooled.chances(rows, None)))


def test_an_item_is_asked_until_it_is_sure(pilot: Pilot) -> None:
    evidence, _, asking = pilot
    steps = [replace(asking, order=asking.order[: count + 1], threshold=2.0).ask(evidence)[0] for count in range(5)]
    chances, calls = replace(asking, threshold=0.6).ask(evidence)
    assert len(asking.order) == round(LONGEST * 0.3 * 9) == 5 and asking.least == 2 < float(calls.double().mean()) < 5
    for item in range(40):
        sure = [count for count in range(asking.least - 1, 5) if float(steps[count][item, :-1].max()) >= 0.6]
        assert int(calls[item]) == (sure[0] + 1 if sure else 5)
        torch.testing.assert_close(chances[item], steps[int(calls[item]) - 1][item])
    for least in (1, 2):
        assert replace(asking, threshold=0.0, least=least).ask(evidence)[1].tolist() == [least] * 40


def test_the_first_to_be_asked_lowers_the_log_loss_most(pilot: Pilot) -> None:
    evidence, gold, asking = pilot
    losses = []
    for teacher in range(9):
        chances = replace(asking, order=(teacher,), threshold=0.0).ask(evidence)[0]
        losses.append(-sum(float(chances[item, int(gold[item])].clamp(min=1e-3).log()) for item in range(40)))
    assert asking.order[0] == losses.index(min(losses))


def test_a_share_above_one_and_a_pilot_of_nine_are_refused(pilot: Pilot) -> None:
    evidence, gold, _ = pilot
    with pytest.raises(DataError, match=r"share of calls is 1\.1; legal is above 0 and at most 1"):
        plan_asking(evidence, gold, 1.1)
    with pytest.raises(DataError, match="10 items or more"):
        plan_asking([one.select(range(9)) for one in evidence], gold[:9], 0.5)
