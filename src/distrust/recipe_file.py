"""A recipe's file: read, overridden from the command line, and refused in one sentence.

Knows YAML and pydantic's complaints, and quotes no value, since a value may be a key. Knows nothing of what a recipe means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from distrust.errors import RecipeError, nearest
from distrust.recipe import (
    CausalAssistant,
    CausalStudent,
    CausalTeacher,
    Classifier,
    Endpoint,
    NgramStudent,
    Recipe,
    Recorded,
    Strict,
    TransformerStudent,
)
from distrust.recipe.wrong import (
    Abstaining,
    Adversary,
    ClassBlind,
    Exchanged,
    InstanceDependent,
    NearClone,
    OverConfident,
    Pairwise,
    Stale,
    Symmetric,
)


def load_recipe(path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe and apply `a.b=c` overrides (teachers by position: `teachers.0.samples=5`).

    Raises:
        RecipeError: no such file, no YAML, an unknown key (the nearest right one is named), a value out of range.
    """
    file = Path(path)
    if not file.is_file():
        near = [one.name for one in file.parent.iterdir()] if file.parent.is_dir() else []
        raise RecipeError(f"There is no recipe {path}; {nearest(file.name, near, say='the folder has')}.")
    try:
        raw = _plain(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is no text in UTF-8.") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is no YAML{_reason(error)}.") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path} holds no keys; a recipe starts with `data:`.")
    for override in overrides or []:
        _override(raw, override)
    return parse_recipe(raw)


def parse_recipe(raw: dict[str, Any]) -> Recipe:
    """A recipe from plain values. Raises RecipeError in one sentence for the first thing that is wrong."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(sentence(error)) from None  # pydantic's own text would quote the values


def _override(raw: dict[str, Any], override: str) -> None:
    dotted, separator, text = override.partition("=")
    if not separator or not dotted:
        raise RecipeError(f"--set takes key=value, such as train.num_train_epochs=3; got {override!r}.")
    try:
        value = _plain(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {dotted}: what follows = is no YAML value{_reason(error)}.") from None
    put(raw, dotted, value, "--set")


def put(raw: dict[str, Any], dotted: str, value: Any, who: str) -> None:
    """Set a key of a recipe by its dotted name. Raises RecipeError, naming `who` asked, where it cannot be."""
    *path, last = dotted.split(".")
    place: Any = raw
    for key in path:
        if isinstance(place, list):
            place = place[_position(place, key, dotted, who)]
        elif isinstance(place, dict):
            place[key] = {} if place.get(key) is None else place[key]
            place = place[key]
        else:
            raise RecipeError(f"{who} {dotted}: {key!r} is inside a plain value.")
    if isinstance(place, list):
        place[_position(place, last, dotted, who)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise RecipeError(f"{who} {dotted}: {last!r} is inside a plain value.")


def _position(place: list[Any], key: str, dotted: str, who: str) -> int:
    if not key.isdecimal() or int(key) >= len(place):
        raise RecipeError(f"{who} {dotted}: {key!r} is no position in a list of {len(place)}; the first is 0.")
    return int(key)


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error, the last one would win otherwise; and so is what Python cannot hold."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):  # which quote the value
            kind = node.tag.rpartition(":")[2]
            said = f"what reads as a value of the kind {kind} is none; put it in quotes"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):
            return super().construct_mapping(node, deep)  # refuses it
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _plain(text: str) -> Any:
    """Plain values of YAML. Raises YAMLError."""
    try:
        return yaml.load(text, _Loader)
    except RecursionError:
        raise yaml.constructor.ConstructorError(None, None, "it is nested too deep", None) from None


def _reason(error: yaml.YAMLError) -> str:
    """What is wrong and where, without the line itself: it may hold a key."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    return (f": {problem}" if problem else "") + (f", line {mark.line + 1}" if mark else "")


def sentence(error: ValidationError, model: type[Strict] = Recipe, under: str = "") -> str:
    """What is wrong first, in one sentence: `model` was checked, which stands in the recipe `under` a key."""
    errors = error.errors(include_url=False, include_input=False)
    unknown = (one for one in errors if one["type"] == "extra_forbidden")
    first = next(unknown, errors[0])  # where a key is misspelt, the right one is missing too: say the cause
    where = [str(part) for part in first["loc"] if part not in KINDS]
    key = ".".join([under, *where] if under else where)
    kind = first["type"]
    if kind == "extra_forbidden":
        return f"The recipe has an unknown key {key!r}; {nearest(where[-1], _legal_keys(model, first['loc'][:-1]))}."
    if kind == "missing":
        return f"The recipe lacks the key {key!r}."
    if kind == "union_tag_invalid":
        tag = first["ctx"]["tag"]
        return f"The recipe's {key} has an unknown kind {tag!r}; {nearest(tag, _kinds(where))}."
    if kind == "union_tag_not_found":
        return f"The recipe's {key} lacks the key 'kind'; legal are {', '.join(_kinds(where))}."
    message = PLAIN.get(kind, first["msg"].removeprefix("Value error, "))
    place = f"recipe's {key}" if key else "recipe"
    return f"The {place}: {message[0].lower()}{message[1:]}."


def _kinds(where: list[str]) -> dict[str, type[Strict]]:
    return ROOMS[next(part for part in reversed(where) if part in ROOMS)]


def _legal_keys(root: type[Strict], where: tuple[int | str, ...]) -> list[str]:
    model: Any = root
    room: dict[str, type[Strict]] = {}
    for part in where:
        room = ROOMS.get(str(part), room)
        if part in KINDS:
            model = room[str(part)]
        elif isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[str(part)].annotation
            options = [one for one in getattr(model, "__args__", ()) if isinstance(one, type) and issubclass(one, BaseModel)]
            model = options[0] if options else model
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


TEACHERS: dict[str, type[Strict]] = {
    "recorded": Recorded,
    "classifier": Classifier,
    "endpoint": Endpoint,
    "causal": CausalTeacher,
}
STUDENTS: dict[str, type[Strict]] = {"ngram": NgramStudent, "transformer": TransformerStudent, "causal": CausalStudent}
WRONGS: dict[str, type[Strict]] = {
    "symmetric": Symmetric,
    "pairwise": Pairwise,
    "instance-dependent": InstanceDependent,
    "near-clone": NearClone,
    "adversary": Adversary,
    "abstaining": Abstaining,
    "over-confident": OverConfident,
    "exchanged": Exchanged,
    "class-blind": ClassBlind,
    "stale": Stale,
}
ROOMS = {
    "teachers": TEACHERS,
    "assistant": TEACHERS | {"causal": CausalAssistant},
    "student": STUDENTS,
    "wrong": WRONGS,
}
KINDS = {kind for room in ROOMS.values() for kind in room}
PLAIN = {  # pydantic's words where they are those of a programmer
    "string_type": "must be text; put it in quotes",
    "model_type": "must hold keys, each with a value",
    "model_attributes_type": "must hold keys, each with a value",
    "dict_type": "must hold keys, each with a value",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
}
