"""selective: learn from the claims that a scout finds likely, and leave the rest. Zhao 2023, "Selective KD".

The first half of Peer-Advised KD: a scout, trained too briefly to memorise mistakes, ranks the claims it was trained on.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust.errors import RunError
from distrust.labelled import Labelled
from distrust.methods.voted import GoldWeight, agreed, check_score, doubtable, voted
from distrust.recipe import Strict
from distrust.run import Run
from distrust.select import Ties, most_trusted, rows
from distrust.students import Student


class Selective(Strict):
    """Options of selective."""

    scout_epochs: int = Field(
        2, gt=0, description="how long the scout learns: long enough to generalise, too short to memorise"
    )
    keep: float = Field(0.5, gt=0, le=1, description="share of the claims that is believed; 1: plain distillation")
    score: Literal["label_likelihood", "match", "exact_match", "token_f1", "rouge_l"] | None = Field(
        None,
        description="the scout's agreement with a claim: its probability, 1 where it claims the same (`match`), or how "
        "alike the texts are; default: `label_likelihood` for classes, `token_f1` for texts",
    )
    balance: Literal["per-class", "none"] = Field(
        "per-class",
        description="`per-class`: that share of every class's claims; `none`, and of texts always: of all, hard ones lost",
    )
    ties: Ties = Field(
        "id", description="of equal agreement: `id` decides, for an exact share; `all` are kept (equation 1's ≥)"
    )
    gold_weight: GoldWeight = 1.0


def selective(run: Run, options: Selective) -> Student:
    """Scout, rank, keep the better part, train on it alone."""
    check_suited(run, options)  # before anybody is asked, or paid
    pool = doubtable(run, voted(run, texts=True))
    scout = run.fit("scout", run.with_gold(pool, options.gold_weight), epochs=options.scout_epochs)
    high = better_part(run, scout, pool, options)
    return run.fit("student", run.with_gold(pool.select(rows(high)), options.gold_weight))


def check_suited(run: Run, options: Selective) -> None:
    """Raises RunError for an option of classes where answers are open, or the other way round."""
    if options.score is not None:
        check_score(run, options.score)
    if run.answers is not None and options.balance == "per-class" and "balance" in options.model_fields_set:
        raise RunError("balance: per-class is of classes, and open answers have none; leave it out.")


def better_part(run: Run, scout: Student, pool: Labelled, options: Selective) -> Tensor:
    """T_high, the items whose claims the scout agrees with most: (N,) bool.

    Source: Zhao 2023, equation 1; per class and ties as the options say.

    Raises:
        RunError: a share so small that no item is left.
    """
    score = options.score or ("label_likelihood" if pool.texts is None else "token_f1")
    agreement = agreed(run, run.ask(scout, pool.items), pool, score)  # (N,) c_i
    claimed = torch.unique(pool.targets, dim=0, return_inverse=True)[1]  # (N,) which claim; a tied vote is one of its own
    groups = claimed if options.balance == "per-class" and pool.texts is None else None
    high = most_trusted(agreement, options.keep, pool.items.ids, groups, options.ties)
    if not bool(high.any()):
        raise RunError(f"keep: {options.keep} of {len(pool)} items is none; raise it, or give more items.")
    if pool.texts is None:
        _warn_of_lost_classes(run, pool, high, options.balance)
    return high


def _warn_of_lost_classes(run: Run, pool: Labelled, high: Tensor, balance: str) -> None:
    """Say which claimed classes have no item left: a student of T_high alone cannot know them."""
    lost = (pool.targets > 0).any(0) & ~(pool.targets[high] > 0).any(0)
    if names := [run.space.names[one] for one in lost.nonzero().squeeze(-1).tolist()]:
        run.warn(
            f"The scout agrees too little with every claim of {', '.join(names[:5])}{' and more' * (len(names) > 5)}: "
            f"{len(names)} of the claimed classes have no item in the better part; "
            + ("balance: per-class keeps some of each." if balance == "none" else "a larger keep leaves fewer out.")
        )
