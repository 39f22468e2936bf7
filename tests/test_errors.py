"""How a refusal is phrased."""

from __future__ import annotations

import pytest

from distrust import errors
from distrust.errors import DistrustError, nearest

TWELVE = "c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11"


@pytest.mark.parametrize(
    ("word", "legal", "sentence"),
    [
        ("endpont", ["recorded", "endpoint"], "did you mean 'endpoint'? legal are recorded, endpoint"),
        ("zzz", ["recorded", "endpoint"], "legal are recorded, endpoint"),
        ("zzz", [], "legal are none"),
        ("c1", [f"c{n}" for n in range(14)], f"did you mean 'c1'? legal are {TWELVE} and 2 more"),
        (3, [1, 2], "legal are 1, 2"),
    ],
)
def test_the_nearest_legal_value_is_named(word: str, legal: list[str], sentence: str) -> None:
    assert nearest(word, legal) == sentence


def test_every_refusal_is_a_distrust_error() -> None:
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and one.__module__ == errors.__name__]
    assert len(kinds) == 6 and all(issubclass(kind, DistrustError) for kind in kinds)
