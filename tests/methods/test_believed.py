"""Several teachers heard together: gold beside the pool, chances softened as logits are, trust that is kept or not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import torch

from distrust.data import Items
from distrust.errors import RunError
from distrust.evidence import Evidence, stack
from distrust.gold import Gold
from distrust.logits import Dense
from distrust.methods.believed import heard, posterior, softened
from distrust.trust import ESTIMATORS
from tests import worlds
from tests.runs import make

SAID = torch.tensor([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.3, 0.3, 0.4]], dtype=torch.float64)


def test_gold_outside_the_pool_is_asked_for_its_purpose_and_stands_behind_it(tmp_path: Path) -> None:
    items, labels = worlds.points()
    gold = Gold(items.ids[26:36], labels[26:36], worlds.SPACE, reserve={"judge": 4})
    pool = items.select(range(30))
    with closing(make(tmp_path, pool=pool, gold=gold, gold_items=items.select(range(26, 36)))) as run:
        wanted = [item for item in run.gold.part("trust").ids if item not in pool.ids]
        here = heard(run, "trust")
        assert 0 < len(wanted) < 6 and here.items.ids == (*pool.ids, *wanted) == here.stacked.ids
        (said,) = here.evidence
        assert said.ids == here.items.ids and torch.equal(said.claims, run.ask(run.teachers[0], here.items).claims)
        assert heard(run).items is run.pool, "for no purpose nobody is asked about gold"


@pytest.mark.parametrize("by_logits", [True, False])
def test_chances_are_softened_as_logits_are(by_logits: bool) -> None:
    logits = Dense(SAID.clamp(min=1e-30).log() + 5) if by_logits else None
    features = {} if by_logits else {"x": torch.zeros(3, 1)}
    one = Evidence("t", ("a", "b", "c"), worlds.SPACE, torch.tensor([[0, 1, 2]]), logits, features)
    stacked = stack([one, Evidence("mute", ("a",), worlds.SPACE, torch.tensor([[-1]]))], worlds.SPACE, ["a", "b", "c"])
    assert softened(stacked, 1.0) is stacked.probabilities
    found = softened(stacked, 2.0)
    given = SAID if by_logits else torch.eye(3, dtype=torch.float64)  # bare claims stay what they are
    for row, chances in enumerate(given.tolist()):
        roots = [chance**0.5 for chance in chances]
        assert found[0, row].tolist() == pytest.approx([root / sum(roots) for root in roots], abs=1e-6)
    assert not bool(found[1].any()), "who said nothing says nothing"


class Silent:
    name, fingerprint, space, keeps_answers = "silent", "s", worlds.SPACE, True

    def ask(self, items: Items) -> Evidence:
        return Evidence(self.name, items.ids, self.space, torch.full((1, len(items)), -1))


def test_trust_is_left_in_the_run_where_it_is_the_runs(tmp_path: Path) -> None:
    with closing(make(tmp_path)) as run:
        stacked, estimator = run.stacked(), ESTIMATORS["weighted-vote"]
        tried = posterior(run, stacked, "weighted-vote", estimator, keep=False)
        assert not (tmp_path / "trust.json").exists()
        torch.testing.assert_close(posterior(run, stacked, "weighted-vote", estimator), tried)
        assert (tmp_path / "trust.json").exists() and tried.dtype == torch.float32
        torch.testing.assert_close(tried.sum(-1), torch.ones(40))


def test_an_estimator_of_gold_refuses_who_is_silent_on_it(tmp_path: Path) -> None:
    with closing(make(tmp_path, teachers=[*make(tmp_path / "a").teachers, Silent()])) as run:
        with pytest.raises(RunError, match="silent claims nothing about any gold item, so nothing is known of it"):
            posterior(run, run.stacked(), "weighted-vote", ESTIMATORS["weighted-vote"])
        posterior(run, run.stacked(), "majority", ESTIMATORS["majority"])
