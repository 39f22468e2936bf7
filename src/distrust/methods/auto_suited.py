"""Which methods a run allows, and why not the others: what `auto` may try.

Knows teachers, their classes, gold, and what each method needs. Asks nobody, trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distrust.errors import RecipeError, nearest
from distrust.gold import Gold
from distrust.labels import LabelSpace

LEAST_GOLD = 20  # items, below which no difference between two methods can be more than chance


@dataclass(frozen=True)
class Situation:
    """What a run has, as far as it decides which methods can run."""

    teachers: int
    gold: int  # items that serve choosing
    trusted: int  # gold items that serve trust: what a gate or weights are fitted on
    open_answers: bool = False
    alike: bool = True  # whether all teachers know all classes of the task
    heads: bool = True  # whether every teacher may have features and heads


def situation(spaces: Sequence[LabelSpace], task: LabelSpace | None, gold: Gold, heads: bool = True) -> Situation:
    """By the teachers' classes and the task's (None: answers are open), which may stand in another order, and by gold."""
    alike = task is None or all(bool(one.known_in(task).all()) for one in spaces)
    choosing, trusted = len(gold.part("choose")), len(gold.part("trust"))
    return Situation(len(spaces), choosing, trusted, task is None, alike, heads)


@dataclass(frozen=True)
class Candidate:
    """A method to try, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """`distill (trust auto, targets hard)`."""
        said = ", ".join(f"{key} {value}" for key, value in self.options.items())
        return f"{self.name} ({said})" if said else self.name


# `merge` in benchmarks/muka.py: hard targets and margins came to less, and 16 passes, which cost 11 forwards of each
# transformer, to no more on TREC and CLINC150
MERGED = {"score": "auto", "target": "soft", "margin": False, "passes": 1}
BASELINE = Candidate("distill")
# safe where gold tells nothing apart: in all development worlds of benchmarks/peer_advised.py, and of benchmarks/worlds.py
GATED = Candidate("peer-advised")
WEIGHED = Candidate("ca-mkd", {"weights": "auto"})
# chosen on R52, TREC, CLINC150 and digits: whatever was best there by more than chance, and the references
CANDIDATES = (
    BASELINE,
    Candidate("distill", {"trust": "auto", "targets": "hard"}),
    Candidate("gold-only"),
    GATED,
    Candidate("selective"),
    Candidate("best-teacher"),
    WEIGHED,
    Candidate("concatenated"),
    Candidate("muka", MERGED),
)
OPEN_CANDIDATES = (  # where answers are open
    BASELINE,
    Candidate("distill", {"targets": "hard"}),
    Candidate("gold-only"),
    Candidate("peer-advised"),
    Candidate("selective"),
)

Need = Callable[[Situation], str | None]  # why it cannot run, None where it can


def _teacher(here: Situation) -> str | None:
    return None if here.teachers else "it asks teachers, and there is none"


def _gold(here: Situation) -> str | None:
    return None if here.gold else "it learns from gold alone, and there is none"


def _several(here: Situation) -> str | None:
    return None if here.teachers > 1 else "it weighs several teachers, and there is one"


def _classes(here: Situation) -> str | None:
    return "it needs classes, and answers are open" if here.open_answers else None


def _heads(here: Situation) -> str | None:
    return None if here.heads else "it learns from features, and not every teacher is a local model"


def _specialists(here: Situation) -> str | None:
    return "it merges teachers of different classes, and all know all of them" if here.alike else None


def _generalists(here: Situation) -> str | None:
    return None if here.alike else "it takes every teacher's word on every item, and some do not know all classes"


def _asks_itself(_: Situation) -> str | None:
    return "it decides itself what to ask; a trial would ask everything first"


def _writes(_: Situation) -> str | None:
    return "it follows a language model's tokens, and a trial has its texts alone"


FROM_CLAIMS = (_teacher, _generalists)
WEIGHS = (_teacher, _classes, _several, _generalists)
MERGES = (_teacher, _classes, _several, _specialists)
NEEDS: dict[str, tuple[Need, ...]] = {
    "distill": (_teacher,),
    "gold-only": (_gold,),
    "peer-advised": FROM_CLAIMS,
    "selective": FROM_CLAIMS,
    "self-distillation": FROM_CLAIMS,
    "mckd": FROM_CLAIMS,
    "co-teaching": (*FROM_CLAIMS, _classes),
    "small-loss": (*FROM_CLAIMS, _classes),
    "elr": (*FROM_CLAIMS, _classes),
    "averaged": WEIGHS,
    "best-teacher": WEIGHS,
    "ca-mkd": WEIGHS,
    "ebkd": WEIGHS,
    "aekd": WEIGHS,
    "mmkd": WEIGHS,
    "fitnet-mkd": (*WEIGHS, _heads),
    "concatenated": MERGES,
    "padded-average": MERGES,
    "muka": MERGES,
    "uhc": MERGES,
    "cfl": (*MERGES, _heads),
    "dfa": (*MERGES, _heads),
    "ta-in-the-loop": (_asks_itself,),
    **dict.fromkeys(("okd", "gkd", "taid", "distillm", "speculative-kd", "uld"), (_writes,)),
}


def why_not(candidate: Candidate, here: Situation) -> str | None:
    """The first reason why a candidate cannot run here; None where it can."""
    if candidate.options.get("trust", "alike") != "alike" and here.open_answers:
        return "it weighs classes, and answers are open"
    if candidate.options.get("targets") == "hard" and here.open_answers and here.teachers == 1:
        return "of one teacher's texts it is plain distillation"
    if candidate.name not in NEEDS:
        return "what it needs is not known to `auto`"
    return next((said for need in NEEDS[candidate.name] if (said := need(here)) is not None), None)


def wanted(names: Sequence[str] | None, open_answers: bool = False) -> list[Candidate]:
    """Plain distillation, and then the candidates of these method names; None: those of the table.

    Args:
        open_answers: the table is that of open answers.

    Raises:
        RecipeError: a name that is no method's, or `auto` itself.
    """
    table = OPEN_CANDIDATES if open_answers else CANDIDATES
    if names is None:
        return list(table)
    legal = sorted(NEEDS)
    for name in names:
        if name not in NEEDS:
            raise RecipeError(f"method.options.candidates has {name!r}; {nearest(name, legal)}.")
    listed = {one.name: [c for c in table if c.name == one.name] or [one] for one in map(Candidate, names)}
    return [BASELINE, *(one for name in dict.fromkeys(names) for one in listed[name] if one != BASELINE)]


def untried(candidates: Sequence[Candidate], methods: Sequence[str]) -> list[str]:
    """Methods that are no candidate."""
    named = {one.name for one in candidates} | {"auto"}
    return [name for name in methods if name not in named]


def fallback(here: Situation) -> Candidate:
    """What is taken where things were tried and gold tells nothing apart, if it was among them; else plain distillation."""
    if here.open_answers or (here.trusted < LEAST_GOLD and here.alike):
        return BASELINE  # without gold for its gate or its weights neither is safe
    if here.teachers == 1:
        return GATED
    return WEIGHED if here.alike else Candidate("muka", MERGED)


def safe(here: Situation) -> tuple[Candidate, str]:
    """What is taken where nothing can be tried, and why it is safe."""
    if not here.alike and here.teachers > 1:
        few = "there is too little gold to try anything by"
        return Candidate("muka", MERGED), f"{few}, and teachers know different classes: they are merged"
    return BASELINE, f"{here.gold} gold items are fewer than {LEAST_GOLD} and tell nothing apart: plain distillation"
