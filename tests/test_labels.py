"""Label spaces: names, spellings, maps between spaces, and open candidates."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.labels import ABSTAIN, Candidates, LabelSpace, doubt, lookalikes

NAMES = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6, unique=True)


def test_an_answer_is_found_by_exact_name_alias_and_folded_spelling() -> None:
    space = LabelSpace(("Sci/Tech", "World News"), aliases={"LABEL_0": "Sci/Tech"})
    assert [space.find(one) for one in ("Sci/Tech", "  world   NEWS ", "label_0", "sport", "", None)] == [
        0,
        1,
        0,
        -1,
        -1,
        -1,
    ]
    assert space.index("world news") == 1
    assert LabelSpace(("0", "1")).find(1) == 1


def test_an_exact_spelling_wins_and_an_ambiguous_folded_one_finds_nothing() -> None:
    space = LabelSpace(("us", "US"))
    assert [space.find(one) for one in ("us", "US", "Us")] == [0, 1, ABSTAIN]
    aliased = LabelSpace(("x", "y"), aliases={"b": "x", "B": "y"})
    assert [aliased.find(one) for one in ("b", "B", " b ")] == [0, 1, ABSTAIN]


def test_an_alias_that_is_a_name_wins_in_every_spelling() -> None:
    swapped = LabelSpace(("no", "yes"), aliases={"no": "yes", "yes": "no"})
    assert [swapped.find(one) for one in ("no", "No", "yes", "YES")] == [1, 1, 0, 0]


@given(NAMES)
def test_every_name_is_found_where_it_stands(names: list[str]) -> None:
    space = LabelSpace(tuple(names))
    assert [space.find(name) for name in names] == list(range(len(names)))


@given(NAMES, NAMES)
def test_positions_follow_names_and_known_is_what_is_shared(mine: list[str], theirs: list[str]) -> None:
    own, other = LabelSpace(tuple(mine)), LabelSpace(tuple(theirs))
    positions = own.positions_in(other).tolist()
    assert positions == [other.find(name) for name in mine]
    known = own.known_in(other)
    assert known.tolist() == [column in positions for column in range(len(other))]


def test_union_keeps_the_order_of_first_mention() -> None:
    union = LabelSpace.union([LabelSpace(("b", "a")), LabelSpace(("a", "c"))])
    assert union.names == ("b", "a", "c")


@pytest.mark.parametrize(
    ("names", "aliases", "said"),
    [
        ((), {}, "at least one class"),
        (("a", "b", "a"), {}, "'a' is listed twice"),
        (("spam", "ham"), {"x": "spm"}, "did you mean 'spam'"),
    ],
)
def test_what_is_no_label_space_is_refused(names: tuple[str, ...], aliases: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        LabelSpace(names, aliases)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match="'spm' is no class of this task; did you mean 'spam'"):
        LabelSpace(("spam", "ham")).index("spm")


def test_candidates_have_none_of_these_as_last_column_of_every_item() -> None:
    open_answers = Candidates((("12", "13", "14"), (), ("7",)))
    assert len(open_answers) == 4 and open_answers.none_of_these == 3
    expected = [[True, True, True, True], [False, False, False, True], [True, False, False, True]]
    assert open_answers.mask.tolist() == expected
    assert [
        open_answers.find(0, "13"),
        open_answers.find(0, 14),
        open_answers.find(1, "13"),
        open_answers.find(2, None),
    ] == [
        1,
        2,
        3,
        ABSTAIN,
    ]


def test_selected_candidates_keep_their_width_so_that_claims_keep_their_number() -> None:
    open_answers = Candidates((("a", "b", "c"), ("x",)))
    one = open_answers.select([1])
    assert one.none_of_these == open_answers.none_of_these
    assert one.mask.tolist() == [[True, False, False, True]]
    assert len(Candidates(())) == 1 and Candidates(()).mask.shape == (0, 1)


def test_a_candidate_listed_twice_is_refused() -> None:
    with pytest.raises(DataError, match="Item 1 lists"):
        Candidates((("a",), ("b", "b")))


def test_positions_are_long_so_that_they_can_index() -> None:
    assert LabelSpace(("a",)).positions_in(LabelSpace(("b",))).dtype == torch.long


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["credit card", "credit_card", "loan"], [("credit card", "credit_card")]),
        (["Loan", "loans", "LOAN"], [("Loan", "loans"), ("Loan", "LOAN")]),
        (["category", "categories", "café", "cafe"], [("category", "categories"), ("café", "cafe")]),
        (["bus", "bu", "news", "us", "u", "gas", "class", "clas"], []),
        (["+", "-", "1", "-1 x"], []),
        (["a", "b"], []),
    ],
)
def test_names_that_look_like_one_class_are_named(names: list[str], pairs: list[tuple[str, str]]) -> None:
    assert lookalikes(names) == pairs
    said = doubt(names)
    assert bool(said) == bool(pairs) and all(repr(name) in said[0] for pair in pairs for name in pair)
