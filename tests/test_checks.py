"""Looking at an installation: what is missing, too old or optional is said so."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from distrust import checks, products
from tests import worlds


def test_all_dependencies_are_there() -> None:
    found = {check.what: check for check in checks.installation()}
    assert all(check.ok for check in found.values())
    assert found["torch"].said == importlib.metadata.version("torch")
    assert {"python", "devices", "peft", "HF_HUB_OFFLINE"} <= found.keys() and "pytest" not in found


@pytest.mark.parametrize(
    "line, ok, said",
    [
        ("no-such-thing-xyz>=1.0", False, "is not installed; run: pip install no-such-thing-xyz"),
        ('no-such-thing-xyz>=1.0; extra == "trackers"', True, "it is optional: pip install 'distrust[trackers]'"),
        ("torch>=99.1", False, "and 99.1 or later is needed; run: pip install -U torch"),
        ("torch>=2.0.1", True, importlib.metadata.version("torch")),
        ("torch", True, importlib.metadata.version("torch")),
    ],
)
def test_each_requirement_is_judged(monkeypatch: pytest.MonkeyPatch, line: str, ok: bool, said: str) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: [line, 'pytest>=8; extra == "test"'])
    named = [check for check in checks.installation() if check.what in line]
    assert [(check.ok, said in check.said) for check in named] == [(ok, True)]
    assert "pytest" not in [check.what for check in checks.installation()]


def test_the_environment_is_told_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTRUST_DATA", "/a/private/place")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    found = {check.what: check.said for check in checks.installation()}
    assert found["DISTRUST_DATA"] == "is set" and "is not set" in found["HF_HUB_OFFLINE"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert any("is set: nothing is fetched" in check.said for check in checks.installation())


def test_a_recipe_that_asks_for_what_this_processor_cannot_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = worlds.recipe(tmp_path, onednn=True)
    monkeypatch.setattr(products, "error", lambda: 2e-3)
    found = {check.what: check for check in checks.recipe(path)}
    assert not found["recipe"].ok and "`onednn: true` is not possible here" in found["recipe"].said
