from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.evaluate.texts import SCORES, _common, exact_match, likeness, rouge_l, token_f1

WORDS = st.lists(st.sampled_from("abcd"), max_size=12)
SENTENCES = st.lists(st.sampled_from(["cat", "Cat,", "sat", "on", "mat.", "12", "x_y", "do-it"]), max_size=9).map(" ".join)


def table(first: list[str], second: list[str]) -> int:
    """The textbook's table for the longest common subsequence."""
    best = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for row, one in enumerate(first, 1):
        for column, other in enumerate(second, 1):
            same = best[row - 1][column - 1] + 1 if one == other else 0
            best[row][column] = max(same, best[row - 1][column], best[row][column - 1])
    return best[-1][-1]


@given(WORDS, WORDS)
def test_the_longest_common_subsequence_is_the_textbooks(first: list[str], second: list[str]) -> None:
    assert _common(first, second) == _common(second, first) == table(first, second)


@pytest.mark.parametrize(
    ("said", "wanted", "f"),
    [  # of rouge-score 0.1.2, use_stemmer=False
        ("The cat sat on the mat.", "the cat, on a mat", 8 / 11),
        ("police killed the gunman", "police kill the gunman", 3 / 4),
        ("the gunman kill police", "police kill the gunman", 1 / 2),
        ("x_y do-it 12", "x y do it twelve", 8 / 10),
        ("", "something", 0.0),
        ("same words", "same words", 1.0),
    ],
)
def test_rouge_l_by_hand(said: str, wanted: str, f: float) -> None:
    assert rouge_l(said, wanted) == pytest.approx(f, abs=1e-12)


@given(SENTENCES, SENTENCES)
def test_rouge_l_is_the_packages(said: str, wanted: str) -> None:
    package = pytest.importorskip("rouge_score.rouge_scorer", reason="the rouge-score package is not installed")
    scored = package.RougeScorer(["rougeL"]).score(wanted, said)["rougeL"].fmeasure
    assert rouge_l(said, wanted) == pytest.approx(scored, abs=1e-12)


def test_rouge_l_reads_other_scripts() -> None:
    assert rouge_l("кот сидел", "Кот тут сидел") == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("said", "wanted", "f"),
    [
        ("The blue car", "a blue, blue car!", 4 / 5),  # 2 common of 2 and 3: articles do not count
        ("red", "blue", 0.0),
        ("", "", 0.0),
        ("b a", "A b", 1.0),
    ],
)
def test_token_f1_by_hand(said: str, wanted: str, f: float) -> None:
    assert token_f1(said, wanted) == pytest.approx(f, abs=1e-12)


def test_exact_match_is_after_normalisation() -> None:
    assert exact_match("The Answer.", "answer") == 1 and exact_match("answers", "answer") == 0


@given(SENTENCES, SENTENCES, st.sampled_from(sorted(SCORES)))
def test_every_score_is_symmetric_and_in_range(said: str, wanted: str, score: str) -> None:
    alike = SCORES[score]
    assert 0 <= alike(said, wanted) <= 1 and alike(said, wanted) == pytest.approx(alike(wanted, said), abs=1e-12)
    if said and "cat" in said:
        assert alike(said, said) == 1


def test_of_several_references_the_likest_counts_and_silence_is_nothing() -> None:
    found = likeness(["a cat", None, "x", "dog"], [["dog", "the cat"], ["y"], [], ["dogs"]], "exact_match")
    assert found.tolist() == [1, 0, 0, 0]
    with pytest.raises(DataError, match="'rouge' is no score of texts; did you mean 'rouge_l'"):
        likeness([], [], "rouge")
    with pytest.raises(DataError, match="1 texts and references for 0"):
        likeness(["x"], [], "token_f1")
