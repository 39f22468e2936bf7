from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.data import Items
from distrust.errors import DataError
from distrust.students.completions import IGNORED, Ragged
from tests.writers import flips, writer

STUDENT = writer()
TOKENIZER = STUDENT.reader.tokenizer
CHAT = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def ids(text: str) -> list[int]:
    found: list[int] = TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return found


@given(st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=5), st.booleans(), st.data())
def test_padding_is_a_plain_loops(sequences: list[list[int]], left: bool, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(sequences) - 1), min_size=1, max_size=6))
    found, inside = Ragged.of(sequences).padded(torch.tensor(chosen), 0, left)
    longest = max(len(sequences[row]) for row in chosen)
    for row, values, there in zip(chosen, found.tolist(), inside.tolist(), strict=True):
        missing = [0] * (longest - len(sequences[row]))
        assert values == (missing + sequences[row] if left else sequences[row] + missing)
        assert sum(there) == len(sequences[row]) and there == [bool(value) for value in values]


def test_a_completion_follows_its_prompt_and_its_end_is_learned() -> None:
    items = Items(("a", "b"), ("Heads up. A flips.", "A waits."))
    batch = STUDENT.encode_told(items, ["no", "yes, it is"]).batch(torch.tensor([0, 1]))
    for row, said in enumerate(["no", "yes, it is"]):
        prompt, wanted = ids(items.text(row) + "\n"), [*ids(said), TOKENIZER.eos_token_id]
        read = batch["input_ids"][row][batch["attention_mask"][row].bool()].tolist()
        assert read[: len(prompt + wanted) - 1] == prompt + wanted[:-1]
        counted = batch["labels"][row] != IGNORED
        assert batch["labels"][row][counted].tolist() == wanted, "the first token counts, and the end"
        assert batch["position_ids"][row][batch["attention_mask"][row].bool()].tolist() == list(range(len(read)))
    assert batch["labels"].shape[1] == len(ids("yes, it is")) + 1
    assert batch["input_ids"].shape == batch["attention_mask"].shape == batch["position_ids"].shape


def test_what_is_too_long_is_cut_and_said() -> None:
    short = writer(max_prompt_length=6, max_completion_length=4)
    items = Items(("a", "b"), ("A waits.", "Heads up. A flips. B waits."))
    encoded = short.encode_told(items, ["no", "it is still heads up"])
    assert len(encoded.notes) == 2
    assert "1 of 2 prompts are longer than 6 tokens: their beginning" in encoded.notes[0]
    assert "1 of 2 completions are longer than 4 tokens: their end" in encoded.notes[1]
    batch = encoded.batch(torch.tensor([1]))
    assert batch["input_ids"][0, :6].tolist() == ids("Heads up. A flips. B waits.\n")[-6:]
    assert batch["labels"].tolist() == [ids("it is still heads up")[:4]], "a completion that was cut has not ended"
    assert not STUDENT.encode_told(items, ["no", "yes"]).notes


def test_special_tokens_in_texts_are_letters() -> None:
    items = Items(("a",), ("ends </s> here <pad>",))
    batch = STUDENT.encode_told(items, ["no</s>yes"]).batch(torch.tensor([0]))
    special = set(TOKENIZER.all_special_ids)
    assert not special & set(batch["input_ids"][0].tolist())
    assert batch["labels"][0].tolist().count(TOKENIZER.eos_token_id) == 1 and int(batch["labels"][0, -1]) in special


@given(st.text(max_size=30))
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert TOKENIZER.decode(ids(text)) == text


def test_each_digit_is_a_token() -> None:
    assert len(ids("123")) == 3


def test_an_empty_prompt_has_a_place_to_answer_from() -> None:
    bare = writer(template="{prompt}")
    batch = bare.encode(Items(("a",), ("",))).batch(torch.tensor([0]))
    assert batch["input_ids"].tolist() == [[TOKENIZER.bos_token_id]] and batch["attention_mask"].tolist() == [[1]]


def test_conversations_pairs_and_texts_are_rendered() -> None:
    turns = (("system", "Be brief."), ("user", "Heads?"), ("assistant", "yes"), ("user", "Sure?"))
    items = Items(("a", "b", "c"), (turns, ("one", "two"), "three"))

    def shown(row: int) -> str:
        text: str = student.reader.tokenizer.decode(student.encode(items).batch(torch.tensor([row]))["input_ids"][0])
        return text

    student = writer(max_prompt_length=100)
    plain = [shown(row) for row in range(3)]
    assert plain == ["system: Be brief.\nuser: Heads?\nassistant: yes\nuser: Sure?\nassistant: ", "one\ntwo\n", "three\n"]
    student.reader.tokenizer.chat_template = CHAT
    assert shown(2) == "<s>user\nthree</s>\n<s>assistant\n"
    assert shown(0).endswith("<s>user\nSure?</s>\n<s>assistant\n") and shown(0).startswith("<s>system\nBe brief.</s>")
    assert student.reader.key != writer().reader.key, "another template is another way to read"


def test_a_template_that_refuses_is_a_sentence() -> None:
    student = writer()
    student.reader.tokenizer.chat_template = "{{ raise_exception('only users') }}"
    with pytest.raises(DataError, match="refuses a conversation of system, user: only users"):
        student.encode(Items(("a",), ((("system", "x"), ("user", "y")),)))


def test_tensors_are_refused() -> None:
    with pytest.raises(DataError, match="reads texts and the items are tensors"):
        STUDENT.encode(Items(("a",), torch.zeros(1, 2)))


def test_batches_are_of_like_length_and_hold_every_row_once() -> None:
    encoded = STUDENT.encode(flips(50)[0])
    parts = list(encoded.by_length(7))
    assert sorted(torch.cat(parts).tolist()) == list(range(50))
    lengths = encoded.tokens.lengths[torch.cat(parts)]
    assert bool((lengths[:-1] >= lengths[1:]).all()) and max(map(len, parts)) == 7
