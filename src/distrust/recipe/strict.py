"""What every part of a recipe is: values under known keys, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator


class Strict(BaseModel):
    """A part of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _false_is_no_number(cls, raw: Any) -> Any:
        """YAML reads `no` as false, and pydantic false as 0: a `price` of `{per_call: no}` would be free, not unknown."""
        for name, value in raw.items() if isinstance(raw, dict) else ():
            words = [one for one in _inside(value) if isinstance(one, bool)]
            if words and name in cls.model_fields:
                kinds = list(_kinds(cls.model_fields[name].annotation))
                if (int in kinds or float in kinds) and bool not in kinds:
                    said = str(words[0]).lower()
                    what = "a number" if words == [value] else "made of numbers"
                    raise ValueError(f"`{name}` is {what}, and {said} is none; leave it out for the default")
        return raw


def _inside(value: Any) -> Iterable[Any]:
    """The values of a list or a table; any other alone."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else [value]


def _kinds(annotation: Any) -> Iterator[Any]:
    """All that an annotation is made of: `list[int] | None` of int and None among others."""
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def _drawable(seed: int) -> int:
    if not -(2**63) <= seed < 2**63:
        raise ValueError("a seed is a whole number from -2**63 to 2**63 - 1")
    return seed


Seed = Annotated[int, AfterValidator(_drawable)]  # what torch's generators take
