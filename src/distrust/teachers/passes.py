"""How a local module answers with its dropout on, several times over: Monte-Carlo passes, kept as their mean.

Knows modules, batches and evidence. Does not know what a spread of answers is taken for: `distrust.trust` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.dropout import Dropping, dropping, item_keys, pass_keys
from distrust.errors import TeacherError
from distrust.evidence import Cost, Dense, Evidence
from distrust.labels import LabelSpace
from distrust.modules import device_of
from distrust.teachers.asking import call
from distrust.trust.distribution import entropy

ROOM = 2**20  # numbers in a tensor, 4 MB: fewer at once would cost more time than memory
EXPECTED = "expected_entropy"  # feature: the mean over passes of each pass's entropy, in nats


def ask_passes(
    name: str,
    space: LabelSpace,
    module: nn.Module,
    answer: Callable[[Tensor], Tensor],
    batches: Callable[[int], Iterable[Tensor]],
    items: Items,
    passes: int,
    seed: int,
    size: int,
) -> Evidence:
    """The mean answer over passes, each with its own dropout; all passes of a batch are one forward.

    Args:
        name, space: who answers, and what each logit stands for.
        answer: from rows (n,) long to the module's logits (n, C).
        batches: from how many rows at once to rows, every item once, in any order.
        passes: P, 1 or more.
        seed: which units fall is a function of it, of the item's id and of the pass.
        size: items in an ordinary batch, which says how much memory there is.

    Returns:
        Logits that are the log of the mean distribution (MUKA, equation 3), its likeliest class as claim, and the feature
        ``expected_entropy`` (B,). The passes are not kept.

    Raises:
        TeacherError: a module without dropout, or what `ask_module` raises.
    """
    mean = torch.zeros(len(items), len(space))
    expected = torch.zeros(len(items))
    keys = item_keys(items.ids, seed).to(device_of(module))
    with dropping(module) as draws:
        forward = _Forward(name, draws, answer, len(space))
        for rows in batches(forward.rows_at_once(next(iter(batches(1)), None), keys, passes, size)):
            said = forward(rows, pass_keys(keys[rows.to(keys.device)], passes)).float().softmax(-1)  # (P, n, C)
            mean[rows] = said.mean(0).cpu()
            expected[rows] = entropy(said).mean(0).cpu()
    claims = mean.argmax(-1).unsqueeze(0)
    return Evidence(name, items.ids, space, claims, Dense(mean.log()), {EXPECTED: expected}, cost=Cost.free(len(items)))


class _Forward:
    """Several passes over the same rows at once.

    They are mapped by `torch.vmap` over the draws alone, so that all below the first dropout, which no draw reaches, is
    worked out once for all passes. A module that cannot be mapped reads its rows once a pass instead, for the same answers.
    """

    def __init__(self, name: str, draws: Dropping, answer: Callable[[Tensor], Tensor], classes: int) -> None:
        self._name, self._draws, self._answer, self._classes = name, draws, answer, classes
        self._mapped = True

    def rows_at_once(self, row: Tensor | None, keys: Tensor, passes: int, size: int) -> int:
        """So many that the largest tensor is no larger than an ordinary batch's, or than ROOM: by trial on a row (1,)."""
        if row is None:
            return size
        self._draws.begin(keys[row.to(keys.device)])
        call(self._name, self._answer, row, self._classes)
        if not self._draws.met:
            raise TeacherError(
                f"{self._name} has no dropout above 0, so every pass of it would be the same; "
                "use a score of one pass: entropy, energy or max_logit."
            )
        below, above = self._draws.widest
        most = max(size * max(below, above), ROOM)
        return max(1, most // max(below, passes * above))

    def __call__(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Rows (n,) long and keys (P, n) to logits (P, n, C)."""
        if self._mapped:
            try:
                return torch.vmap(lambda own: self._one(rows, own))(keys)
            except (TeacherError, RuntimeError):  # values that Python looks at, layers without a rule: said by either
                self._mapped = False
        return self._one(rows.repeat(len(keys)), keys.flatten()).reshape(len(keys), len(rows), -1)

    def _one(self, rows: Tensor, keys: Tensor) -> Tensor:
        self._draws.begin(keys)
        return call(self._name, self._answer, rows, self._classes)
