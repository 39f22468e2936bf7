"""What a report is made from: plain values gathered by a run.

Knows what a page may show. Does not know how any of it was computed, and reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from distrust.data import Items
from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.labels import LabelSpace


@dataclass(frozen=True)
class Spending:
    """What one teacher cost so far, from the ledger (or its price list, for recorded answers)."""

    teacher: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    money: float | None  # None is "unknown", never 0
    unknown_outcome: int = 0  # calls charged at their reservation because a kill hid their outcome
    failed: int = 0
    ended: str = "complete"  # or the name of the cap that ended buying, such as "budget.calls"


@dataclass(frozen=True)
class Texts:
    """What was written about the test items, and what was wanted."""

    wanted: Sequence[str]  # N
    said: Mapping[str, Sequence[str | None]]  # by student or teacher, N each; None: no answer
    sampled: Mapping[str, Any] | None = None  # what the student samples beside its language models: `open_facts.beside`


@dataclass(frozen=True)
class LearningCurve:
    """What human labels alone teach: students of rising numbers of them."""

    labels: Sequence[int]  # K, two or more
    right: Tensor  # (K, N_test) bool


@dataclass(frozen=True)
class Buying:
    """The students that stages of buying leave, on the test items."""

    items: Sequence[int]  # K numbers that each teacher had been asked about; 0 is a student of gold alone
    money: Sequence[float | None]  # K sums that teachers and assistant had cost by then; None is "unknown"
    right: Tensor  # (K, N_test) bool
    calls: Sequence[int] = ()  # K numbers of answers of teachers and assistant, each sample one; none: of an older version


@dataclass(frozen=True)
class Facts:
    """One run, ready to be shown."""

    title: str
    method: str
    options: Mapping[str, Any]
    recipe: Mapping[str, Any]  # with ${NAME} unexpanded
    space: LabelSpace
    pool: Items
    evidence: Sequence[Evidence]  # each teacher on the pool, in its own label space
    kinds: Mapping[str, str]  # teacher name: "recorded", "classifier", "endpoint"
    gold: Gold | None
    targets: Tensor | None  # (N_pool, C) what the student was told; zero rows: left out
    target_weight: Tensor | None  # (N_pool,)
    test: Items | None
    test_labels: Tensor | None  # (N_test,) long
    predictions: Mapping[str, Tensor]  # "student", "gold-only", ...: (N_test, C) probabilities
    test_evidence: Sequence[Evidence]  # teachers that could be asked about the test items at no price
    history: Sequence[Mapping[str, Any]]  # rows of metrics.jsonl
    spending: Sequence[Spending]
    gold_evidence: Sequence[Evidence] = ()  # teachers on gold items; needed only where gold is outside the pool
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()  # what the method decided by itself, and why: a sentence each
    simulated: Sequence[str] = ()  # one sentence for each part that stands in for something real
    open_answers: bool = False  # then classes are places in each item's own list of answers: `open_facts` made them
    texts: Texts | None = None  # where answers are open: what was written about the test items
    weights: Tensor | None = None  # (M, N_pool) how much each teacher counted; None: the method gives no such weights
    what_if: Mapping[str, Tensor] = field(default_factory=dict)  # "as it was" and others: (N_test, C), of distrust.whatif
    curve: LearningCurve | None = None  # where the recipe asks what the student is worth in human labels
    signals: Mapping[str, Any] = field(default_factory=dict)  # what gold says of signals: `report.signals.figures`
    choice: Sequence[Mapping[str, Any]] = ()  # methods that were tried before one was chosen: `methods.auto.Tried.row`
    buying: Buying | None = None  # where the method bought in stages
    environment: Mapping[str, Any] = field(default_factory=dict)  # versions, threads, device, seed, seconds
