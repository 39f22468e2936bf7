"""Docstrings and heads of this code as Markdown."""

from __future__ import annotations

import ast
from textwrap import dedent

from distrust import docstrings

CODE = '''
@dataclass(frozen=True)
class Pair(Base):
    """Two."""

    first: Tensor  # (*items, C) long
    _hidden: int = 0
    KIND = "π"

    def __post_init__(self) -> None:
        self.unsaid: int = 0

    def __init__(self) -> None:
        self.seen: list[int] = []  # so far
        self._kept: int = 0
        self.plain = 0

    @property
    def obvious(self) -> int:
        return 1

    def told(self, a: Tensor, *, b: float = 1.0) -> tuple[Tensor, str]:  # why
        """Said."""
        return a, "π"


def long(
    a: Tensor,  # (n,)
    b: "π" = 2,
) -> "π":
    return a
'''
DOC = """\
Mean of (*items, C) < 1, *not* a sum: see `other` and ``{"a": 1}``.

- is no list, nor is <this> a tag.

    code = 1

    more()

Args:
    a: (*items) of it; b: a number.
    c, d (n,): as for `other`,
        on two lines.

Raises:
    DataError: a wrong one. RunError: another.

Returns:
    (n,) double.

Example:
    >>> 1 * 2
    2

Source: somebody.
"""


def test_a_docstring_becomes_markdown() -> None:
    links = {"other": "#other", "RunError": "data.md#run"}
    assert docstrings.markdown(DOC.strip(), ["a", "b", "c", "d"], links.get) == dedent("""\
        Mean of (\\*items, C) < 1, *not* a sum: see [`other`](#other) and ``{"a": 1}``.

        \\- is no list, nor is \\<this> a tag.

        ```
        code = 1

        more()
        ```

        **Args**

        - `a`: (\\*items) of it
        - `b`: a number.
        - `c`, `d` (n,): as for [`other`](#other),
          on two lines.

        **Raises**

        - `DataError`: a wrong one.
        - [`RunError`](data.md#run): another.

        **Returns**

        (n,) double.

        **Example**

        ```python
        >>> 1 * 2
        2
        ```

        Source: somebody.""")


def test_heads_are_cut_from_the_source_with_their_comments() -> None:
    pair, long = (node for node in ast.parse(CODE).body if isinstance(node, ast.ClassDef | ast.FunctionDef))
    assert isinstance(pair, ast.ClassDef) and isinstance(long, ast.FunctionDef)
    lines = CODE.split("\n")
    assert docstrings.outline(lines, pair) == dedent("""\
        @dataclass(frozen=True)
        class Pair(Base):
            first: Tensor  # (*items, C) long
            KIND = "π"
            seen: list[int]  # so far
            def __init__(self) -> None
            @property
            def obvious(self) -> int""")
    (told,) = docstrings.members(pair)
    assert docstrings.signature(lines, told) == "def told(self, a: Tensor, *, b: float = 1.0) -> tuple[Tensor, str]"
    assert docstrings.signature(lines, long) == 'def long(\n    a: Tensor,  # (n,)\n    b: "π" = 2,\n) -> "π"'
    assert docstrings.arguments(long) == {"a": "Tensor", "b": "'π'"}
    assert docstrings.arguments(pair) == {}, "what `__init__` takes"
