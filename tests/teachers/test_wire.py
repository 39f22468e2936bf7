from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrust.recipe import Endpoint
from distrust.teachers.wire import Choice, Reply, error_text, payload, read_models, read_reply, storable

LABELS = ("yes", "no")


def sent(sample: int = 0, n: int = 1, **more: Any) -> dict[str, Any]:
    base = {"kind": "endpoint", "name": "t", "base_url": "http://h/v1", "model": "m"}
    return payload(Endpoint.model_validate(base | more), LABELS, "ask", sample, n)


def test_what_is_sent_by_hand() -> None:
    assert sent() == {"model": "m", "temperature": 0.0, "messages": [{"role": "user", "content": "ask"}]}
    assert sent(api="completions", stop=["\n"], logprobs=5)["prompt"] == "ask"
    assert sent(api="completions", logprobs=5)["logprobs"] == 5
    full = sent(sample=3, n=2, seed=7, top_p=0.9, max_tokens=4, stop=["."], logprobs=2, system="Be brief.")
    assert full["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (full["seed"], full["n"], full["top_p"], full["max_tokens"], full["stop"]) == (10, 2, 0.9, 4, ["."])
    assert (full["logprobs"], full["top_logprobs"]) == (True, 2)


def test_structure_in_both_words() -> None:
    choice = sent(structured="choice")
    assert choice["guided_choice"] == ["yes", "no"] and choice["structured_outputs"] == {"choice": ["yes", "no"]}
    schema = sent(structured="json")["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == ["yes", "no"] and schema["required"] == ["label"]


def test_a_list_of_models_is_read_where_it_is_one() -> None:
    assert read_models(b'{"data": [{"id": "a"}, {"id": 3}, "b", {"id": "c", "owned_by": "vllm"}]}') == ["a", "c"]
    for odd in (b"", b"<html>", b"[1]", b'{"data": {"id": "a"}}', b'{"data": []}', b"[" * 100_000, b"\xff"):
        assert read_models(odd) == []
    assert read_models(b'{"data": [{"id": "a.gguf", "owned_by": "llamacpp"}]}') == [], "it answers for any name"


def test_replies_of_both_apis() -> None:
    chat = {
        "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    assert read_reply(json.dumps(chat).encode()) == Reply((Choice("a", "stop", None),), 3, 1)
    plain = {"choices": [{"text": "a", "logprobs": {"tokens": ["a"]}}, {"text": "b"}]}
    assert read_reply(json.dumps(plain).encode()) == Reply(
        (Choice("a", None, '{"tokens": ["a"]}'), Choice("b", None, None)), None, None
    )
    silent = {"choices": [{"message": {"content": None}, "finish_reason": "length"}]}
    assert read_reply(json.dumps(silent).encode()).choices[0].text == ""


@pytest.mark.parametrize("tokens", [-1, 2**60, "3", 2.5, True, None])
def test_impossible_usage_is_unknown(tokens: Any) -> None:
    body = {"choices": [{"text": "a"}], "usage": {"prompt_tokens": tokens, "completion_tokens": 1}}
    assert read_reply(json.dumps(body).encode()).prompt_tokens is None


KEYS = ["choices", "message", "content", "text", "usage", "prompt_tokens", "error", "logprobs", "finish_reason", "detail"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_any_body_is_a_reply_or_a_reason(body: bytes) -> None:
    try:
        reply = read_reply(body)
    except ValueError as error:
        assert str(error)
    else:
        assert reply.choices and all(isinstance(one.text, str) for one in reply.choices)
    assert isinstance(error_text(body), str)


@given(st.text())
def test_what_is_stored_is_utf8(text: str) -> None:
    storable(text).encode()


def test_errors_in_the_words_of_several_servers() -> None:
    assert error_text(b'{"error": {"message": "no key"}}') == "no key"
    assert error_text(b'{"error": "no key"}') == "no key"
    assert error_text(b'{"detail": "no key"}') == "no key"
    assert error_text(b"<html>no key") == "<html>no key"
