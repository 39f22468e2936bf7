"""Teachers that know different classes: what each says over its own, where these stand in the task, and what is told of it.

Knows runs, label spaces and gold. Does not know how a method finds out who knows an item. Nothing here is (teachers, items,
classes): each teacher stays in its own classes until its share of the target is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from distrust.data import Items, concatenate
from distrust.errors import RunError
from distrust.evidence import Evidence, join, stack
from distrust.labelled import Labelled
from distrust.labels import ABSTAIN, LabelSpace
from distrust.run import Run
from distrust.secrets import show
from distrust.teachers import Teacher

FEW = 20  # items, below which two teachers' contradictions say little
DOUBT = 1e-4  # probability that a bare claim leaves to each other class, so that it has logits


@dataclass(frozen=True)
class Specialist:
    """What one teacher says of N items, over those of its classes that the task has; worked out anew each time, not kept."""

    teacher: Teacher
    evidence: Evidence  # on the items, in their order
    own: Tensor  # (C_own,) long: which of its classes
    columns: Tensor  # (C_own,) long: where they stand in the task

    @property
    def chances(self) -> Tensor:
        """(N, C_own), summing to one; rows of zeros where nothing was said."""
        return over(self.evidence, self.own)

    @property
    def logits(self) -> Tensor:
        """(N, C_own); rows of -inf where nothing was said. Of bare claims, the logarithm of what they leave open."""
        said = (self.chances.sum(-1) > 0).unsqueeze(-1)
        if self.evidence.logits is None:
            return torch.where(said, self.chances.clamp(min=DOUBT).log(), -torch.inf)
        return torch.where(said, self.evidence.logits.dense()[:, self.own], -torch.inf)


@dataclass(frozen=True)
class Specialists:
    """All teachers on the same N items: the pool, and then gold items outside it."""

    items: Items
    members: tuple[Specialist, ...]
    space: LabelSpace
    known: Tensor  # (M, C) bool: which classes who knows

    def target(self, weights: Tensor) -> Tensor:
        """Σ_i w_i · pad(p_i): weights (M, N) to targets (N, C). MUKA, equations 2, 5 and 6.

        A class that a teacher does not know gets nothing from it, and loses nothing to it but the weight.
        """
        told = torch.zeros(weights.shape[1], len(self.space))
        for one, weight in zip(self.members, weights, strict=True):
            told.index_add_(1, one.columns, (weight.unsqueeze(-1) * one.chances).to(told.dtype))
        return told

    def adequate(self, labels: Tensor) -> Tensor:
        """Which teachers know the class: labels (n,) long to (M, n) bool."""
        return self.known[:, labels]


def over(evidence: Evidence, own: Tensor) -> Tensor:
    """A teacher's distribution over some of its classes alone: (N, C_own); rows of zeros where nothing was said."""
    if evidence.logits is not None and len(own) < len(evidence.space):
        kept = evidence.logits.dense()[:, own]
        said = (kept > -torch.inf).any(-1, keepdim=True)
        return torch.where(said, kept.masked_fill(~said, 0.0).softmax(-1), 0.0)
    chances = evidence.distribution()
    if len(own) == len(evidence.space):
        return chances
    total = chances[:, own].sum(-1, keepdim=True)
    return chances[:, own] / torch.where(total > 0, total, 1.0)


def gather(run: Run) -> Specialists:
    """Ask all teachers about the pool and about the gold items outside it.

    Raises:
        RunError: no teacher, open answers, or gold of classes that nobody knows.
        DataError: a teacher without a class in common with the task.
    """
    space = run.space
    if not run.teachers:
        raise RunError("This method asks teachers and the recipe names none; name one, or use the method gold-only.")
    inside = set(run.pool.ids)
    outside = run.gold_items.select([row for row, item in enumerate(run.gold_items.ids) if item not in inside])
    items = concatenate(run.pool, outside) if len(outside) else run.pool
    members = []
    for teacher in run.teachers:
        said = run.ask(teacher, run.pool)
        if len(outside):
            said = join([said, run.ask(teacher, outside)])
        assert isinstance(said.space, LabelSpace), "run.space has refused open answers"
        columns = said.space.positions_in(space)
        own = (columns >= 0).nonzero().squeeze(-1)
        members.append(Specialist(teacher, said, own, columns[own]))
    known = stack([one.evidence.select([]) for one in members], space).known  # refuses label spaces that do not fit
    gold = run.gold.labels
    if len(gold) and not bool(known[:, gold].any()):
        vouched = ", ".join(space.names[one] for one in sorted(set(gold.tolist())))
        theirs = ", ".join(dict.fromkeys(name for one in members for name in one.teacher.space.names))
        raise RunError(
            f"No teacher knows a class of the gold ({show(vouched)}); they know {show(theirs)}: map their `labels`, if "
            "these are other names of the same classes."
        )
    shown = torch.zeros(len(space), dtype=torch.bool).index_fill_(0, gold, True)
    for of, rest in ((shown, ": only gold does"), (~shown, ", and no gold shows that: the student is told nothing of it")):
        nobody = [space.names[one] for one in (of & ~known.any(0)).nonzero().squeeze(-1).tolist()]
        if nobody:
            run.warn(f"No teacher knows {', '.join(map(repr, nobody[:5]))}{', ...' if len(nobody) > 5 else ''}{rest}.")
    for sentence in _contradictions(members, space, known):
        run.warn(sentence)
    return Specialists(items, tuple(members), space, known)


def _contradictions(members: list[Specialist], space: LabelSpace, known: Tensor) -> Iterator[str]:
    """Pairs of teachers that share classes and mostly name different ones of them for the same item."""
    sharing = [(a, b) for a, b in combinations(range(len(members)), 2) if bool((known[a] & known[b]).any())]
    claims = {place: _claims(members[place]) for place in sorted({one for pair in sharing for one in pair})}
    for first, second in sharing:
        one, other, shared = members[first], members[second], known[first] & known[second]
        mine, theirs = claims[first], claims[second]
        both = (mine >= 0) & (theirs >= 0) & shared[mine] & shared[theirs]
        apart = int((mine != theirs)[both].sum())
        if int(both.sum()) >= FEW and 2 * apart > int(both.sum()):
            named = ", ".join(name for name, here in zip(space.names, shared.tolist(), strict=True) if here)
            yield (
                f"{one.teacher.name} and {other.teacher.name} share classes ({show(named)}) and name different ones for "
                f"{apart} of the {int(both.sum())} items that both place there; do these names mean the same to both?"
            )


def _claims(one: Specialist) -> Tensor:
    """Its likeliest class in the task: (N,) long, -1 where nothing was said."""
    chances = one.chances
    return torch.where(chances.sum(-1) > 0, one.columns[chances.argmax(-1)], ABSTAIN)


def told(run: Run, here: Specialists, targets: Tensor, gold_weight: float, weights: Tensor | None = None) -> Labelled:
    """The training set: targets (N, C) for the pool, and gold's labels in their place where gold serves training.

    Args:
        gold_weight: how many pool items a gold item counts as; 0: do not train on gold.
        weights: (M, N) that made the targets, for the report.
    """
    part = run.gold.part("train")
    labels = torch.full((len(here.items),), ABSTAIN)
    if gold_weight and len(part):
        labels[here.items.rows(part.ids)] = part.labels
    vouched = labels >= 0
    inside = torch.arange(len(here.items)) < len(run.pool)
    counted = torch.where(vouched, gold_weight, inside.float())
    extra = {} if weights is None else {"weights": weights.T.contiguous()}
    return Labelled(here.items, targets.masked_fill(vouched.unsqueeze(-1), 0.0), labels, counted, extra)
