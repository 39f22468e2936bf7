# python -m distrust.reference docs/recipe.md
"""The reference of recipes and of methods, written from their own models and docstrings: it cannot say what they do not.

Knows how a pydantic model is described. Knows nothing of what a key does beyond the words beside it.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from distrust.methods import METHODS, Method
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
# The methods, one by one

<!-- Written by `make docs` from src/distrust/methods/; change the words there. -->

What each is, after whom, what it does or minimises, where its code is and where it is measured, and its options. Options are
given under `method.options`, as in `method: {name: distill, options: {trust: confusions}}`, or by
`--set method.options.trust=confusions`. An unknown one is refused, the nearest right one named. "-" means: left out.
"""

MEASURED = {
    "distill.md": ("distill", "gold-only"),
    "peer_advised.md": ("peer-advised", "selective", "self-distillation", "mckd", "co-teaching", "small-loss", "elr"),
    "ca_mkd.md": ("ca-mkd", "averaged", "best-teacher", "ebkd", "aekd", "mmkd", "fitnet-mkd"),
    "muka.md": ("muka", "concatenated", "padded-average", "cfl", "dfa", "uhc"),
    "okd.md": ("okd", "gkd", "uld", "taid", "distillm", "speculative-kd"),
    "ta_in_the_loop.md": ("ta-in-the-loop",),
    "auto.md": ("auto",),
}
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
    """The whole of docs/options.md: what every method is, and a table of its options."""
    sections = [OPTIONS]
    for name, method in METHODS.items():
        rows = [_row(option, field) for option, field in method.options.model_fields.items()]
        sections += [f"## `{name}`\n", *_about(name, method), TABLE, *rows, ""]
    return "\n".join(sections)


def _about(name: str, method: Method) -> list[str]:
    """The method's idea, what it does, and links to its code and to where it is measured; a paragraph each."""
    module = sys.modules[method.run.__module__]
    idea = inspect.cleandoc(module.__doc__ or "").partition(": ")[2]
    does = inspect.cleandoc(method.run.__doc__ or "").partition(" Raises ")[0]
    file = module.__name__.rpartition(".")[2] + ".py"
    page = next(page for page, names in MEASURED.items() if name in names)
    links = f"In [`{file}`](../src/distrust/methods/{file}); more of it, and what was measured: [{page}]({page})."
    return [f"{idea[0].upper()}{idea[1:]}\n", f"{does}\n", f"{links}\n"]


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
