"""ta-in-the-loop: spend a small budget of teacher answers where they teach most. After Zhou and Ai 2024 (arXiv 2406.05322).

U is the pool without gold, Q the budget in items, D1 and D2 what is bought, θ1 the warm-up, T the teachers. The paper's
method section was not available to us: this is the reconstruction R1 of our card, whose five lines are numbered here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust import selection
from distrust.bought import Bought
from distrust.claimed import final
from distrust.data import Items, concatenate
from distrust.errors import RunError
from distrust.labelled import Labelled
from distrust.methods.assisted import check_assistant, judges, outcomes, read, samples
from distrust.methods.chances import FEW
from distrust.methods.choosing import Choosing, chosen
from distrust.methods.purchases import Purchase, Shop
from distrust.methods.trying import tried
from distrust.methods.using import Using, lesson
from distrust.methods.voted import GoldWeight
from distrust.run import Run
from distrust.stopping import next_gain
from distrust.students import Student

DECLARED = (
    "The paper's method section was not available to us. The signals, the two stages and the budget are the paper's; the "
    "formulas A1–A5, the thresholds, the order 'choose, buy, filter', the defaults and the assistant's scoring rules are "
    "ours. No number of the paper is reproduced."
)
MANY = 10  # answers, all of which are one by a teacher's fault rather than by chance
Curve = dict[int, Tensor]  # answers bought: where their student is right about gold (g,)


class TaInTheLoop(Choosing, Using):
    """Options of ta-in-the-loop; every default is ours."""

    budget: Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0, le=1)] = Field(
        0.2, description="Q: so many items are asked about, canaries among them; 0.2 and the like: that share of the pool"
    )
    warm_up: float = Field(
        0.3, gt=0, lt=1, description="ρ: the share of them that is bought at random, for the first student"
    )
    stages: int = Field(
        2, gt=0, description="1: all at random; 2: the rest at once; more: the rest in parts, each chosen anew"
    )
    rounds: int = Field(
        0,
        ge=0,
        description="of `route`: so often the last student is asked what it is sure of, and a new one told",
    )
    candidates: int | None = Field(
        None, gt=0, description="signals are read of so many items that are left, drawn at random; default: of all of them"
    )
    min_steps: int = Field(
        0, ge=0, description="passes are added until a fit has so many steps: few answers, and fewer kept, make short passes"
    )
    restart: bool = Field(True, description="the last student starts afresh; false: it goes on from the warm-up's weights")
    canaries: int = Field(0, ge=0, description="gold items hidden among the bought ones; where they go wrong, buying pauses")
    stop: Literal["advise", "stop", "never"] = Field(
        "advise",
        description="a forecast of each next part's gain, where 20 gold items or more judge: `advise` only says it, `stop` "
        "buys nothing that is forecast to gain less than `least_gain`, `never` makes none",
    )
    least_gain: float = Field(0.005, ge=0, description="of `stop`, as a share of items: 0.005 is half a point")
    gold_weight: GoldWeight = 1.0

    def asked(self, pool: int) -> int:
        """How many items each teacher is asked about, canaries among them, of a pool of so many that are not gold."""
        budget = self.budget if isinstance(self.budget, int) else round(self.budget * pool)
        return min(budget, pool + self.canaries)

    def judged(self, pool: int, gold: int) -> int:
        """How many claims the assistant is shown at most: the student's of what is left and of gold, and the teachers'."""
        bought = self.asked(pool)
        left = pool - round(self.warm_up * bought)
        before = (self.stages - 1) * (min(left, max(self.candidates or left, bought)) + gold)
        after = self.rounds * (min(pool, self.candidates or pool) + gold)
        return (before + after if "s2" in self.signals else 0) + (bought if "s3" in self.signals else 0)

    def first(self, run: Run) -> Items:
        """What is bought before there is a student: D1 and its canaries. Raises as the method does."""
        return first_items(run, self)


def ta_in_the_loop(run: Run, options: TaInTheLoop) -> Student:
    """The card's algorithm R1. Raises RunError or DataError before anything is bought, where it cannot work."""
    pool, parts = _begin(run, options)  # U; how much each stage buys
    shop = Shop(run, options, options.canaries, parts)
    bought = shop.buy(pool.select(selection.at_random(pool.ids, parts[0], run.seed)))  # 1: D1
    student, said, curve = None, None, _half(run, options, bought[0], len(parts))
    for turn, part in enumerate(parts[1:], start=1):
        name, told = f"warm-up-{turn}", lesson(run, options, bought)
        _remember(run, options, shop, told, name)
        student = run.fit(name, told, epochs=_passes(run, options, told))  # 2: θ1
        said = read(run, student, _left(run, options, pool, shop.asked, part), options)  # 3: no teacher is asked
        curve |= {len(shop.asked): said.right} if len(said.right) >= FEW else {}
        if not _worth_it(run, options, curve, part):
            break
        more = chosen(run, options, told, name, said, shop.asked, part)
        bought = shop.buy(more, said)  # 4: D2
        if shop.paused:
            break
    options = tried(run, options, bought, lambda told: _passes(run, options, told))
    told = lesson(run, options, bought, said)
    used = _account(run, shop, bought, told)
    for turn in range(options.rounds):
        student = run.fit(f"round-{turn + 1}", told, epochs=_passes(run, options, told))
        said = read(run, student, _left(run, options, pool, used), options)
        told = lesson(run, options, bought, said)
    _remember(run, options, shop, told, "student")
    told = run.with_gold(told, options.gold_weight)
    begin = None if options.restart else student
    return run.fit("student", told, epochs=_passes(run, options, told), begin=begin)  # 5: θ


def first_items(run: Run, options: TaInTheLoop) -> Items:
    """D1, and the canaries among it."""
    pool, parts = _begin(run, options)
    shop = Shop(run, options, options.canaries, parts)
    gold, chosen = shop.hidden(), pool.select(selection.at_random(pool.ids, parts[0], run.seed))
    return concatenate(chosen, gold) if len(gold) else chosen


def _begin(run: Run, options: TaInTheLoop) -> tuple[Items, list[int]]:
    """U, and how many of its items each stage buys. Refuses what cannot work; nothing has been bought by then."""
    if not run.teachers:
        raise RunError("ta-in-the-loop asks teachers and the recipe names none; name one, or use the method gold-only.")
    run.metered = True
    run.note(DECLARED)
    check_assistant(run, options)
    known, gold = set(run.gold.ids), len(judges(run))
    pool = run.pool.select([row for row, item in enumerate(run.pool.ids) if item not in known])
    budget = options.budget if isinstance(options.budget, int) else round(options.budget * len(pool))
    if options.canaries > gold or 0 < budget <= options.canaries:
        raise RunError(
            f"{options.canaries} canaries do not fit the {gold} gold items that may calibrate and a budget of {budget}; "
            "give fewer."
        )
    if options.use == "route" and not (options.reads(run, "s1") and options.reads(run, "s2")):
        raise RunError("use: route tells items what s1 and s2 are sure of: name an assistant, and leave both signals on.")
    if options.rounds and options.use != "route":
        raise RunError("rounds tell a new student what the last one is sure of, which takes use: route.")
    if options.threshold == "gold" and not (options.canaries and options.reads(run, "s3")):
        raise RunError("threshold: gold is found on canaries: set canaries, name an assistant, and leave s3 on.")
    if gold and options.reads(run, "s3") and options.canaries < FEW:
        run.note(
            f"s3 is not calibrated by gold, which takes {FEW} canaries, and is judged by it only where there are some: no "
            "teacher is asked about other gold."
        )
    if run.answers is not None and options.samples == 1 and options.reads(run, "s1"):
        run.note("With one sample s1 is 1 wherever the student answers at all: the choice is the assistant's, or random.")
    share = options.warm_up if options.stages > 1 else 1.0
    first, rest = selection.stages(budget - options.canaries, len(pool), share)
    turns = min(options.stages - 1, rest)
    return pool, [first, *(rest * (turn + 1) // turns - rest * turn // turns for turn in range(turns))]


def _left(run: Run, options: TaInTheLoop, pool: Items, without: Collection[str], least: int = 0) -> Items:
    """U without some, or as many of its items as signals are read of, `least` or more, at random."""
    known = set(without)
    left = pool.select([row for row, item in enumerate(pool.ids) if item not in known])
    if options.candidates is None:
        return left
    return left.select(selection.at_random(left.ids, min(max(options.candidates, least), len(left)), run.seed))


def _passes(run: Run, options: TaInTheLoop, told: Labelled) -> int | None:
    """How often a fit goes over what is learned; None: as often as the recipe has it."""
    a_pass = math.ceil(len(told) / run.options.per_device_train_batch_size)
    passes = math.ceil(options.min_steps / a_pass)
    return passes if passes > run.options.num_train_epochs else None


def _half(run: Run, options: TaInTheLoop, first: Purchase, stages: int) -> Curve:
    """The forecast's first point: a student of half of D1, which was bought at random in this order."""
    gold = judges(run)
    if options.stop == "never" or stages < 2 or len(gold) < FEW or len(first.items) < 4:
        return {}
    half = first.select(torch.arange(len(first.items) // 2))
    try:
        told = lesson(run, options, [half])
    except RunError:
        return {}  # nothing of the half is used: there is no point to draw
    student = run.fit("half", told, epochs=_passes(run, options, told))
    return {len(half.items): outcomes(run, samples(run, student, gold, options), gold)}


def _worth_it(run: Run, options: TaInTheLoop, curve: Curve, part: int) -> bool:
    """Say what the next part is forecast to gain; false where that is too little to buy it."""
    if options.stop == "never":
        return True
    if len(curve) < 2:
        run.note(f"No forecast says what buying more would gain: that takes {FEW} gold items or more.")
        return True
    gain = next_gain(list(curve), torch.stack(list(curve.values())), part, seed=run.seed)
    bought, judged = max(curve), len(next(iter(curve.values())))
    buys = options.stop == "advise" or gain.value >= options.least_gain
    value, low, high = (round(100 * one, 1) + 0.0 for one in (gain.value, gain.low, gain.high))  # no -0.0
    run.note(
        f"After {bought} answers the next {part} were forecast to gain {value:+.1f} points [{low:+.1f}, "
        f"{high:+.1f}] on {judged} gold items; they were {'bought' if buys else 'not bought'}."
    )
    return buys


def _remember(run: Run, options: TaInTheLoop, shop: Shop, told: Labelled, name: str) -> None:
    """Keep for the report what there is to learn by now, and what everybody has said."""
    said = [*run.heard(), *run.assisted()]
    told = run.with_gold(told, options.gold_weight)
    now = Bought(name, len(shop.sold) + shop.met, told, said, _passes(run, options, told))
    run.bought = [one for one in run.bought if one.items < now.items] + [now]


def _account(run: Run, shop: Shop, bought: Sequence[Purchase], told: Labelled) -> set[str]:
    """Say what was bought, what of it is used, and whose buying ended early. Returns the ids of what is used."""
    answers = [claim.answer for one in bought for claim in final(one.said, one.items) if claim is not None]
    if len(answers) >= MANY and len(set(answers)) == 1:
        run.warn(f"The teachers gave all {len(answers)} bought items one answer, {answers[0]!r}: a student learns no other.")
    used, hidden = set(told.items.ids) & set(shop.asked), f", and {shop.met} hidden gold items" if shop.met else ""
    run.note(
        f"Each teacher was asked about {len(shop.sold)} items{hidden}; {len(used)} of the answers are learned from. The "
        "others were paid for all the same."
    )
    for one in (*run.teachers, run.assistant):
        paid = getattr(one, "spending", None)
        ended = "complete" if paid is None else paid().ended
        if one is not None and ended != "complete":
            run.warn(f"{one.name} was not asked all that was wanted: buying ended at {ended}.")
    return used
