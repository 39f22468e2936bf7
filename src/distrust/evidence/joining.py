"""What one source said of several sets of items, as one.

Knows how claims, open candidates and all that hangs on an item are put end to end. Knows nothing of other sources.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distrust import mapped
from distrust.errors import DataError
from distrust.evidence.value import Cost, Evidence, pad_samples
from distrust.labels import Candidates, LabelSpace
from distrust.logits import Dense


def join(parts: Sequence[Evidence]) -> Evidence:
    """What one source said of several sets of items, as one; of an item in two sets the first answer stays.

    Logits, features, texts and costs are kept where every part has them.

    Raises:
        DataError: no part, or parts of different sources or label spaces.
    """
    open_answers = all(isinstance(part.space, Candidates) for part in parts)
    alike = all(part.source == parts[0].source and (open_answers or part.space == parts[0].space) for part in parts)
    if not parts or not alike:
        raise DataError("Only what one source said in one label space can be joined.")
    seen: set[str] = set()
    fresh: list[Evidence] = []
    for part in parts:
        new = [row for row, item in enumerate(part.ids) if item not in seen]
        if new or not fresh:  # a part that tells nothing new adds no notes either
            fresh.append(part.select(new))
        seen.update(part.ids)
    samples = max(part.claims.shape[0] for part in fresh)
    dense = [part.logits.dense() for part in fresh if part.logits is not None]
    costs = [part.cost for part in fresh if part.cost is not None]
    texts = [part.texts for part in fresh if part.texts is not None]
    shared = set.intersection(*(set(part.features) for part in fresh))
    return Evidence(
        source=parts[0].source,
        ids=tuple(item for part in fresh for item in part.ids),
        space=_joined([part.space for part in fresh]),
        claims=torch.cat([pad_samples(claims, samples) for claims in _renumbered(fresh)], 1),
        logits=Dense(torch.cat(dense)) if len(dense) == len(fresh) else None,
        features={name: mapped.concatenate([part.features[name] for part in fresh]) for name in shared},
        texts=[text for one in texts for text in one] if len(texts) == len(fresh) else None,
        cost=Cost.join(costs) if len(costs) == len(fresh) else None,
        notes={name: sum(part.notes.get(name, 0) for part in fresh) for part in fresh for name in part.notes},
    )


def _joined(spaces: Sequence[LabelSpace | Candidates]) -> LabelSpace | Candidates:
    """One label space, or all items' candidates, as wide as the widest."""
    lists = [space.answers for space in spaces if isinstance(space, Candidates)]
    if not lists:
        return spaces[0]
    return Candidates(tuple(one for answers in lists for one in answers), width=max(len(space) for space in spaces))


def _renumbered(parts: Sequence[Evidence]) -> list[Tensor]:
    """Claims of parts that become one: "none of these" is the last column, which moves where lists get wider."""
    widest = max(len(part.space) for part in parts)
    return [
        torch.where(part.claims == len(part.space) - 1, widest - 1, part.claims)
        if isinstance(part.space, Candidates)
        else part.claims
        for part in parts
    ]
