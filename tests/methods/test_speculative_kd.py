"""speculative-kd: texts that both sides write."""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.students.interleaved import interleaved
from tests.methods import tutored


def test_both_write_the_text_of_speculative_kd() -> None:
    student, teacher, items = tutored.student(), tutored.teacher().model, tutored.pool(6)
    asked = student.encode(items).batch(torch.arange(6))
    keys = torch.arange(6)
    for top in (1, 60, 10_000):
        written, stood = interleaved(student, teacher, (asked, asked), keys, top)
        read = student.reader.continued(items, written).batch(torch.arange(6))
        labels = read.pop("labels")
        with torch.no_grad():
            said = teacher.module(**read).logits[:, -labels.shape[1] :]
        likelier = (said > said.gather(-1, labels.clamp(min=0).unsqueeze(-1))).sum(-1)
        assert written == interleaved(student, teacher, (asked, asked), keys, top)[0]
        assert max(map(len, written)) <= student.reader.max_completion_length
        alone = [interleaved(student, teacher, (one, one), keys[row : row + 1], top)[0] for row, one in apart(asked)]
        assert [one for (one,) in alone] == written, "a text does not depend on its batch"
        if top == 10_000:
            assert stood == 1
        else:
            assert stood < 1 and float(((likelier < top) & (labels >= 0)).sum()) >= stood * float((labels >= 0).sum())


def apart(asked: dict[str, Tensor]) -> list[tuple[int, dict[str, Tensor]]]:
    return [(row, {name: value[row : row + 1] for name, value in asked.items()}) for row in range(6)]
