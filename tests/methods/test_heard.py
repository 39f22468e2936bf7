"""How much each of several language models is believed of a token: against naive loops, from live and from kept words."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from distrust.losses import Sampled
from distrust.losses.chunks import Projected
from distrust.methods.heard import believed, heard
from distrust.methods.language import Tutor
from distrust.token_evidence import Spoken

DRAW = torch.Generator().manual_seed(0)
VOCABULARY = 5  # the head has a sixth row, which pads it
TUTORS: list[Any] = [Tutor(None, None, VOCABULARY, f"teacher-{k}") for k in range(3)]  # type: ignore[arg-type]
SAID = {
    one.called: Projected(torch.randn(2, 4, 3, generator=DRAW), torch.randn(6, 3, generator=DRAW), None, None)
    for one in TUTORS
}
LABELS = torch.tensor([[0, 4, 2, -100], [1, 1, -100, -100]])
BATCH = {"labels": LABELS, "weight": (LABELS >= 0).float(), "count": torch.tensor(5.0)}


def chances(called: str, row: int, token: int) -> list[float]:
    side = SAID[called]
    scores = [
        sum(float(h) * float(w) for h, w in zip(side.hidden[row, token], side.weight[word], strict=True))
        for word in range(VOCABULARY)
    ]
    total = sum(math.exp(one) for one in scores)
    return [math.exp(one) / total for one in scores]


@pytest.mark.parametrize("rule", ["label", "entropy"])
def test_weights_match_a_naive_loop(rule: Any) -> None:
    targets, weights = heard(rule, TUTORS, SAID, BATCH)
    assert all(target is SAID[one.called] for target, one in zip(targets, TUTORS, strict=True))
    assert weights is not None and weights.shape == (3, 2, 4)
    for row, token in (LABELS >= 0).nonzero().tolist():
        told = [chances(one.called, row, token) for one in TUTORS]
        if rule == "label":
            raw = [one[int(LABELS[row, token])] for one in told]
        else:
            unsure = [-sum(p * math.log(p) for p in one) for one in told]
            raw = [1 - one / sum(unsure) for one in unsure]
        assert weights[:, row, token].tolist() == pytest.approx([one / sum(raw) for one in raw], rel=1e-4)


def test_what_was_kept_is_weighed_as_what_is_said_now() -> None:
    _, live = heard("label", TUTORS, SAID, BATCH)
    assert live is not None
    counted = LABELS >= 0
    unlikely = torch.zeros(2, 4)
    for row, token in counted.nonzero().tolist():
        unlikely[row, token] = -math.log(chances("teacher-1", row, token)[int(LABELS[row, token])])
    ids = torch.zeros(2, 4, 1, dtype=torch.long)
    kept = Spoken(Sampled(ids, torch.ones(2, 4, 1), VOCABULARY), unlikely, torch.zeros(2, 4))
    targets, weights = heard("label", TUTORS, SAID | {"teacher-1": kept}, BATCH)
    assert targets[1] is kept.target and weights is not None
    torch.testing.assert_close(weights[:, counted], live[:, counted], rtol=1e-4, atol=1e-6)


def test_alike_and_alone_weigh_nothing() -> None:
    assert heard("alike", TUTORS, SAID, BATCH)[1] is None
    targets, weights = heard("label", TUTORS[:1], SAID, BATCH)
    assert weights is None and len(targets) == 1
    nobody: Any = None  # neither run nor texts are looked at
    believed(nobody, "alike", TUTORS, [], nobody)
    believed(nobody, "label", TUTORS[:1], [], nobody)
