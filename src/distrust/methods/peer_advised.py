"""peer-advised: a scout finds the doubtful claims, a peer that never saw them corrects them. Zhao 2023 (arXiv 2312.10185).

T is the pool as the teachers labelled it, S0 the scout, S1 the peer, S2 the student; each starts afresh.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from distrust.claimed import told_by
from distrust.errors import RunError
from distrust.labelled import Labelled
from distrust.methods.gates import by_gold, by_halves, texts_by_gold
from distrust.methods.selective import Selective, better_part, check_suited
from distrust.methods.voted import classes, doubtable, voted
from distrust.run import Run
from distrust.select import rows
from distrust.students import Student


class PeerAdvised(Selective):
    """Options of peer-advised."""

    gate: Literal["auto", "gold", "halves", "none"] = Field(
        "auto",
        description="which claims are replaced. `none`: all of the doubted half, by the peer's (the paper); `gold`: where "
        "by gold another class is likelier, the doubtful left out; `halves`: all of that half or none, by whether it helps "
        "to foresee unseen claims; `auto`: `gold` where there is gold, else `none`",
    )


def peer_advised(run: Run, options: PeerAdvised) -> Student:
    """Zhao 2023, section 3 and appendix D.3, with a gate before its fifth step."""
    gate = _gate(run, options)
    pool = doubtable(run, voted(run, texts=True))  # T
    if gate == "gold":
        told = by_gold(run, pool, options.scout_epochs) if run.answers is None else texts_by_gold(run, pool, run.answers)
    elif gate == "halves":
        bare = options.model_copy(update={"gold_weight": 0.0})
        told = by_halves(run, pool, lambda part, name, gold: advised(run, part, options if gold else bare, name))
    else:
        told = advised(run, pool, options)
    return run.fit("student", run.with_gold(told, options.gold_weight))  # 6


def advised(run: Run, pool: Labelled, options: PeerAdvised, name: str = "") -> Labelled:
    """The paper's first five steps: T to T_high and the relabelled T_low, in T's own order.

    Where the peer changes nothing, plain distillation is left, bit for bit.
    """
    scout = run.fit(f"scout{name}", run.with_gold(pool, options.gold_weight), epochs=options.scout_epochs)  # 1
    high = better_part(run, scout, pool, options)  # 2 and 3: T_high; the rest is T_low
    doubted = pool.items.select(rows(~high))
    if not len(doubted):
        return pool
    peer = run.fit(f"peer{name}", run.with_gold(pool.select(rows(high)), options.gold_weight))  # 4
    return pool.relabelled(told_by([run.ask(peer, doubted)], doubted, classes(run)))  # 5


def _gate(run: Run, options: PeerAdvised) -> str:
    """The gate to use. Raises RunError where gold is to judge and there is none, or an option suits not or goes unused."""
    check_suited(run, options)
    judges = len(run.gold.part("trust"))
    if options.gate == "gold" and not judges:
        raise RunError("gate: gold is judged on gold, and there is none for it; give gold, or set gate: halves.")
    if options.gate == "auto" and not judges:
        run.note("No gold serves trust, so nothing gates the peer: the doubted half is told what the peer claims.")
        return "none"
    if options.gate in ("halves", "none"):
        return options.gate
    idle = {"keep", "score", "balance", "ties"} | ({"scout_epochs"} if run.answers is not None else set())
    unused = sorted(options.model_fields_set & idle)
    if unused:
        raise RunError(f"{unused[0]} belongs to the gates `none` and `halves`; leave it out, or set gate: none.")
    return "gold"
