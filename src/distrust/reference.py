# python -m distrust.reference docs/recipe.md
"""The reference of recipes and of methods' options, written from their own models: it cannot say what the code does not do.

Knows how a pydantic model is described. Knows nothing of what a key does beyond the words beside it.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from distrust.methods import METHODS
from distrust.recipe import Recipe

HEAD = """\
# The recipe, key by key

<!-- Written by `make docs` from src/distrust/recipe/; change the words there. -->

One YAML file says what to learn from, whom to ask, what to train and what it may cost. An unknown key is an error that
names the nearest right one. `--set a.b=c` overrides any key, with teachers by position: `--set teachers.0.samples=5`.
`${NAME}` stands for an environment variable; a run keeps `${NAME}`, never its value. A key whose default is "required"
has none; "-" means that it is left out.
"""

OPTIONS = """\
# The methods' options, one by one

<!-- Written by `make docs` from src/distrust/methods/; change the words there. -->

Given under `method.options`, as in `method: {name: distill, options: {trust: confusions}}`, or by
`--set method.options.trust=confusions`. An unknown one is refused, the nearest right one named. "-" means: left out.
"""

WORDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
TABLE = "| key | type | default | what it is |\n|---|---|---|---|"
BOUNDS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}", "min_length": "not empty"}


def recipe_reference() -> str:
    """The whole of docs/recipe.md: one table for every part of a recipe, in the order in which they are met."""
    places: dict[type[BaseModel], dict[str, None]] = {}  # in order, once each
    everything: list[tuple[str, type[BaseModel]]] = [("", Recipe), *_parts(Recipe, "")]
    for place, model in everything:
        places.setdefault(model, {})[place] = None
    return "\n".join([HEAD, *(_section(model, where) for model, where in places.items())])


def options_reference() -> str:
    """The whole of docs/options.md: one table for every method."""
    sections = [OPTIONS]
    for name, method in METHODS.items():
        rows = [_row(option, field) for option, field in method.options.model_fields.items()]
        sections += [f"## `{name}`\n", f"{method.about[0].upper()}{method.about[1:]}.\n", TABLE, *rows, ""]
    return "\n".join(sections)


def _parts(model: type[BaseModel], place: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every model inside a model, with the place where it stands."""
    for name, field in model.model_fields.items():
        here = f"{place}.{name}".lstrip(".") + (".N" if get_origin(field.annotation) is list else "")
        inside = _models(field.annotation)
        for one in inside:
            yield (f"{here} (kind: {_kind(one)})" if len(inside) > 1 else here), one
            yield from _parts(one, here)


def _kind(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _section(model: type[BaseModel], places: Iterable[str]) -> str:
    title = ", ".join(f"`{place}`" for place in places if place) or "The whole"
    rows = [_row(name, field) for name, field in model.model_fields.items()]
    about = " ".join((model.__doc__ or "").split())
    return "\n".join([f"## {title}\n", f"{about}\n", TABLE, *rows, ""])


def _row(name: str, field: FieldInfo) -> str:
    inside = _models(field.annotation)
    about = field.description or (inside[0].__doc__ or "" if inside else "which kind this is" if name == "kind" else "")
    cells = (f"`{name}`", _type(field.annotation) + _bounds(field), _default(field), about)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0])
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if _models(annotation):
        return "list of keys, see below" if origin is list else "keys, see below"
    if origin in (Union, types.UnionType):
        return " or ".join(_type(part) for part in parts if part is not type(None))
    if origin is list:
        return f"list of {_type(parts[0])}"
    if origin is tuple:
        return f"list of {len(parts)}: {_type(parts[0])}"
    if origin is dict:
        return f"keys, each with a value: {_type(parts[1])}"
    return WORDS[annotation]


def _bounds(field: FieldInfo) -> str:
    said = [words.format(getattr(one, key)) for one in field.metadata for key, words in BOUNDS.items() if hasattr(one, key)]
    return f" ({', '.join(said)})" if said else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True) or None
    return "-" if value in (None, [], {}) else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(recipe_reference(), encoding="utf-8")
    Path(sys.argv[1]).with_name("options.md").write_text(options_reference(), encoding="utf-8")
