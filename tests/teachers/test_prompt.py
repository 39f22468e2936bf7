from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.data import Items
from distrust.errors import DataError, RecipeError
from distrust.labels import OPEN, LabelSpace
from distrust.recipe import Endpoint
from distrust.teachers.prompt import Prompt, fill

SPACE = LabelSpace(("spam", "ham"))


def recipe(**more: Any) -> Endpoint:
    return Endpoint.model_validate({"kind": "endpoint", "name": "t", "base_url": "http://h/v1", "model": "m"} | more)


def one(text: Any, **columns: Any) -> Items:
    return Items(("i",), (text,), {name: [value] for name, value in columns.items()})


def test_the_default_prompt_with_an_example() -> None:
    prompt = Prompt(recipe(), SPACE, [("buy now", "spam")])
    shown = prompt.render(one("hello"), 0)
    assert shown == "Classify the text as one of: spam, ham.\n\nText: buy now\nLabel: spam\n\nText: hello\nLabel:"


def test_braces_in_texts_and_json_are_plain_text() -> None:
    prompt = Prompt(recipe(prompt='{{text}} {"label": "{text}"} {subject}'), SPACE, [])
    assert prompt.render(one("{labels} {text}", subject=None), 0) == '{text} {"label": "{labels} {text}"} '


def test_pairs_and_letters() -> None:
    prompt = Prompt(recipe(prompt="{labels}: {text} / {text_pair}", parse={"kind": "choice"}), SPACE, [])
    assert prompt.render(one(("one", "two")), 0) == "A) spam, B) ham: one / two"
    quoted = Prompt(recipe(prompt="{examples}", parse={"kind": "choice"}), SPACE, [("x", "ham")])
    assert quoted.render(one("y"), 0) == "Text: x\nLabel: B\n\n"


def test_open_answers_are_quoted_as_they_are_and_have_no_labels() -> None:
    asked = recipe(prompt="{examples}Q: {text}\nA:", example="Q: {text}\nA: {label}\n\n", few_shot=1)
    prompt = Prompt(asked, OPEN, [("2 + 2?", "It is 4, {text}.")])
    assert prompt.render(one("1 + 1?"), 0) == "Q: 2 + 2?\nA: It is 4, {text}.\n\nQ: 1 + 1?\nA:"
    with pytest.raises(RecipeError, match=r"uses \{labels\}, which is no column or field"):
        Prompt(recipe(prompt="{labels} {text}"), OPEN, []).render(one("x"), 0)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"uses \{subjct\}.*did you mean 'subject'"):
        Prompt(recipe(prompt="{subjct}"), SPACE, []).render(one("x", subject="s"), 0)
    with pytest.raises(RecipeError, match="example uses"):
        Prompt(recipe(example="{texts}"), SPACE, [("x", "ham")])
    with pytest.raises(RecipeError, match="26 letters"):
        Prompt(recipe(parse={"kind": "choice"}), LabelSpace(tuple(map(str, range(27)))), [])
    with pytest.raises(RecipeError, match="put the words into `prompt`"):
        Prompt(recipe(api="completions", system="Be brief."), SPACE, [])
    with pytest.raises(DataError, match="'x' is no class"):
        Prompt(recipe(), SPACE, [("text", "x")])
    with pytest.raises(DataError, match="are tensors"):
        Prompt(recipe(), SPACE, []).render(Items(("i",), torch.zeros(1, 2)), 0)


def test_the_key_follows_whatever_may_change_the_answer_and_nothing_else() -> None:
    def key(item: str = "i", text: str = "x", **more: Any) -> tuple[bytes, str]:
        prompt = Prompt(recipe(**more), SPACE, [])
        setting = repr(sorted(prompt.setting().items()))
        return prompt.question(Items((item,), (text,)), 0, setting).key, setting

    same = key()
    for more in (
        {"concurrency": 3},
        {"retries": 1},
        {"base_url": "http://other/v1"},
        {"parse": {"after": ":"}},
        {"samples": 9},
    ):
        assert key(**more) == same
    for more in (
        {"model": "n"},
        {"temperature": 1.0},
        {"max_tokens": 3},
        {"seed": 1},
        {"prompt": "{text}"},
        {"system": "s"},
    ):
        assert key(**more) != same
    assert key(item="j") != same and key(text="y") != same


@given(st.text())
def test_the_token_bound_is_never_below_the_bytes(text: str) -> None:
    assert Prompt(recipe(), SPACE, []).most_tokens(text) > len(text.encode("utf-8", "surrogatepass"))


@given(st.text(), st.text())
def test_filling_happens_once(template: str, value: str) -> None:
    assert fill("{text}|{text}", {"text": value}, "t") == f"{value}|{value}"
    assert fill(template.replace("{", "").replace("}", ""), {}, "t") == template.replace("{", "").replace("}", "")
