"""peer-advised: a scout finds the doubtful claims, a peer that never saw them corrects them. Zhao 2023 (arXiv 2312.10185).

T is the pool as the teachers labelled it, S0 the scout, S1 the peer, S2 the student; each starts afresh.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust.claimed import told_by
from distrust.evidence import Evidence
from distrust.labelled import Labelled
from distrust.methods.selective import Selective, better_part
from distrust.methods.voted import doubtable, voted
from distrust.run import Run
from distrust.select import rows
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
    doubted = pool.select(rows(~high))
    if len(doubted):
        peer = run.fit("peer", run.with_gold(pool.select(rows(high)), options.gold_weight))  # 4
        said = run.ask(peer, doubted.items)
        advice = told_by([said], doubted.items, run.space)
        pool = pool.relabelled(advice.select(rows(_peer_is_believed(doubted, said))))  # 5, in the pool's own order
    return run.fit("student", run.with_gold(pool, options.gold_weight))  # 6


def _peer_is_believed(doubted: Labelled, said: Evidence) -> Tensor:
    """Which doubted items are told the peer's claim instead of the teachers': (n,) bool. Without a gate, all of them.

    Where none is, plain distillation is left, bit for bit.
    """
    return torch.ones(len(doubted), dtype=torch.bool)
