"""peer-advised: a scout finds the doubtful claims, a peer that never saw them corrects them. Zhao 2023 (arXiv 2312.10185).

T is the pool as the teachers labelled it, S0 the scout, S1 the peer, S2 the student; each starts afresh.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust.evidence import Evidence
from distrust.labelled import Labelled
from distrust.methods.selective import Selective, better_part
from distrust.methods.voted import doubtable, relabelled, voted
from distrust.run import Run
from distrust.students import Student


class PeerAdvised(Selective):
    """Options of peer-advised."""

    gate: Literal["none"] = Field(
        "none", description="which doubted items are told the peer's claim; `none`: all (the paper)"
    )


def peer_advised(run: Run, options: PeerAdvised) -> Student:
    """Zhao 2023, section 3 and appendix D.3: six steps from the teachers' labels to a student."""
    pool = doubtable(run, voted(run))  # T
    scout = run.fit("scout", run.with_gold(pool, options.gold_weight), epochs=options.scout_epochs)  # 1
    high = better_part(run, scout, pool, options)  # 2 and 3: T_high; the rest is T_low
    low = (~high).nonzero().squeeze(-1)
    if len(low):
        peer = run.fit("peer", run.with_gold(pool.select(high.nonzero().squeeze(-1)), options.gold_weight))  # 4
        pool = _advised(pool, low, run.ask(peer, pool.items.select(low)))  # 5
    return run.fit("student", run.with_gold(pool, options.gold_weight))  # 6


def _advised(pool: Labelled, low: Tensor, said: Evidence) -> Labelled:
    """T_high and T_low, the latter told what the peer says where it is believed, in the pool's own order.

    So a peer that changes no label leaves plain distillation, bit for bit.
    """
    doubted = pool.select(low)
    believed = _peer_is_believed(doubted, said)  # (n,)
    targets = pool.targets.clone()
    targets[low] = torch.where(believed.unsqueeze(-1), relabelled(doubted, said).targets, doubted.targets)
    return pool.told_as(targets)


def _peer_is_believed(doubted: Labelled, said: Evidence) -> Tensor:
    """Which doubted items are told the peer's claim instead of the teachers': (n,) bool. Without a gate, all of them."""
    return torch.ones(len(doubted), dtype=torch.bool)
