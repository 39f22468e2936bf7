"""From trust to items: which of them are believed.

Knows a trust per item, item ids and groups. Knows nothing of where trust comes from, or of what becomes of the items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from distrust.errors import DataError

Ties = Literal["id", "all"]


def most_trusted(trust: Tensor, keep: float, ids: Sequence[str], groups: Tensor | None = None, ties: Ties = "id") -> Tensor:
    """The share `keep` of the items that is trusted most: (N,) to a mask (N,) bool. The items' order changes nothing.

    Args:
        trust: (N,) finite.
        keep: r, in (0, 1]: exactly round(r · N) items are kept.
        ids: N item ids, which decide between items of equal trust.
        groups: (N,) long, or None. Of a group of n, r · n rounded down or up are kept: up where most of an item would be
            lost, then where the next item is trusted most, so that the whole is still round(r · N).
        ties: `id`, or `all`: whatever is trusted as much as the last kept item (of its group) is kept too, beyond r · N.

    Raises:
        DataError: a `keep` outside (0, 1], trust that is not finite, or lengths that differ.

    Source: Peer-Advised KD, equation 1: M(Y, r) is the trust of the last kept item; its ≥ is `ties="all"`.
    """
    if not 0 < keep <= 1:
        raise DataError(f"keep is {keep}; legal is a share above 0 and up to 1.")
    if not len(trust) == len(ids) == (len(ids) if groups is None else len(groups)):
        raise DataError(f"There are {len(trust)} trusts for {len(ids)} items; each item has one, and one group.")
    if not bool(trust.isfinite().all()):
        raise DataError("A trust is not finite, so it ranks nowhere; legal is any finite number.")
    value = trust.tolist()
    order = sorted(range(len(ids)), key=lambda row: (-value[row], ids[row]))
    members: dict[int, list[int]] = {}  # of each group, its items as places in the order: the most trusted first
    of = [0] * len(ids) if groups is None else groups.tolist()
    for place, row in enumerate(order):
        members.setdefault(of[row], []).append(place)
    kept = torch.zeros(len(ids), dtype=torch.bool)
    for places, seats in _seats(list(members.values()), keep):
        last = value[order[places[seats - 1]]] if seats else None
        tied = [place for place in places[seats:] if ties == "all" and value[order[place]] == last]
        kept[[order[place] for place in (*places[:seats], *tied)]] = True
    return kept


def rows(mask: Tensor) -> Tensor:
    """The rows of a mask (N,) bool, in order: (n,) long, as training sets and items are selected by."""
    return mask.nonzero().squeeze(-1)


def _seats(members: Sequence[Sequence[int]], keep: float) -> list[tuple[Sequence[int], int]]:
    """Each group's places, and how many of them are kept: round(keep · N) in all, largest remainders first.

    Among equal remainders the group comes first whose next item does.
    """
    shares = [keep * len(places) for places in members]
    seats = [math.floor(share + 1e-9) for share in shares]  # .29 · 100 is 28.999999999999996
    more = [group for group, places in enumerate(members) if seats[group] < len(places)]
    more.sort(key=lambda group: (-round(shares[group] - seats[group], 9), members[group][seats[group]]))
    left = round(keep * sum(map(len, members))) - sum(seats)
    for group in more[:left]:
        seats[group] += 1
    return list(zip(members, seats, strict=True))
