"""docs/api.md and its pages say what the code says, of every name that the documents use, shapes included."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import distrust
from distrust import docstrings
from distrust.api_names import PAGES, Name, anchor, defined, lines, path_of, places, public
from distrust.api_reference import api_page, overview

DOCS = Path(__file__).parent.parent / "docs"
NAMES = [one for _, modules in PAGES.values() for module in modules for one in public(module)]
IMPORT = re.compile(r"^ *(?:>>> )?from distrust\.?([\w.]*) import ([\w, ]+)$", re.MULTILINE)
SHAPE = re.compile(r"\((?:|\*\w+|[A-Z]|[\w*·+ .-]+,[^()]*(?:\([^()]*\)[^()]*)*)\)")
IN_ITS_CLASS = {"objective.Objective.__call__"}  # the class says the shapes


def test_the_pages_are_up_to_date() -> None:
    assert (DOCS / "api.md").read_text(encoding="utf-8") == overview(), "run `make docs`"
    assert sorted(path.name for path in (DOCS / "api").iterdir()) == sorted(f"{page}.md" for page in PAGES)
    for page in PAGES:
        assert (DOCS / "api" / f"{page}.md").read_text(encoding="utf-8") == api_page(page), "run `make docs`"


def test_every_name_has_a_place_of_its_own() -> None:
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", api_page(page), flags=re.MULTILINE | re.DOTALL)
        there = [f"{page}.md#{anchor(one)}" for one in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
        assert len(set(there)) == len(there)
        assert set(there) >= {one for one in places().values() if one.startswith(f"{page}.md#")}
    assert len(NAMES) > 250 and all(one.summary or isinstance(one.node, ast.Assign | ast.AnnAssign) for one in NAMES)


def test_what_the_documents_import_is_described() -> None:
    described = {(one.file, one.node) for one in NAMES}
    found = set()
    for path in (DOCS.parent / "README.md", *DOCS.glob("*.md"), path_of("demo")):
        for module, names in IMPORT.findall(path.read_text(encoding="utf-8")):
            found |= {(module, name) for name in names.split(", ")}
    assert len(found) > 40
    for module, name in found:
        if module.split(".")[0] in ("recipe", "cli") or path_of(f"{module}.{name}".strip(".")).exists():
            continue  # recipes have their own reference, and a module is described name by name
        assert defined(module or distrust._NAMES[name], name) in described, f"{module}.{name}: add it to api_names.PAGES"


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for one in NAMES:
        if isinstance(one.node, ast.FunctionDef):
            yield one.dotted, one.node
        yield from ((f"{one.dotted}.{of.name}", of) for of in one.members())


def test_functions_of_tensors_say_their_shapes() -> None:
    """In their docstring, or by `as NAME` in the words of another; rows that may be a list as well need none."""
    said = {dotted: ast.get_docstring(node) or "" for dotted, node in functions()}

    def says(dotted: str) -> bool:
        text, module = said[dotted], dotted.rsplit(".", 1)[0]
        rooms = ("", f"{module}.", f"{module.rpartition('.')[0]}.")
        named = [f"{room}{one}" for one in re.findall(r"`([\w.]+)`", text) for room in rooms]
        others = [one for one in named if one in said and one != dotted]
        return bool(SHAPE.search(text)) or (bool(re.search(r"\bas\b|\barguments\b", text, re.I)) and any(map(says, others)))

    types = {
        dotted: [*docstrings.arguments(node).values(), ast.unparse(node.returns or node)] for dotted, node in functions()
    }
    tensors = [one for one, own in types.items() if any(re.search(r"(?<!\| )\bTensor\b", kind) for kind in own)]
    assert len(tensors) > 120
    assert {one for one in tensors if not says(one)} == IN_ITS_CLASS


def test_classes_of_tensors_say_their_shapes() -> None:
    """Beside the field, or in the docstring."""

    def said(one: Name, field: str) -> bool:
        beside = re.search(rf"^ *{field}: .*# (.*)$", docstrings.outline(lines(one.file), one.node), re.MULTILINE)
        words = re.search(rf"\b{field}\b[^:\n]*: [^\n]*(?:\n +[^\n]*)?", one.docstring)
        return any(found and SHAPE.search(found[0]) for found in (beside, words))

    fields = [
        (one, field)
        for one in NAMES
        if isinstance(one.node, ast.ClassDef)
        for field, kind in docstrings.arguments(one.node).items()
        if re.search(r"\bTensor\b", kind) and "Callable" not in kind
    ]
    assert len(fields) > 50
    assert [f"{one.dotted}.{field}" for one, field in fields if not said(one, field)] == []
