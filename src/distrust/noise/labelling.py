"""Which items a person should label next, to learn most of a teacher's mistakes.

Knows what is known of each claimed class, and which items are in doubt. Knows nothing of how it came to be known.
"""

from __future__ import annotations

import heapq

import torch
from torch import Tensor

from distrust.noise.estimate import Noise


def next_to_label(
    noise: Noise, claims: Tensor, count: int, known: Tensor | None = None, texts: Tensor | None = None
) -> list[int]:
    """Rows of up to `count` items whose gold label would help most, best first.

    Args:
        noise: of these claims.
        claims: (N,) long.
        count: how many.
        known: (n,) long rows that gold has labelled already.
        texts: (N,) long, equal where items are copies of one text, which nobody labels twice; None: no two are.

    An item's claimed class is worth the drop that one more gold label is expected to bring to the variance of the number of
    wrong claims of that class: claimed² · p (1 - p) / ((w + 1) (w + 2)), with w what its row of the matrix is worth in gold
    labels (the Beta's own arithmetic). Every item taken counts as labelled, so that a list spreads over classes. Within a
    class the item in most doubt goes first, where teacher and student disagree and neither is clearly right.

    Items chosen like this are no random sample: they mend the matrix and the list of suspects, and bias a noise rate that
    is estimated from them.
    """
    doubt = (noise.wrong - 0.5).abs()
    of = (torch.arange(len(claims)) if texts is None else texts).tolist()
    met = set() if known is None else {of[row] for row in known.tolist()}
    queues: dict[int, list[int]] = {}
    for row in doubt.argsort(stable=True).tolist():
        if of[row] not in met:
            met.add(of[row])
            queues.setdefault(int(claims[row]), []).append(row)
    right: list[float] = noise.matrix.diagonal().tolist()
    weight: list[float] = noise.weight.tolist()

    def gain(label: int, more: int) -> float:
        held = weight[label] + more
        claimed = int(noise.claimed[label])
        return claimed * claimed * right[label] * (1 - right[label]) / ((held + 1) * (held + 2))

    heap = [(-gain(label, 0), label, 0) for label in sorted(queues)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < count:
        _, label, taken = heapq.heappop(heap)
        chosen.append(queues[label][taken])
        if taken + 1 < len(queues[label]):
            heapq.heappush(heap, (-gain(label, taken + 1), label, taken + 1))
    return chosen
