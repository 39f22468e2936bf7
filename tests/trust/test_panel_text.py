"""Trust in texts: what is read of one, whose score it is, and who is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.trust.panel_text import TAIL, TextTrust, read_texts
from tests.trust.panel_world import world

Read = tuple[list[Evidence], TextTrust]


@pytest.fixture(scope="module")
def read() -> Read:
    evidence, _ = world(60, texts=True)
    return evidence, read_texts(evidence)


def saying(evidence: list[Evidence], text: str) -> list[Evidence]:
    return [replace(one, texts=[[text]] * len(one)) for one in evidence]


def test_a_text_that_goes_with_shared_claims_scores_above_one_that_does_not(read: Read) -> None:
    evidence, trust = read
    spoke = torch.cat([one.claims for one in evidence]) >= 0
    sure, unsure = (
        trust.score(saying(evidence, text)) for text in ("clearly the answer is this", "hmm perhaps maybe not this")
    )
    assert bool((sure > unsure)[spoke].all()) and bool((sure[~spoke] == 0).all())


def test_an_items_score_is_its_own_in_every_pool_and_order(read: Read) -> None:
    evidence, trust = read
    rows = [50, 3, 17]
    torch.testing.assert_close(trust.score([one.select(rows) for one in evidence]), trust.score(evidence)[:, rows])


def test_case_digits_and_what_stands_far_from_the_end_are_not_read(read: Read) -> None:
    evidence, trust = read
    same = [saying(evidence, text) for text in ("so it is 17 Answer", "SO IT IS 42 answer")]
    torch.testing.assert_close(trust.score(same[0]), trust.score(same[1]))
    tail = " the end" * (TAIL // 8 + 1)
    far = [saying(evidence, start + tail) for start in ("hmm perhaps ", "clearly the ")]
    torch.testing.assert_close(trust.score(far[0]), trust.score(far[1]))
    other = saying(evidence, "so it is 17 answers")
    assert not torch.allclose(trust.score(same[0]), trust.score(other))


def test_other_teachers_and_several_samples_are_refused(read: Read) -> None:
    evidence, trust = read
    with pytest.raises(DataError, match="other teachers than those"):
        trust.score(evidence[::-1])
    twice = [replace(one, claims=one.claims.repeat(2, 1)) for one in evidence]
    with pytest.raises(DataError, match="good-0 gave no texts, or several samples"):
        read_texts(twice)
