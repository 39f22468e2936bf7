"""Length-normalised likelihood: the card's trap 8, and that a causal model's own figure is the same."""

from __future__ import annotations

import pytest
import torch

from distrust.errors import DataError
from distrust.students.likelihood import Likelihood
from distrust.trust import text_likelihood


def test_length_alone_changes_nothing() -> None:
    """Trap 8."""
    logp, tokens = torch.tensor([-1.5, -3.0, -15.0]), torch.tensor([1, 2, 10])
    assert text_likelihood(logp, tokens).tolist() == pytest.approx([torch.tensor(-1.5).exp().item()] * 3)


def test_it_is_the_causal_models_figure() -> None:
    found = Likelihood(torch.tensor([-2.0, 0.0], dtype=torch.float64), torch.tensor([4, 3]))
    assert torch.equal(text_likelihood(found.logp, found.tokens), found.per_token)


def test_an_empty_text_is_unknown_and_what_is_no_log_probability_is_refused() -> None:
    assert text_likelihood(torch.tensor([0.0, -torch.inf]), torch.tensor([0, 2])).isnan().tolist() == [True, False]
    assert text_likelihood(torch.tensor([-torch.inf]), torch.tensor([2])).tolist() == [0]
    for logp, tokens in ([0.5], [1]), ([-0.5], [-1]), ([-0.5, -0.5], [1]):
        with pytest.raises(DataError, match="at most 0"):
            text_likelihood(torch.tensor(logp), torch.tensor(tokens))
