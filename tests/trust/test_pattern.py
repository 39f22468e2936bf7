"""Patterns: learned from gold or from the items that one source leads on; worth more than scores that are blind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.trust.adequacy import found
from distrust.trust.pattern import fit_pattern, self_taught


def world(count: int = 400, seed: int = 0, clear: float = 1.2) -> tuple[Tensor, Tensor, Tensor]:
    """Energies that tell a little of who knows, what was said (which tells much), and who knows."""
    draw = torch.Generator().manual_seed(seed)
    who = torch.arange(count) % 3
    known = torch.nn.functional.one_hot(who, 3).T.bool()
    scores = clear * known + torch.randn(3, count, generator=draw)
    said = torch.randn(count, 6, generator=draw) + 1.25 * clear * torch.nn.functional.one_hot(2 * who, 6)
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
    scores, said, known = world(900, clear=2.0)
    taught, carries = self_taught(3 * scores, said)
    assert carries > 0.6
    assert found(taught, known).mean() > found(scores, known).mean() + 0.05
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(self_taught(3 * scores[order], said)[0], taught[order], rtol=1e-3, atol=1e-3)


def test_a_pattern_that_does_not_carry_is_not_believed() -> None:
    scores, said, _ = world(900)
    noise = torch.randn(said.shape, generator=torch.Generator().manual_seed(9))
    taught, carries = self_taught(3 * scores, noise)
    assert carries < 0.3
    torch.testing.assert_close(taught, (3 * scores).log_softmax(0))


def test_silence_and_lonely_sources() -> None:
    scores, said, known = world(60)
    scores[0, :5] = -torch.inf
    scores[:, 5] = -torch.inf
    taught, _ = self_taught(scores, said)
    assert bool((taught[0, :5] == -torch.inf).all() & (taught[:, 5] == -torch.inf).all()) and not bool(taught.isnan().any())
    assert bool((fit_pattern(scores, said, known).scores(scores, said)[0, :5] == -torch.inf).all())
    ahead = torch.tensor([[9.0] * 60, [0.0] * 60])
    taught, carries = self_taught(ahead, said)
    assert carries == 0 and taught.softmax(0)[0].min() > 0.99, "one source leads everywhere: nothing to learn from"
    assert self_taught(ahead[:1], said)[0].tolist() == [[0.0] * 60]


def test_mistakes_are_sentences() -> None:
    scores, said, known = world(12)
    with pytest.raises(DataError, match="strength is 0"):
        fit_pattern(scores, said, known, 0)
    with pytest.raises(DataError, match="legal are"):
        fit_pattern(scores, said[:3], known)
    with pytest.raises(DataError, match="No gold item tells the teachers apart"):
        fit_pattern(scores, said, ~known & known)
