"""Texts that a teacher corrects as they are written, against a plain loop that reads every prompt anew for every token."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distrust.data import Items
from distrust.students.causal import CausalStudent
from distrust.students.interleaved import OTHER, interleaved
from distrust.students.sampling import Choice
from tests.writers import flips, writer

ITEMS = flips(5)[0]
STUDENT, TEACHER = writer(seed=0), writer("gpt2", seed=1)  # of one tokenizer
ENDS = list(range(0, 300, 12))  # some texts end early then
for one in (STUDENT, TEACHER):
    one.module.generation_config.eos_token_id = ENDS  # type: ignore[union-attr]


def prompts(model: CausalStudent, items: Items) -> dict[str, Tensor]:
    return model.encode(items).batch(torch.arange(len(items)))


def next_logits(model: CausalStudent, read: list[int]) -> Tensor:
    with torch.no_grad():
        return model.module.eval()(input_ids=torch.tensor([read])).logits[:, -1, : len(model.reader.tokenizer)]


def by_hand(item: str, teacher: CausalStudent, key: Tensor, top: int, temperature: float) -> tuple[list[int], list[bool]]:
    """One text, and which of its tokens the student said."""
    choice, written, own = Choice(temperature), [], []
    starts = [prompts(model, Items(("a",), (item,)))["input_ids"][0].tolist() for model in (STUDENT, teacher)]
    for step in range(STUDENT.reader.max_completion_length):
        mine, its = (next_logits(model, start + written) for model, start in zip((STUDENT, teacher), starts, strict=True))
        proposed = int(choice(mine, key, step))
        own.append(proposed in its[0].topk(min(top, its.shape[-1])).indices.tolist())
        written.append(proposed if own[-1] else int(choice(its, key ^ OTHER, step)))
        if written[-1] in (*ENDS, STUDENT.reader.tokenizer.eos_token_id):
            break
    return written, own


@pytest.mark.parametrize(("teacher", "top", "temperature"), [(TEACHER, 3, 0.0), (TEACHER, 40, 0.8), (STUDENT, 1, 1.0)])
def test_each_token_is_the_students_where_the_teacher_lets_it_stand(
    teacher: CausalStudent, top: int, temperature: float
) -> None:
    keys = torch.tensor([3, 99, 2**32 - 1, 0, 7])
    asked = prompts(STUDENT, ITEMS), prompts(teacher, ITEMS)
    written, stood = interleaved(STUDENT, teacher, asked, keys, top, temperature)
    wanted = [by_hand(ITEMS.text(row), teacher, keys[row : row + 1], top, temperature) for row in range(5)]
    assert written == [text for text, _ in wanted] and len({len(text) for text in written}) > 1
    said = [one for _, own in wanted for one in own]
    assert stood == pytest.approx(sum(said) / len(said)) and 0 <= stood < 1


def test_greedy_with_the_first_place_alone_is_the_teachers_own_text() -> None:
    asked = prompts(STUDENT, ITEMS), prompts(TEACHER, ITEMS)
    written, stood = interleaved(STUDENT, TEACHER, asked, torch.arange(5), 1, 0.0)
    alone, all_of_it = interleaved(TEACHER, TEACHER, asked[1:] * 2, torch.arange(5), 1, 0.0)
    assert written == alone and all_of_it == 1 > stood


def test_models_and_random_state_are_left_as_they_were() -> None:
    STUDENT.module.train()
    state = torch.get_rng_state()
    asked = prompts(STUDENT, ITEMS), prompts(TEACHER, ITEMS)
    before = [one.clone() for part in asked for one in part.values()]
    interleaved(STUDENT, TEACHER, asked, torch.arange(5), 3)
    assert STUDENT.module.training and torch.equal(state, torch.get_rng_state())
    assert all(
        torch.equal(one, other) for one, other in zip(before, (one for part in asked for one in part.values()), strict=True)
    )
    STUDENT.module.eval()
