"""The part of a recipe that makes a teacher wrong on purpose, to see what a method does about it.

Knows which kinds there are and their parameters. Knows nothing of how they are done: `distrust.workshop` does them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distrust.recipe.strict import Seed, Strict

Rate = Annotated[float, Field(ge=0, le=1, description="chance that an answer is made wrong")]
Share = Annotated[float, Field(ge=0, le=1, description="of the classes, drawn by the seed, rounded down")]


class Wrong(Strict):
    """What all kinds have."""

    seed: Seed = Field(0, description="of what is drawn; an item's draw depends on it and on the item's id")


class Symmetric(Wrong):
    """Some answers become any other class alike."""

    kind: Literal["symmetric"]
    rate: Rate = 0.3


class Pairwise(Wrong):
    """Some answers become the next class, the last one the first."""

    kind: Literal["pairwise"]
    rate: Rate = 0.3


class InstanceDependent(Wrong):
    """Answers that the teacher itself doubts become what it finds likely instead."""

    kind: Literal["instance-dependent"]
    slope: float = Field(1.0, gt=0, description="chance of being made wrong per unit of 1 - P(answer), cut at 1")


class NearClone(Wrong):
    """A copy that differs in a few items, drawn by a seed of its own."""

    kind: Literal["near-clone"]
    rate: Rate = 0.05


class Adversary(Wrong):
    """It knows better and lies: of a class it always says the same other one."""

    kind: Literal["adversary"]
    rate: Rate = 1.0


class Abstaining(Wrong):
    """Some answers are withheld."""

    kind: Literal["abstaining"]
    rate: Rate = 0.3


class OverConfident(Wrong):
    """The same answers, stated with other odds."""

    kind: Literal["over-confident"]
    sharpness: float = Field(3.0, gt=0, description="factor of its logits, power of its stated odds; below 1: too modest")


class Exchanged(Wrong):
    """Classes are exchanged in pairs, in every answer: a wrong label map."""

    kind: Literal["exchanged"]
    share: Share = 0.5


class ClassBlind(Wrong):
    """Some classes are never said: the next best one is, or any other where only a claim is known."""

    kind: Literal["class-blind"]
    share: Share = 0.3
    classes: Annotated[list[str], Field(min_length=1)] | None = Field(None, description="which, in place of a share")


class Stale(Wrong):
    """Yesterday's teacher: classes that are newer than it are filed under the older class where they stood then."""

    kind: Literal["stale"]
    share: Share = 0.3
    merged: Annotated[dict[str, str], Field(min_length=1)] | None = Field(
        None, description="newer class: the class that held it then, in place of a share"
    )

    @model_validator(mode="after")
    def _older_classes_hold(self) -> Stale:
        both = sorted(set(self.merged or {}) & set((self.merged or {}).values()))
        if both:
            raise ValueError(f"`merged` has {both[0]!r} as a newer class and as one that was there before")
        return self


WrongRecipe = Annotated[
    Symmetric
    | Pairwise
    | InstanceDependent
    | NearClone
    | Adversary
    | Abstaining
    | OverConfident
    | Exchanged
    | ClassBlind
    | Stale,
    Field(discriminator="kind"),
]

OF_TEXTS = (Symmetric, NearClone, Abstaining)  # kinds that exist where answers are open
