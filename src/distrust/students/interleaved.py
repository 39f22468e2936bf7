"""Texts that a student writes and a teacher corrects as they go: a token that the teacher would hardly say is its own.

Knows two models that share a tokenizer, a cache for each, and prompts as each of them reads them. Knows nothing of training.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.modules import device_of, frozen
from distrust.students.causal import CausalStudent
from distrust.students.sampling import Choice, Voice, as_lists, ends_of, go_on

OTHER = 0x5BD1E995  # tells the teacher's random numbers from the student's


def interleaved(
    student: CausalStudent,
    teacher: CausalStudent,
    asked: tuple[dict[str, Tensor], dict[str, Tensor]],
    keys: Tensor,
    top: int,
    temperature: float = 1.0,
) -> tuple[list[list[int]], float]:
    """Complete prompts: each token is the student's where it is among the teacher's `top` likeliest, else the teacher's own.

    Args:
        student, teacher: who proposes and who corrects; they share a tokenizer.
        asked: the same n prompts as the student reads them, (n, P), and as the teacher does, (n, own P).
        keys: (n,) long, of each text's random numbers.
        top: how many of the teacher's likeliest tokens are let stand.
        temperature: both are sampled at.

    Returns:
        n lists of token ids, with the end token where one came; and the share of the tokens that the student said.

    Source: Xu et al. 2024 (speculative knowledge distillation, arXiv 2410.11325), algorithm 1.
    """
    device, limit = device_of(student.module), student.reader.max_completion_length
    choice, known = Choice(temperature), len(student.reader.tokenizer)
    keys, stood = keys.to(device), torch.zeros(len(keys), limit, dtype=torch.bool, device=device)
    with frozen(student.module), frozen(teacher.module):
        mine, its = (
            Voice(one, {name: value.to(device) for name, value in inputs.items()})
            for one, inputs in zip((student, teacher), asked, strict=True)
        )

        def choose(live: Tensor, step: int) -> Tensor:
            said = its.logits[:, :known]
            proposed = choice(mine.logits[:, :known], keys[live], step)
            likelier = (said > said.gather(-1, proposed.unsqueeze(-1))).sum(-1)  # how many the teacher would rather say
            stood[live, step] = likelier < top
            return torch.where(likelier < top, proposed, choice(said, keys[live] ^ OTHER, step))

        tokens, counts = go_on([mine, its], choose, limit, ends_of(student, device))
    lengths = (counts + 1).clamp(max=limit)
    written = torch.arange(limit, device=device) < lengths.unsqueeze(-1)
    return as_lists(tokens, counts), float((stood & written).sum() / lengths.sum().clamp(min=1))
