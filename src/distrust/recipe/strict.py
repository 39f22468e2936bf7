"""What every part of a recipe is: values under known keys, and no others."""

from __future__ import annotations

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
            if isinstance(value, bool) and name in cls.model_fields:
                annotation = cls.model_fields[name].annotation
                kinds = {annotation, *get_args(annotation)}
                if kinds & {int, float} and bool not in kinds:
                    raise ValueError(f"`{name}` is a number, and {str(value).lower()} is none; leave it out for the default")
        return raw


def _drawable(seed: int) -> int:
    if not -(2**63) <= seed < 2**63:
        raise ValueError("a seed is a whole number from -2**63 to 2**63 - 1")
    return seed


Seed = Annotated[int, AfterValidator(_drawable)]  # what torch's generators take
