"""concatenated: all logits side by side."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from distrust.methods.concatenated import side_by_side
from distrust.methods.specialists import gather
from tests.methods.specialist_worlds import ITEMS, NAMES, trained, work


def test_side_by_side_is_a_softmax_over_the_union_by_a_loop(tmp_path: Path) -> None:
    here = gather(work(tmp_path, "abcd", "cdef"))
    both = [trained(tuple(part))(ITEMS.inputs).tolist() for part in ("abcd", "cdef")]
    for t in (1.0, 3.0):
        for row, found in enumerate(side_by_side(here, t).tolist()[:20]):
            named = [dict(zip(part, said[row], strict=True)) for part, said in zip(("abcd", "cdef"), both, strict=True)]
            mean = [sum(one[n] for one in named if n in one) / sum(n in one for one in named) for n in NAMES]
            mass = [math.exp(z / t) for z in mean]
            assert found == pytest.approx([one / sum(mass) for one in mass], rel=1e-4)
