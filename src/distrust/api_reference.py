# python -m distrust.api_reference docs/api.md
"""The Python reference, docs/api.md and the pages beside it: each public name with its head, its docstring and its file.

Knows how a page is laid out. Does not know which names are public, or how a docstring reads.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import distrust
from distrust import docstrings
from distrust.api_names import PAGES, SOURCE, Name, anchor, lines, parsed, path_of, places, public

WRITTEN = "<!-- Written by `make docs` from the docstrings in src/distrust/; change the words there. -->"
HEAD = """\
# The Python reference

{written}

Every name that a program needs, as the code has it: its signature, what it takes and gives (shapes and units), what it
raises, where it is from. [Python](python.md) shows them at work. Shapes: `items` is `(B,)`, or `(B, L)` for tokens; C
classes, M teachers, S samples; -1 abstains. What a person can mend is raised as a
[`DistrustError`](api/data.md#class-errorsdistrusterror).

Modules stand below `distrust`: `losses.forward_kl` is `from distrust.losses import forward_kl`. Some names are in `distrust`
itself as well:
{root}.

The keys of a recipe's parts (`distrust.recipe`) are in the [recipe reference](recipe.md), those of methods' options in
[their own](options.md).
"""


def overview() -> str:
    """The whole of docs/api.md."""
    root = ", ".join(f"`{name}`" for name in distrust.__all__ if name != "__version__")
    parts = [HEAD.format(written=WRITTEN, root=root)]
    for page, (title, modules) in PAGES.items():
        parts.append(f"## [{title}](api/{page}.md)\n")
        for module in modules:
            names = " · ".join(f"[`{one.name}`](api/{places()[one.dotted]})" for one in public(module))
            parts.append(f"- `{module}`: {names}")
        parts.append("")
    return "\n".join(parts)


def api_page(page: str) -> str:
    """The whole of docs/api/PAGE.md."""
    title, modules = PAGES[page]
    parts = [f"# {title}", WRITTEN, "[All names](../api.md) · [Python](../python.md)"]
    for module in modules:
        link = partial(_place, page, module)
        about = ast.get_docstring(parsed(path_of(module))) or ""
        rows = [f"| [`{one.name}`](#{anchor(one.heading)}) | {_cell(one.summary, link)} |" for one in public(module)]
        parts += [f"## `distrust.{module}`", docstrings.markdown(about, [], link)]
        parts += ["\n".join(["| name | what it is |", "|---|---|", *rows])]
        parts += [part for one in public(module) for part in _section(one, link)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(one: Name, link: docstrings.Link) -> Iterator[str]:
    """A name: its heading, its head as the code has it, its file, its docstring; then the documented members of a class."""
    written, node = lines(one.file), one.node
    yield f"### {one.heading}"
    if isinstance(node, ast.ClassDef):
        yield _fenced(docstrings.outline(written, node))
    elif isinstance(node, ast.FunctionDef):
        yield _fenced(docstrings.signature(written, node))
    else:
        yield _fenced(docstrings.source(written, node))
    file = one.file.relative_to(SOURCE).as_posix()
    yield f"In [`{file}`](../../src/distrust/{file})."
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        yield docstrings.markdown(one.docstring, list(docstrings.arguments(node)), link)
    for of in one.members():
        yield f"#### `{one.name}.{of.name}`"
        yield _fenced(docstrings.signature(written, of))
        yield docstrings.markdown(ast.get_docstring(of) or "", list(docstrings.arguments(of)), link)


def _place(page: str, module: str, said: str) -> str | None:
    """Where what stands between backticks on a page is described, seen from that page."""
    name = said.removeprefix("distrust.").removesuffix("()")
    rooms = (f"{module}.", f"{module.rpartition('.')[0]}.", "", "errors.")
    found = next((places()[room + name] for room in rooms if room + name in places()), None)
    return found and found.removeprefix(f"{page}.md")


def _cell(text: str, link: docstrings.Link) -> str:
    return docstrings.inline(text, link).replace("|", "\\|")


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def write(path: Path) -> None:
    """Write docs/api.md at `path`, and the pages beside it."""
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    path.write_text(overview(), encoding="utf-8")
    for page in PAGES:
        folder.joinpath(f"{page}.md").write_text(api_page(page), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
