"""docs/recipe.md and docs/options.md say what the models say, about every key."""

from __future__ import annotations

import re
from pathlib import Path

from distrust import recipe
from distrust.methods import METHODS
from distrust.reference import MEASURED, options_reference, recipe_reference

ROOT = Path(__file__).parent.parent
PARTS = [one for one in vars(recipe).values() if isinstance(one, type) and issubclass(one, recipe.Strict)]


def test_the_reference_in_the_docs_is_up_to_date() -> None:
    assert (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8") == recipe_reference(), "run `make docs`"


def test_the_options_in_the_docs_are_those_of_the_methods() -> None:
    text = options_reference()
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == text, "run `make docs`"
    for name, method in METHODS.items():
        section = text.split(f"## `{name}`\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.+) \|$", section, flags=re.MULTILINE)
        assert [key for key, *_ in rows] == list(method.options.model_fields), name
        assert f"](../src/distrust/methods/{method.run.__module__.rpartition('.')[2]}.py)" in section
    assert not re.search(r"Optional|Literal|NoneType|Undefined|float|dict\[", text)
    assert sorted(name for names in MEASURED.values() for name in names) == sorted(METHODS), "each on one page"


def test_every_key_of_every_part_is_in_it_and_explained() -> None:
    text = recipe_reference()
    keys = [name for part in PARTS for name in part.model_fields]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.*) \|$", text, flags=re.MULTILINE)
    assert sorted(key for key, *_ in rows) == sorted(keys)
    assert [key for key, *cells in rows if not all(cell.strip() for cell in cells)] == []


def test_types_bounds_and_defaults_are_in_plain_words() -> None:
    text = recipe_reference()
    for row in (
        "| `top_p` | number (> 0, ≤ 1) | - |",
        '| `lr_scheduler_type` | `linear` or `cosine` or `constant` | `"linear"` |',
        "| `characters` | list of 2: whole number | `[",
        "| `adapter` | text | - |",
        "| `path` | text | required |",
    ):
        assert row in text
    for word in ("Optional", "Literal", "NoneType", "Undefined", "float", "dict["):
        assert word not in text
