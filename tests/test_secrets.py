"""Secrets: looked up when used, struck out wherever text leaves."""

from __future__ import annotations

import pytest

from distrust import secrets
from distrust.errors import RecipeError


@pytest.fixture(autouse=True)
def _nothing_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_handed_out", set())


def test_variables_are_expanded_once_and_everything_else_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/data/${HOME}")
    monkeypatch.setenv("EMPTY", "")
    assert secrets.expand("${DATA}/x ${EMPTY}$DATA ${not a name} {text} $") == "/data/${HOME}/x $DATA ${not a name} {text} $"


def test_an_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET", "sk-12345")
    monkeypatch.delenv("UNSET", raising=False)
    with pytest.raises(RecipeError, match=r"uses \$\{UNSET\} but the environment variable UNSET is not set") as refusal:
        secrets.expand("${SET}${UNSET}", secret=True)
    assert "sk-12345" not in str(refusal.value)


def test_only_what_was_handed_out_as_a_secret_is_struck_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-12345")
    monkeypatch.setenv("HOST", "example.org")
    assert secrets.redact("sk-12345") == "sk-12345"  # nobody asked for it yet
    assert secrets.expand("https://${HOST}") + secrets.expand("${KEY}", secret=True) == "https://example.orgsk-12345"
    echoed = "401 from example.org: bad key sk-12345, sk-12345!"
    assert secrets.redact(echoed) == "401 from example.org: bad key ***, ***!"


def test_a_secret_inside_another_leaves_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SHORT": "abcabcab", "LONG": "xxabcabcabyy"}.items():
        monkeypatch.setenv(name, value)
        secrets.expand(f"${{{name}}}", secret=True)
    assert secrets.redact("xxabcabcabyy abcabcab") == "*** ***"


def test_an_empty_secret_strikes_nothing_and_a_last_newline_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", " \n")
    monkeypatch.setenv("FROM_FILE", "sk-12345\n")
    secrets.expand("${EMPTY}${FROM_FILE}", secret=True)
    assert secrets.redact("key sk-12345 refused\n") == "key *** refused\n"


@pytest.mark.parametrize("key", ["x", "none", "EMPTY", "1234567"])
def test_a_placeholder_strikes_nothing(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """What a local server without keys is told is a word like any other: struck out, it spoils answers and reports."""
    monkeypatch.setenv("KEY", key)
    assert secrets.expand("${KEY}", secret=True) == key
    assert secrets.redact(f"texts: none of 1234567 EMPTY {key}") == f"texts: none of 1234567 EMPTY {key}"


def test_text_from_outside_is_shown_as_one_harmless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-12345")
    secrets.expand("${KEY}", secret=True)
    assert secrets.show("a\n\x1b[31mred\x07 sk-12345") == r"a \x1b[31mred\x07 ***"
    assert secrets.show("x" * 300) == "x" * 199 + "…" and secrets.show("abc", limit=3) == "abc"


def test_a_secret_at_the_cut_is_struck_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-12345")
    secrets.expand("${KEY}", secret=True)
    for blanks in range(60, 90):
        assert "sk" not in secrets.show(" " * blanks + "sk-12345", limit=10)
