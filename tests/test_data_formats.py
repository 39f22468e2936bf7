"""docs/data-formats.md does what it says: its files are written, its Python is run, its recipe is read."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
import yaml

from distrust.recipe_file import parse_recipe

PAGE = (Path(__file__).parent.parent / "docs" / "data-formats.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _, name, content in BLOCKS:
        if name:
            Path(name).write_text(content, encoding="utf-8")
    code = "\n".join(content for language, _, content in BLOCKS if language == "python")
    example = doctest.DocTestParser().get_doctest(code, {}, "data-formats.md", None, 0)
    said: list[str] = []
    outcome = doctest.DocTestRunner().run(example, out=said.append)
    assert outcome.attempted > 10 and outcome.failed == 0, "".join(said)


def test_the_recipe_is_legal() -> None:
    recipes = [content for language, _, content in BLOCKS if language == "yaml"]
    assert [parse_recipe(yaml.safe_load(one)).teachers[0].name for one in recipes] == ["llm"]
