"""Patterns: learned from gold or from the items that one source leads on; worth more than scores that are blind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.trust.adequacy import found
from distrust.trust.pattern import fit_pattern, self_taught


def world(count: int = 400, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Energies that tell a little of who knows, what was said (which tells much), and who knows."""
    draw = torch.Generator().manual_seed(seed)
    who = torch.arange(count) % 3
    known = torch.nn.functional.one_hot(who, 3).T.bool()
    scores = 1.2 * known + torch.randn(3, count, generator=draw)
    said = torch.randn(count, 6, generator=draw) + 1.5 * torch.nn.functional.one_hot(2 * who, 6)
    return scores, said, known


def test_gold_teaches_what_the_scores_do_not_say() -> None:
    scores, said, known = world()
    fitted = fit_pattern(scores[:, :100], said[:100], known[:, :100])
    rest = slice(100, None)
    plain, better = (
        float(found(one, known[:, rest]).mean()) for one in (scores[:, rest], fitted.scores(scores, said)[:, rest])
    )
    assert better > plain + 0.1
    held = fit_pattern(scores[:, :100], said[:100], known[:, :100], strength=1e6)
    assert held.weight.abs().max() < 1e-3, "pulled to the scores alone"


def test_without_gold_the_clear_items_teach_the_others() -> None:
    scores, said, known = world(900)
    taught = self_taught(scores, said)
    assert found(taught, known).mean() > found(scores, known).mean() + 0.05
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(self_taught(scores[order], said), taught[order], rtol=1e-3, atol=1e-3)


def test_silence_and_lonely_sources() -> None:
    scores, said, known = world(60)
    scores[0, :5] = -torch.inf
    assert bool((self_taught(scores, said)[0, :5] == -torch.inf).all())
    assert bool((fit_pattern(scores, said, known).scores(scores, said)[0, :5] == -torch.inf).all())
    ahead = torch.tensor([[9.0] * 60, [0.0] * 60])
    assert self_taught(ahead, said).softmax(0)[0].min() > 0.99, "one source leads everywhere: nothing to learn from"


def test_mistakes_are_sentences() -> None:
    scores, said, known = world(12)
    with pytest.raises(DataError, match="strength is 0"):
        fit_pattern(scores, said, known, 0)
    with pytest.raises(DataError, match="legal are"):
        fit_pattern(scores, said[:3], known)
    with pytest.raises(DataError, match="No gold item tells the teachers apart"):
        fit_pattern(scores, said, ~known & known)
