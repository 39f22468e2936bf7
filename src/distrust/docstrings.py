"""Docstrings and signatures as Markdown: what the code says of itself, made legible and nothing added.

Knows this code's docstrings: paragraphs, the sections Args, Returns, Raises and Examples, code by its indent. Signatures are
cut from the source, since the comments beside arguments say their shapes. Does not know which names are public.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from textwrap import dedent

Link = Callable[[str], str | None]  # from what stands between backticks to where it is described
SECTION = re.compile(r"(Args|Returns|Raises|Examples?):")
ENTRY = re.compile(r"(\w+(?: \([^)]*\))?(?:, \w+(?: \([^)]*\))?)*): (.*)", re.DOTALL)
VERBATIM = re.compile(r"(``?[^`]+``?|\*\w+\*)")  # code, and *this*
MARKUP = re.compile(r"(?m)\*|<(?=[A-Za-z/!])|\](?=\()|^[-+>#](?= )")
FIELDS = (ast.Assign, ast.AnnAssign)


def markdown(docstring: str, names: list[str], link: Link) -> str:
    """A docstring, cleaned of its indent, as Markdown; `names` are the arguments' by which Args is cut into entries."""
    parts: list[str] = []
    section = ""
    for block in _blocks(docstring):
        if SECTION.fullmatch(block):
            section = block[:-1]
            parts.append(f"**{section}**")
        elif not block.startswith("    "):
            section = ""
            parts.append(inline(block, link))
        elif not section or section.startswith("Example"):
            parts.append(f"```{'python' if section else ''}\n{dedent(block)}\n```")
        elif section == "Returns":
            parts.append(inline(dedent(block), link))
        else:
            parts.append("\n".join(_entry(one, link) for one in _entries(dedent(block), names)))
    return "\n\n".join(parts)


def inline(text: str, link: Link) -> str:
    """Running text: what Markdown would take for markup is escaped outside backticks, and names are linked."""
    parts = []
    for turn, part in enumerate(VERBATIM.split(text)):
        if turn % 2:
            target = link(part.strip("`")) if part.startswith("`") else None
            parts.append(f"[`{part.strip('`')}`]({target})" if target else part)
        else:
            parts.append(MARKUP.sub(r"\\\g<0>", part))
    return "".join(parts)


def signature(lines: list[str], node: ast.FunctionDef) -> str:
    """A function's head as it stands in the source, decorators included, up to what it returns."""
    end = node.returns
    assert end is not None and end.end_lineno and end.end_col_offset, "every function says what it returns"
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    last = lines[end.end_lineno - 1].encode()[: end.end_col_offset].decode()
    return dedent("\n".join([*lines[first - 1 : end.end_lineno - 1], last]))


def outline(lines: list[str], node: ast.ClassDef) -> str:
    """A class: its head, its public fields with the comments beside them, how it is made, and methods that are obvious."""
    marks = [f"@{ast.unparse(one)}" for one in node.decorator_list]
    bases = ", ".join(ast.unparse(one) for one in [*node.bases, *node.keywords])
    inside: list[str] = []
    for one in node.body:
        if isinstance(one, FIELDS) and not targets(one)[0].startswith("_"):
            inside.append(source(lines, one))
        elif isinstance(one, ast.FunctionDef) and one.name == "__init__":
            inside += [*_attributes(lines, one), signature(lines, one)]
        elif isinstance(one, ast.FunctionDef) and _obvious(one):
            inside.append(signature(lines, one))
    head = f"class {node.name}" + (f"({bases})" if bases else "") + (":" if inside else "")
    return "\n".join([*marks, head, *_indented(inside)])


def source(lines: list[str], node: ast.stmt) -> str:
    """A statement as it stands in the source, with the comment that ends its last line."""
    return dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))


def targets(node: ast.stmt) -> list[str]:
    """The names that an assignment gives a value."""
    assigned = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [one.id for target in assigned for one in ast.walk(target) if isinstance(one, ast.Name)]


def members(node: ast.ClassDef) -> list[ast.FunctionDef]:
    """The documented methods and properties of a class that are not private."""
    own = [one for one in node.body if isinstance(one, ast.FunctionDef) and ast.get_docstring(one)]
    return [one for one in own if not one.name.startswith("_") or one.name in ("__call__", "__add__")]


def arguments(node: ast.FunctionDef | ast.ClassDef) -> dict[str, str]:
    """What a function takes or a class is made with, each with its type as written."""
    if isinstance(node, ast.ClassDef):
        made = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
        if made is None:
            return {targets(one)[0]: ast.unparse(one.annotation) for one in node.body if isinstance(one, ast.AnnAssign)}
        node = made
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return {one.arg: ast.unparse(one.annotation) for one in every if one.annotation is not None}


def _attributes(lines: list[str], made: ast.FunctionDef) -> Iterator[str]:
    """What an object gets besides what it is made with: attributes whose type is said where it is made."""
    for one in made.body:
        if isinstance(one, ast.AnnAssign) and re.match(r"self\.[a-z]", target := ast.unparse(one.target)):
            _, marked, comment = source(lines, one).partition("  # ")
            yield f"{target.removeprefix('self.')}: {ast.unparse(one.annotation)}{marked}{comment}"


def _obvious(node: ast.FunctionDef) -> bool:
    return not node.name.startswith("_") and not ast.get_docstring(node)


def _indented(parts: list[str]) -> Iterator[str]:
    for part in parts:
        yield from (f"    {line}" if line else line for line in part.split("\n"))


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs, headings of sections, and what is indented: a section's entries stay together."""
    for indented, group in groupby(_marked(text), key=lambda pair: pair[0]):
        held = "\n".join(line for _, line in group).strip("\n")
        yield from [held] if indented else (one for one in re.split(r"\n{2,}", held) if one)


def _marked(text: str) -> Iterator[tuple[str, str]]:
    """Each line with what tells its block from the next: "" for running text, a blank line is of what stood before."""
    before = ""
    for number, line in enumerate(text.splitlines()):
        if line.strip():
            before = "indented" if line.startswith("    ") else str(number) if SECTION.fullmatch(line) else ""
        yield before, line


def _entries(text: str, names: list[str]) -> Iterator[str]:
    """The entries of Args or Raises: each begins at the margin, or after `;` or `.` with an argument's name."""
    known = "|".join(map(re.escape, names)) or "(?!)"
    for entry in re.split(r"\n(?=\S)", text):
        yield from re.split(rf"(?<=[;.])\s+(?=(?:{known}|\w+Error): )", re.sub(r"\n +", "\n", entry))


def _entry(text: str, link: Link) -> str:
    found = ENTRY.fullmatch(text.rstrip(";"))
    if found is None:
        return f"- {inline(text, link)}"
    head = inline(re.sub(r"(?<![\w(*])(\w+)(?=,| \(|$)", r"`\1`", found[1]), link)
    return f"- {head}: " + inline(found[2], link).replace("\n", "\n  ")
