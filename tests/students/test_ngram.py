"""The n-gram student: what it counts, how it weighs, and that its answers are the same everywhere."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from distrust.build import load_student
from distrust.data import Items
from distrust.errors import DataError, RecipeError, RunError
from distrust.labels import LabelSpace
from distrust.recipe import NgramStudent
from distrust.recipe_file import parse_recipe
from distrust.students import answer
from distrust.students.ngram import Ngram, build, inverse_frequencies, load
from tests import worlds

SPACE = LabelSpace(("x", "y"))
WORDS = NgramStudent(buckets=2**20, dimension=4, words=2, characters=None, min_items=1)
TEXTS = ("red red green", "red blue", "Grün, blue!", "")


def items(*texts: str) -> Items:
    return Items(tuple(str(number) for number in range(len(texts))), texts)


def student(options: NgramStudent = WORDS, pool: Items | None = None, seed: int = 0) -> Ngram:
    return build(options, SPACE, seed, pool or items(*TEXTS))


def bag(one: Ngram, text: str) -> list[float]:
    """The weights of a text's n-grams, in no order; 1e-6 is a bucket's worth of noise."""
    return sorted(one.encode(items(text)).weights.tolist())


def expected(text: list[str], pool: list[list[str]]) -> list[float]:
    """(1 + log tf) · idf, scaled to unit length, by hand; texts as lists of their n-grams."""
    counts = Counter(text)
    idf = {gram: math.log((1 + len(pool)) / (1 + sum(gram in other for other in pool))) + 1 for gram in counts}
    weights = [(1 + math.log(count)) * idf[gram] for gram, count in counts.items()]
    length = math.sqrt(sum(weight**2 for weight in weights))
    return sorted(weight / length for weight in weights)


GRAMS = [
    ["red", "red", "green", "red red", "red green"],
    ["red", "blue", "red blue"],
    ["grün", "blue", "grün blue"],
    [],
]


@pytest.mark.parametrize("row", [0, 1, 2])
def test_weights_are_those_worked_out_by_hand(row: int) -> None:
    assert bag(student(), TEXTS[row]) == pytest.approx(expected(GRAMS[row], GRAMS), rel=1e-6)


def test_character_grams_stay_inside_words() -> None:
    one = student(NgramStudent(buckets=2**20, dimension=4, words=0, characters=(2, 3), min_items=1), items("ab", "b"))
    grams = [[" a", "ab", "b ", " ab", "ab "], [" b", "b ", " b "]]
    assert bag(one, "ab") == pytest.approx(expected(grams[0], grams), rel=1e-6)


def test_rare_grams_are_not_kept_and_frequencies_are_the_pools_alone() -> None:
    options = WORDS.model_copy(update={"min_items": 2})
    pool = items(*TEXTS)
    assert int((inverse_frequencies(options, pool) > 0).sum()) == 2, "red and blue"
    one = student(options, pool)
    assert len(bag(one, "red green unseen")) == 1
    before = bag(one, "red blue")
    one.encode(items(*["blue"] * 50))
    assert bag(one, "red blue") == before, "what it reads later teaches it no frequency"


def test_an_unseen_gram_of_the_pool_moves_nothing() -> None:
    one = student()
    assert bag(one, "violet") == [] and bag(one, "red violet") == pytest.approx([1.0])


def logits(one: Ngram, texts: Items) -> Tensor:
    said = answer(one, texts).logits
    assert said is not None
    return said.dense()


def test_an_empty_text_is_an_empty_bag_and_answers_the_bias() -> None:
    one = student()
    nn.init.constant_(one.module.head.bias, 0.25)  # type: ignore[union-attr,arg-type]
    assert torch.equal(logits(one, items("", " \n", "violet")), torch.full((3, 2), 0.25))


def test_logits_are_the_weighted_sum_of_rows_through_the_head() -> None:
    one = student()
    rows = one.encode(items(*TEXTS)).batch(torch.tensor([1, 3, 0]))
    module = one.module
    said = one.logits(rows)
    ends = [*rows["offsets"].tolist(), len(rows["ids"])]
    for number in range(3):
        vector = torch.zeros(4, dtype=torch.float64)
        for place in range(ends[number], ends[number + 1]):
            vector += rows["weights"][place].double() * module.embedding.weight[rows["ids"][place]].double()  # type: ignore[union-attr,index]
        by_hand = module.head.weight.double() @ vector + module.head.bias.double()  # type: ignore[union-attr,operator]
        torch.testing.assert_close(said[number].double(), by_hand, rtol=1e-5, atol=1e-6)


def test_a_batch_is_its_rows_in_any_order() -> None:
    grams = student().encode(items(*TEXTS))
    whole = grams.batch(torch.arange(4))
    for row in range(4):
        alone = grams.batch(torch.tensor([row]))
        ends = [*whole["offsets"].tolist(), len(whole["ids"])]
        assert torch.equal(alone["ids"], whole["ids"][ends[row] : ends[row + 1]])
        assert torch.equal(alone["weights"], whole["weights"][ends[row] : ends[row + 1]])
    assert len(grams) == 4 and grams.batch(torch.tensor([], dtype=torch.long))["offsets"].shape == (0,)


def test_any_text_is_read() -> None:
    odd = items("\x00", "\U0001f600" * 3, "漢字 かな", "a" * 100_000, "İstanbul ß ﬁ", "\u202e", "שלום", "1 2 3")
    for options in (WORDS, NgramStudent(buckets=64, dimension=2), NgramStudent(buckets=1, dimension=1, words=0)):
        assert bool(logits(student(options, odd), odd).isfinite().all())


def test_weights_are_drawn_from_the_seed_and_leave_the_global_state() -> None:
    state = torch.get_rng_state()
    one, again, other = student(seed=3), student(seed=3), student(seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(logits(one, items("red")), logits(again, items("red")))
    assert not torch.equal(logits(one, items("red")), logits(other, items("red")))


def test_the_key_names_what_it_is() -> None:
    same = student().key
    pool = items(*TEXTS, "more")
    changed = [student(seed=1), student(pool=pool), student(WORDS.model_copy(update={"words": 1}))]
    changed.append(build(WORDS, LabelSpace(("y", "x")), 0, items(*TEXTS)))
    assert student().key == same and len({same, *(one.key for one in changed)}) == 5


def test_a_saved_student_answers_bit_for_bit(tmp_path: Path) -> None:
    pool = items(*(row["text"] for row in worlds.texts(60)), "")
    one = student(NgramStudent(buckets=512, dimension=4, dropout=0.5), pool)
    one.key = "after training"
    one.save(tmp_path)
    for back in (load(tmp_path), load_student(tmp_path)):
        assert torch.equal(logits(back, pool), logits(one, pool))
        assert (back.space, back.key) == (one.space, "after training")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "student.json"]


@pytest.mark.parametrize("name", ["model.safetensors", "student.json"])
def test_a_damaged_student_is_named(tmp_path: Path, name: str) -> None:
    student().save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
    with pytest.raises(RunError, match="is damaged"):
        load(tmp_path)


def test_a_process_of_its_own_counts_alike() -> None:
    """Hashes that Python salts, or a sum in another order, would differ."""
    script = """
import hashlib
from tests.students.test_ngram import items, logits, student
from distrust.recipe import NgramStudent
from tests import worlds
pool = items(*(row["text"] for row in worlds.texts(60)), "Grün \U0001f600")
said = hashlib.sha256(logits(student(NgramStudent(buckets=512, dimension=4), pool), pool).numpy().tobytes()).hexdigest()
"""
    here: dict[str, str] = {}
    exec(script, here)
    environment = os.environ | {"PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script + "\nprint(said)"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert done.stdout.strip() == here["said"], done.stderr


def test_tensors_are_refused() -> None:
    points, _ = worlds.points(4)
    with pytest.raises(DataError, match="reads texts, and these items are tensors"):
        build(WORDS, SPACE, 0, points)


def test_pairs_are_read_as_one_text() -> None:
    pair = Items(("1",), (("red", "blue"),))
    assert sorted(student().encode(pair).weights.tolist()) == bag(student(), "red\nblue")


@pytest.mark.parametrize("options", [{"words": 0, "characters": None}, {"characters": [4, 2]}, {"characters": [0, 2]}])
def test_options_that_read_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=r"The recipe's student: "):
        parse_recipe({"data": {"pool": {"path": "p.csv"}}, "student": {"kind": "ngram", **options}})
