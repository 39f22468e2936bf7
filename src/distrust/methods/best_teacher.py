"""best-teacher: one teacher alone, the one that gold chooses. What beats every fusion where the others are bad."""

from __future__ import annotations

import torch

from distrust.evaluate import final_claims
from distrust.methods.several import Lesson, Several, also, lesson, objective
from distrust.run import Run
from distrust.students import Student
from distrust.trust import label_loss


class BestTeacher(Several):
    """Options of best-teacher."""


def best_teacher(run: Run, options: BestTeacher) -> Student:
    """γ · CE(label) + α · T² · KL(teacher ‖ student) of the teacher most often right on gold; without gold, on what stands
    for labels. Of equals, the one with the lower log-loss. Where it does not answer, nothing is learned from a teacher."""
    here = lesson(run, options)
    best, said = _best(run, here)
    run.note(said)
    weights = here.stacked.answered * (torch.arange(len(here.evidence)) == best).unsqueeze(-1)
    also(run, here, weights.float(), options.temperature)
    told = here.told(here.mean(weights.float(), options.temperature), weights.float())
    return run.fit("student", told, objective(told, options), options)


def _best(run: Run, here: Lesson) -> tuple[int, str]:
    """The best teacher's place, and a sentence. An item that a teacher does not answer counts as wrong."""
    part = run.gold.part("choose")
    row_of = {item: row for row, item in enumerate(here.items.ids)}
    rows = [row for row, item in enumerate(part.ids) if item in row_of]
    if rows:
        asked = torch.tensor([row_of[part.ids[row]] for row in rows])
        truth = torch.nn.functional.one_hot(part.labels[rows], len(run.space)).float()
        what = f"of {len(rows)} gold items"
    else:
        asked = (here.labels.sum(-1) > 0).nonzero().squeeze(-1)
        truth = here.labels[asked]
        what = f"of {len(asked)} items by what stands for their label, since there is no gold to choose by"
    claims = final_claims(here.stacked)[:, asked]  # (M, n)
    right = truth.gather(-1, claims.clamp(min=0).T).T * (claims >= 0)
    loss, heard = label_loss(here.logits[:, asked], truth)
    mean = (loss * heard).sum(-1) / heard.sum(-1).clamp(min=1)
    shares = right.mean(-1) if len(asked) else torch.zeros(len(claims))
    best = max(range(len(claims)), key=lambda place: (float(shares[place]), -float(mean[place])))
    told = ", ".join(f"{name} {float(share):.2f}" for name, share in zip(here.stacked.sources, shares, strict=True))
    return best, f"The student learns from {here.stacked.sources[best]} alone, right on the largest share {what} ({told})."
