from __future__ import annotations

import pytest
import torch

from distrust.data import Items
from distrust.errors import DataError
from distrust.students.causal import CausalStudent
from distrust.students.sampling import Choice, _exponential, generate, text_keys
from tests.writers import KINDS, flips, writer

ITEMS = flips(30)[0]


def alone(student: CausalStudent, text: str, most: int = 12) -> str:
    """What transformers' own generate writes, greedily, of one unpadded prompt."""
    tokenizer = student.reader.tokenizer
    inputs = tokenizer(text + "\n", return_tensors="pt", add_special_tokens=False)
    student.module.eval()
    out = student.module.generate(  # type: ignore[operator]
        **inputs, max_new_tokens=most, do_sample=False, eos_token_id=tokenizer.eos_token_id
    )
    said: str = tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return said


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_greedy_is_transformers_own_whatever_the_batch(kind: str) -> None:
    student = writer(kind)
    wanted = [[alone(student, ITEMS.text(row))] for row in range(len(ITEMS))]
    assert len({text for (text,) in wanted}) > 5, "a student that always says the same tests nothing"
    for rows in (1, 4, 256):
        assert generate(student, ITEMS, rows=rows).texts == wanted


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_samples_depend_on_item_and_seed_and_not_on_the_batch(kind: str, top_p: float) -> None:
    student = writer(kind)
    how = {"samples": 3, "temperature": 1.0, "top_p": top_p}
    found = generate(student, ITEMS, **how).texts
    assert all(len(one) == 3 for one in found) and len({text for one in found for text in one}) > 60
    assert generate(student, ITEMS, rows=4, **how).texts == found
    order = list(reversed(range(len(ITEMS))))
    assert generate(student, ITEMS.select(order), **how).texts == [found[row] for row in order]
    assert generate(student, ITEMS, seed=1, **how).texts != found
    assert [one[:2] for one in found] == generate(student, ITEMS, **{**how, "samples": 2}).texts


def test_modes_and_the_global_random_state_are_left() -> None:
    student = writer("gpt2")
    student.module.train()
    part = next(iter(student.module.children()))
    part.eval()
    before = torch.random.get_rng_state()
    first, second = (generate(student, ITEMS, samples=2, temperature=0.7) for _ in range(2))
    assert first.texts == second.texts, "dropout is off while writing"
    assert student.module.training and not part.training
    assert torch.equal(before, torch.random.get_rng_state())


def test_greedy_samples_are_all_alike() -> None:
    written = generate(writer(), ITEMS, samples=4)
    assert all(len(one) == 4 and len(set(one)) == 1 for one in written.texts) and written.ended.shape == (4, 30)


def test_a_text_ends_at_the_end_token_or_is_cut_and_said_to_be() -> None:
    student = writer()
    tokenizer = student.reader.tokenizer
    written = generate(student, ITEMS, samples=20, temperature=1.5, max_new_tokens=10)
    assert 0 < int(written.ended.sum()) < written.ended.numel()
    for row, texts in enumerate(written.texts):
        for text, ended in zip(texts, written.ended[:, row].tolist(), strict=True):
            assert tokenizer.eos_token not in text
            if not ended:
                assert text, "nothing but an end is empty"


def test_bfloat16_writes() -> None:
    student = writer()
    wanted = generate(student, ITEMS).texts
    student.module.bfloat16()
    found = generate(student, ITEMS, rows=8)
    same = sum(mine[0][:3] == theirs[0][:3] for mine, theirs in zip(found.texts, wanted, strict=True))
    assert same > 20, "rounded, but the same student"


def test_no_items_are_no_texts() -> None:
    written = generate(writer(), ITEMS.select([]), samples=2, temperature=1.0)
    assert written.texts == [] and written.ended.shape == (2, 0)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"samples": 0}, "0 samples of 12 tokens"),
        ({"max_new_tokens": 0}, "1 samples of 0 tokens"),
        ({"temperature": -1.0}, "temperature of -1.0"),
        ({"temperature": float("nan")}, "temperature of nan"),
        ({"top_p": 0.0}, "top_p is 0.0"),
    ],
)
def test_numbers_out_of_range_are_sentences(how: dict[str, float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        generate(writer(), ITEMS, **how)  # type: ignore[arg-type]


def test_noise_is_exponential_and_rows_are_strangers() -> None:
    keys = text_keys([f"item {row}" for row in range(200)], 2, 0)
    drawn = _exponential(keys, 3, 500).double()
    assert bool((drawn > 0).all()) and bool(drawn.isfinite().all())
    assert float(drawn.mean()) == pytest.approx(1, abs=0.01) and float(drawn.var()) == pytest.approx(1, abs=0.03)
    below = torch.tensor([0.1, 0.5, 1.0, 3.0], dtype=torch.float64)
    shares = (drawn.flatten() < below.unsqueeze(-1)).double().mean(-1)
    torch.testing.assert_close(shares, 1 - (-below).exp(), atol=0.004, rtol=0)
    between = torch.corrcoef((-torch.cat([drawn, _exponential(keys, 4, 500).double()])).exp()).fill_diagonal_(0)
    assert float(between.abs().max()) < 0.25 and float(between.mean().abs()) < 1e-3
    assert torch.equal(_exponential(keys[:5], 3, 100), _exponential(keys, 3, 500)[:5, :100]), "a function of its arguments"


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.7)])
def test_tokens_are_drawn_as_often_as_they_should(temperature: float, top_p: float) -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -torch.inf, 1.5])
    wanted = (logits.double() / temperature).softmax(-1)
    if top_p < 1:  # by hand: .495, .300 reach .7 at the second
        wanted = torch.where(wanted >= wanted.sort(descending=True).values[1], wanted, 0.0)
        wanted = wanted / wanted.sum()
    keys = text_keys([str(row) for row in range(5000)], 1, 1)
    drawn = [Choice(temperature, top_p)(logits.expand(5000, 6), keys, step) for step in range(8)]
    shares = torch.cat(drawn).bincount(minlength=6).double() / 40_000
    assert shares[4] == 0
    torch.testing.assert_close(shares, wanted, atol=0.01, rtol=0)


def test_a_prompt_is_read_once_for_all_its_samples_and_all_are_written_together() -> None:
    """What makes it fast; how fast is measured by `python -m benchmarks sampling`."""
    student, items = writer(), flips(40, most=6)[0]
    calls: list[tuple[int, int]] = []
    student.module.register_forward_pre_hook(
        lambda one, given, named: calls.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    generate(student, items, samples=8, temperature=1.0, rows=1000)
    together, limit = list(calls), student.reader.max_completion_length
    assert [rows for rows, width in together if width > 1] == [40], "one prefill of every prompt"
    assert len(together) <= limit and all(rows <= 8 * 40 for rows, _ in together)
    calls.clear()
    for seed in range(8):
        generate(student, items, temperature=1.0, seed=seed, rows=1000)
    assert sum(rows for rows, width in calls if width > 1) == 8 * 40 and len(calls) > 4 * len(together)


def test_ids_that_no_encoding_takes_are_hashed() -> None:
    assert len(generate(writer(), Items(("\ud800",), ("A waits.",)), temperature=1.0).texts[0]) == 1
