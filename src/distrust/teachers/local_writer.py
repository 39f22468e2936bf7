"""A language model in this process as a teacher: it writes answers, or says True or False of those that it is shown.

Knows a causal model. Costs nothing. Does not know whose claims it judges.
"""

from __future__ import annotations

from dataclasses import asdict

import torch

from distrust.assistant import TRUTH, Questions, judge
from distrust.data import Items
from distrust.evidence import Evidence
from distrust.files import fingerprint
from distrust.labels import OPEN, LabelSpace
from distrust.students.causal import CausalStudent
from distrust.students.sampling import Sampling, answer_texts

ROWS = 64  # texts written at once


class LocalWriter:
    """A local causal language model.

    Args:
        name: what the report calls it.
        model: the model, and how its texts are read.
        sampling: how many texts an item, and at which temperature; None: it is shown claims and weighs True against False by
            their log-probabilities (P(True), Kadavath et al. 2022).
    """

    keeps_answers = False

    def __init__(self, name: str, model: CausalStudent, sampling: Sampling | None) -> None:
        self.name, self.model, self.sampling = name, model, sampling
        self.space: LabelSpace = TRUTH if sampling is None else OPEN
        kind = str(next(model.module.parameters()).dtype)
        self.fingerprint = fingerprint("writer", model.key, kind, "judges" if sampling is None else asdict(sampling))

    def ask(self, items: Items) -> Evidence:
        """Texts of open answers, or log-probabilities of True and False; free of charge."""
        if self.sampling is None:
            return judge(self.model, Questions(items, torch.arange(len(items)), len(items)), self.name)
        return answer_texts(self.model, items, self.sampling, self.name, ROWS)
