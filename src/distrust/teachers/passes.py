"""How a local module answers with its dropout on, several times over: Monte-Carlo passes, kept as their mean.

Knows modules, batches and evidence. Does not know what a spread of answers is taken for: `distrust.trust` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.dropout import dropping, item_keys, pass_keys
from distrust.errors import TeacherError
from distrust.evidence import Cost, Dense, Evidence
from distrust.labels import LabelSpace
from distrust.modules import device_of
from distrust.teachers.asking import call
from distrust.trust.distribution import entropy

EXPECTED = "expected_entropy"  # feature: the mean over passes of each pass's entropy, in nats


def ask_passes(
    name: str,
    space: LabelSpace,
    module: nn.Module,
    answer: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    items: Items,
    passes: int,
    seed: int,
) -> Evidence:
    """The mean answer over passes, each with its own dropout; all passes of a batch are one forward.

    Args:
        name, space: who answers, and what each logit stands for.
        answer: from rows (n,) long, of which each stands there once a pass, to the module's logits (n, C).
        batches: rows, every item once, in any order.
        passes: P, 1 or more.
        seed: which units fall is a function of it, of the item's id and of the pass.

    Returns:
        Logits that are the log of the mean distribution (MUKA, equation 3), its likeliest class as claim, and the feature
        ``expected_entropy`` (B,). The passes are not kept.

    Raises:
        TeacherError: a module without dropout, or what `ask_module` raises.
    """
    mean = torch.zeros(len(items), len(space))
    expected = torch.zeros(len(items))
    here = device_of(module)
    keys = item_keys(items.ids, seed).to(here)
    with dropping(module) as draws:
        for rows in batches:
            draws.begin(pass_keys(keys[rows.to(here)], passes))
            said = call(name, answer, rows.repeat(passes), len(space)).float().softmax(-1)
            if not draws.met:
                raise TeacherError(
                    f"{name} has no dropout above 0, so every pass of it would be the same; "
                    "use a score of one pass: entropy, energy or max_logit."
                )
            said = said.reshape(passes, len(rows), -1)
            mean[rows] = said.mean(0).cpu()
            expected[rows] = entropy(said).mean(0).cpu()
    claims = mean.argmax(-1).unsqueeze(0)
    return Evidence(name, items.ids, space, claims, Dense(mean.log()), {EXPECTED: expected}, cost=Cost.free(len(items)))
