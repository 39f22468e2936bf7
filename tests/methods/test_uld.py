"""uld: a teacher that cuts the same texts into other tokens, against its formula written naively."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.data import Items
from distrust.errors import RunError
from distrust.methods.gkd import Gkd, gkd
from distrust.methods.okd import Okd, okd
from distrust.methods.uld import Uld, uld
from distrust.students.causal import build
from distrust.students.sampling import Sampling
from distrust.teachers.local_writer import LocalWriter
from tests import writers
from tests.methods import tutored
from tests.methods.followed import WHOLE, close
from tests.methods.test_conformance import weights


def foreign() -> LocalWriter:
    """A language model whose tokens are single letters and what it saw most in other texts."""
    said = Items(("a", "b", "c"), ("yes yes no no yes", "not yet known to anybody", "yes, no"))
    made = build(writers.options("llama", wild=True, vocabulary=270), tutored.HOW, 5, said)
    made.module.eval()
    return LocalWriter("foreign", made, Sampling())


def test_it_is_its_formula(tmp_path: Path) -> None:
    with tutored.opened(tmp_path, foreign(), WHOLE) as run:
        found = weights(uld(run, Uld(strength=0.7)))
    told, student, teacher = tutored.pool(), tutored.student(), foreign().model
    completions = told.columns["completion"]
    mine, its = (one.encode_told(told, completions) for one in (student, teacher))
    assert not torch.equal(mine.completions.lengths, its.completions.lengths), "they do read other tokens"
    optimiser = torch.optim.AdamW(student.module.parameters(), 5e-3, weight_decay=0.0)
    for step in range(3):
        total, distance = torch.zeros(()).double(), torch.zeros(()).double()
        for row in range(48):
            one, other = (read.batch(torch.tensor([row])) for read in (mine, its))
            labels = one["labels"][0]
            z = student.logits(dict(one))[0].double()
            with torch.no_grad():
                t = teacher.logits(dict(other))[0].double()
            total = total + torch.nn.functional.cross_entropy(z, labels, reduction="sum")
            for q, p in zip(z.softmax(-1), t.softmax(-1), strict=False):  # up to the end of the shorter one
                q, p = q.sort(descending=True).values, p.sort(descending=True).values
                longest = max(len(q), len(p))
                pad = [torch.cat([side, side.new_zeros(longest - len(side))]) for side in (q, p)]
                distance = distance + (pad[0] - pad[1]).abs().sum()
        ((total + 0.7 * distance) / mine.completions.lengths.sum()).backward()
        optimiser.param_groups[0]["lr"] = 5e-3 * (1 - step / 3)
        optimiser.step()
        optimiser.zero_grad()
    close(found, weights(student))


def test_the_others_refuse_such_a_teacher_and_name_this_method(tmp_path: Path) -> None:
    with tutored.opened(tmp_path, foreign()) as run:
        for carry in (lambda: gkd(run, Gkd()), lambda: okd(run, Okd())):
            with pytest.raises(RunError, match=r"different tokenizers .* learn with the method uld .* distill"):
                carry()


def test_both_parts_are_recorded(tmp_path: Path) -> None:
    with tutored.opened(tmp_path, foreign()) as run:
        uld(run, Uld())
        rows = run.fits["student"].history
    assert rows[-1]["cross_entropy"] < rows[0]["cross_entropy"] and rows[0]["distance"] > 0
