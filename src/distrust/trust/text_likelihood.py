"""Trust in a text, read off how likely an assistant finds its words.

Knows sums of log-probabilities and numbers of tokens. Does not know whether what is likely is right: fluent mistakes are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError


def text_likelihood(logp: Tensor, tokens: Tensor) -> Tensor:
    """exp of the mean log-probability a token: (B,) nats and (B,) counts to (B,) in [0, 1]; NaN without a token.

    Twice the text at the same log-probability a token is as likely as once: length alone changes nothing.

    Raises:
        DataError: shapes that differ, a log-probability above 0, or a negative count.

    Source: TA-in-the-loop card, equation A2c. `students.likelihood` gives both numbers for a causal model.
    """
    if logp.shape != tokens.shape or bool((logp > 1e-4).any()) or bool((tokens < 0).any()):
        raise DataError(f"Log-probabilities {tuple(logp.shape)} are at most 0, one for each count {tuple(tokens.shape)}.")
    return (logp / tokens).exp().clamp(max=1).where(tokens > 0, torch.nan)
