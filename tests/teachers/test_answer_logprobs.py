from __future__ import annotations

import json
import math

import pytest

from distrust.teachers.answer_logprobs import label_logprobs

LABELS = ("positive", "negative", "neutral")


def chat(chosen: str, top: dict[str, float]) -> str:
    tops = [{"token": token, "logprob": math.log(p)} for token, p in top.items()]
    return json.dumps({"content": [{"token": chosen, "logprob": 0.0, "top_logprobs": tops}]})


def test_variants_of_a_token_add_up_and_the_rest_is_an_upper_bound() -> None:
    found = label_logprobs(chat(" pos", {" pos": 0.5, "Pos": 0.1, " neg": 0.2, " the": 0.04}), LABELS, 0)
    assert found is not None
    assert [math.exp(one) for one in found] == pytest.approx([0.6, 0.2, 0.04])  # neutral: at most what was served


def test_completions_shape_agrees_with_chat() -> None:
    legacy = json.dumps({"tokens": [" neg"], "top_logprobs": [{" neg": math.log(0.7), " pos": math.log(0.3)}]})
    modern = chat(" neg", {" neg": 0.7, " pos": 0.3})
    assert label_logprobs(legacy, LABELS, 1) == label_logprobs(modern, LABELS, 1)


@pytest.mark.parametrize(
    ("served", "claim"),
    [
        (chat("The", {"The": 0.9, " pos": 0.1}), 0),  # the label comes later
        (chat(" pos", {" pos": 0.9}), 1),  # the text was read otherwise
        (chat(" ne", {" ne": 0.9, " pos": 0.1}), 1),  # negative or neutral?
        (chat(" pos", {" pos": 0.6, " ne": 0.4}), 0),
        (chat(" pos", {" pos": 0.9}), -1),
        (None, 0),
        ("null", 0),
        ("[1", 0),
        ('{"content": [{"token": "pos"}]}', 0),
        ('{"content": [{"token": "pos", "top_logprobs": [{"token": "pos", "logprob": "NaN"}]}]}', 0),
    ],
)
def test_what_cannot_be_read_off_honestly_is_none(served: str | None, claim: int) -> None:
    assert label_logprobs(served, LABELS, claim) is None
