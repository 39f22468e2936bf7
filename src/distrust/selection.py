"""Which items to buy answers for, under a budget: by need, by the baselines' scores, or spread over the pool.

Knows a number an item, item ids and features. Knows nothing of where the numbers come from, of prices or of teachers. The
items' order changes nothing: between equal ones a hash of seed and id decides, so that no part of the pool comes first.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from distrust.errors import DataError, nearest
from distrust.evidence import Evidence
from distrust.trust.consistency import self_certainty
from distrust.trust.distribution import certainty, margin

CHUNK = 65_536  # rows of features looked at together
HOW = ("entropy", "margin")
Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]
Rows = np.ndarray[tuple[int], np.dtype[np.int64]]


def stages(budget: int, pool: int, warm_up: float) -> tuple[int, int]:
    """How many items are bought at random before there is a student to ask, and how many after.

    Args:
        budget: Q answers; more than the pool's items buys the pool. warm_up: ρ, the share of them that comes first.

    Raises:
        DataError: a share outside [0, 1], or a budget so small that a stage that is wanted would be empty.

    Source: TA-in-the-loop card, algorithm, lines 1 and 4 (a reconstruction, not the paper's text).
    """
    if not 0 <= warm_up <= 1:
        raise DataError(f"The warm-up's share is {warm_up}; legal is 0 to 1.")
    bought = min(budget, pool)
    first = round(warm_up * bought)
    if bought < 1 or (warm_up > 0 and not first) or (warm_up < 1 and first == bought):
        least = max([1, *(int(1 / share) + 1 for share in (warm_up, 1 - warm_up) if 0 < share < 1)])
        raise DataError(f"{bought} answers leave a stage empty at a warm-up of {warm_up}; give {least} or more.")
    return first, bought - first


def need(consistency: Tensor | None, assistant: Tensor | None, weight: float = 0.5) -> Tensor:
    """u(x), how much an item needs the teacher: 1 - [λ · consistency + (1 - λ) · assistant's confidence], (N,) in [0, 1].

    Args:
        consistency: (N,) SC of the student's samples; None: switched off.
        assistant: (N,) its confidence in the student's answer; None: switched off.
        weight: λ. A signal that is NaN at an item has no say there, and the other speaks alone; 1 where neither does.

    Raises:
        DataError: no signal, or a λ outside [0, 1], or one that leaves the only signal out, or lengths that differ.

    Source: TA-in-the-loop card, equation A3.
    """
    if not 0 <= weight <= 1:
        raise DataError(f"The weight of self-consistency is {weight}; legal is 0 to 1.")
    parts = [(share, one) for share, one in ((weight, consistency), (1 - weight, assistant)) if one is not None and share]
    if not parts:
        raise DataError("Need is read off self-consistency or off an assistant, and both are switched off.")
    if len({one.shape for _, one in parts}) > 1:
        raise DataError("Self-consistency and the assistant's confidence are of different items; each item has both.")
    known = [one.double().nan_to_num(0.0) * share for share, one in parts]
    shares = [one.isfinite().double() * share for share, one in parts]
    trust, total = torch.stack(known).sum(0), torch.stack(shares).sum(0)
    return 1 - torch.where(total > 0, trust / total.clamp(min=1e-12), 0.0)


def uncertainty(evidence: Evidence, how: Literal["entropy", "margin"]) -> Tensor:
    """How unsure a source is: (B,) in [0, 1]; 1 where it says nothing. `entropy` and `margin` are the baselines' scores.

    Source: Shannon entropy and margin sampling as in Settles 2009, section 3.1.
    """
    if how not in HOW:
        raise DataError(f"There is no uncertainty by {how!r}; {nearest(how, HOW)}.")
    chances = evidence.distribution()
    return 1 - (certainty(chances) if how == "entropy" else margin(chances))


def disagreement(claims: Tensor, classes: int) -> Tensor:
    """Query by committee: vote entropy of V members, normalised: (V, B) long, -1 abstains, to (B,) in [0, 1].

    An abstention agrees with nobody. Source: Dagan and Engelson 1995; Settles 2009, section 3.2.
    """
    return 1 - self_certainty(claims, classes, classes)


def ranked(scores: Tensor, ids: Sequence[str], count: int | None = None, seed: int = 0) -> Tensor:
    """The rows of the `count` largest scores, the largest first: (N,) to (count,) long. All alike: at random.

    Args:
        scores: (N,) finite.
        ids: N unique item ids.
        count: default all; more than N gives N.
        seed: of the order of equal scores.

    Raises:
        DataError: lengths that differ, a score that is not finite, a negative count.
    """
    if scores.dim() != 1 or len(scores) != len(ids) or (count is not None and count < 0):
        raise DataError(f"{tuple(scores.shape)} scores do not rank {len(ids)} items for {count} places.")
    values = scores.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        raise DataError("A score is not finite, so it ranks nowhere; legal is any finite number.")
    size = len(ids) if count is None else min(count, len(ids))
    if not size:
        return torch.zeros(0, dtype=torch.long)
    last = np.partition(values, len(values) - size)[len(values) - size]
    sure, tied = np.flatnonzero(values > last), np.flatnonzero(values == last)
    chosen = [_ordered(sure, values, ids, seed), _ordered(tied, values, ids, seed)[: size - len(sure)]]
    return torch.from_numpy(np.concatenate(chosen))


def at_random(ids: Sequence[str], count: int, seed: int = 0) -> Tensor:
    """Rows (count,) long at random, a function of seed and ids alone: the first ones are the same for every count."""
    return ranked(torch.zeros(len(ids)), ids, count, seed)


def k_centres(features: Tensor, ids: Sequence[str], count: int, taken: Tensor | None = None, seed: int = 0) -> Tensor:
    """Rows that are spread over the pool: each next one is farthest from all that were taken before it.

    Args:
        features: (N, D) finite; distances are Euclidean.
        ids: N unique item ids; count: how many rows.
        taken: (n,) rows that are there already and are not chosen again; without any, the first one is random.

    Returns:
        (count,) long, in the order of choice. Time count · N · D, memory N beyond the features.

    Raises:
        DataError: lengths that differ, a feature that is not finite, or a count that is more than what is left.

    Source: Gonzalez 1985; Sener and Savarese 2018, algorithm 1.
    """
    if features.dim() != 2 or len(features) != len(ids) or not bool(features.isfinite().all()):
        raise DataError(f"Features {tuple(features.shape)} do not spread {len(ids)} items; legal is (items, D), all finite.")
    before = [] if taken is None else taken.tolist()
    if not 0 <= count <= len(ids) - len(set(before)):
        raise DataError(f"{count} items cannot be chosen of {len(ids) - len(set(before))} that are left.")
    order = at_random(ids, len(ids), seed)  # the farthest one that comes first in it is chosen
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    data, nearby = features[order].float(), torch.full((len(order),), torch.inf)
    chosen: list[int] = []

    def take(row: int) -> None:
        for start in range(0, len(data), CHUNK):
            part = slice(start, start + CHUNK)
            nearby[part] = torch.minimum(nearby[part], (data[part] - data[row]).square().sum(-1))
        nearby[row] = -1.0  # a minimum from now on, also among copies

    for row in before:
        take(int(place[row]))
    for _ in range(count):
        chosen.append(int(nearby.argmax()))
        take(chosen[-1])
    return order[torch.tensor(chosen, dtype=torch.long)]


def _ordered(rows: Rows, values: np.ndarray[tuple[int], np.dtype[np.float64]], ids: Sequence[str], seed: int) -> Rows:
    """Rows by value, the largest first, then by the hash of seed and id; ids themselves where that is equal too."""
    keys = _keys([ids[row] for row in rows.tolist()], seed)
    order = np.lexsort((keys, -values[rows]))
    found, keys = rows[order], keys[order]
    same = np.flatnonzero((keys[1:] == keys[:-1]) & (values[found[1:]] == values[found[:-1]]))
    if len(same):  # one pair in four thousand million
        alike = np.union1d(same, same + 1)
        tie = np.zeros(len(found), dtype=np.int64)
        tie[sorted(alike.tolist(), key=lambda place: ids[int(found[place])])] = np.arange(len(alike))
        found = found[np.lexsort((tie, keys, -values[found]))]
    return found


def _keys(ids: Sequence[str], seed: int) -> Keys:
    """A number an id, spread by SplitMix64 (Steele et al. 2014): (n,)."""
    checks = (zlib.crc32(one.encode("utf-8", "surrogatepass")) for one in ids)
    number = np.fromiter(checks, np.uint64, len(ids)) + np.uint64(zlib.crc32(str(seed).encode()) << 32)
    with np.errstate(over="ignore"):
        number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))
