"""Who knows an item: the scores that MUKA and its relatives choose a specialist by, and the choice of a score.

Knows specialists and gold. Does not know what a student is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.errors import RunError, TeacherError
from distrust.methods.scouts import scouted
from distrust.methods.specialists import Specialist, Specialists, over
from distrust.run import Run
from distrust.teachers.passes import EXPECTED
from distrust.trust.adequacy import Odds, calibrate, choice, cross_fitted, found, soft_choice, surprise
from distrust.trust.distribution import certainty
from distrust.trust.familiarity import energy, mahalanobis, max_logit, neighbours
from distrust.trust.passes import spread_apart
from distrust.trust.pattern import CARRIES, fit_pattern, self_taught

STRENGTHS = (10.0, 1.0, 0.1)  # of the pull of a pattern towards the energies
Learn = Callable[[Tensor], Odds]  # from rows (k,) of gold to fit on, to log-odds of rows of items


@dataclass(frozen=True)
class Scored:
    """Scores (M, N), higher for who knows the item better, -inf where nothing was said; and how they are to be read."""

    scores: Tensor
    odds: bool  # log-odds, whose softmax over teachers are chances; else in [0, 1], as in the paper

    def weights(self, hard: bool, tau: float) -> Tensor:
        """(M, N): MUKA, equation 5 or 6. τ is of scores in [0, 1]; log-odds are chances as they are."""
        return choice(self.scores) if hard else soft_choice(self.scores, 1.0 if self.odds else tau)

    @property
    def on_one_scale(self) -> Tensor:
        """(M, N) in [0, 1], as equation 7 compares them: the scores, or the chances that log-odds stand for."""
        silent = self.scores == -torch.inf
        return soft_choice(self.scores, 1.0).masked_fill(silent, -torch.inf) if self.odds else self.scores


def scored(run: Run, here: Specialists, score: str, passes: int, scouts: bool = True) -> Scored:
    """Score all items by the name of a score, or by `auto`; the report says what `auto` chose and why.

    Args:
        passes: with dropout; `auto` does without them where it is 1.
        scouts: whether `auto` asks scouts too.

    Raises:
        RunError: a score that a teacher cannot give. TeacherError: passes of a teacher without dropout.
    """
    if score != "auto":
        return _scored(run, here, score, passes)
    several = _several(run, here, passes)
    seen = None
    if scouts and "energy" in several and len(here.members) > 1:
        seen = scouted(run, here, here.target(several["energy"].weights(False, 1.0)))
    bare, why = _by_agreement(here, several, seen)
    by_gold = _by_gold(run, here, several, seen, bare)
    if by_gold is None:
        run.note(why)
    return by_gold or bare


def _scored(run: Run, here: Specialists, score: str, passes: int) -> Scored:
    if score in ("energy", "max_logit"):
        made = energy if score == "energy" else max_logit
        return Scored(torch.stack([made(_logits(one)) for one in here.members]), odds=True)
    if score in ("neighbours", "mahalanobis"):
        return Scored(_far(here, score), odds=True)
    if score == "entropy" or passes == 1:  # one pass without dropout: what the paper's released code does
        return Scored(torch.stack([_silenced(one, certainty(one.chances)) for one in here.members]), odds=False)
    rows = []
    for one in here.members:
        said = run.passes(one.teacher, here.items, passes)
        mean = over(said, one.own)
        sure = certainty(mean) if score == "mc_entropy" else spread_apart(said.distribution(), said.features[EXPECTED][:])
        rows.append(_silenced(one, sure))
    return Scored(torch.stack(rows), odds=False)


def _by_gold(run: Run, here: Specialists, several: dict[str, Scored], seen: Tensor | None, bare: Scored) -> Scored | None:
    """What, fitted on gold, other gold surprises least, simple things first; None where gold tells no teachers apart."""
    part = run.gold.part("trust")
    adequate = here.adequate(part.labels)  # (M, n)
    row_of = {item: row for row, item in enumerate(part.ids)}
    folds = [torch.tensor([row_of[item] for item in fold.held.ids]) for fold in run.gold.folds("trust")]
    apart = adequate.any(0) & ~adequate.all(0)
    if not folds or any(bool(apart.sum() == apart[held].sum()) for held in folds):
        return None
    at = torch.tensor(here.items.rows(part.ids))
    blind = bare.scores if bare.odds else soft_choice(bare.scores).log()
    learners: dict[str, Learn] = {"what is taken without gold": lambda _: lambda rows: blind[:, rows]}
    learners |= _learners(here, several, seen, adequate, at)
    odds = {
        name: cross_fitted(lambda rest, learn=learn: lambda held: learn(rest)(at[held]), adequate, folds)  # type: ignore[misc]
        for name, learn in learners.items()
    }
    best = _least({name: surprise(one, adequate)[apart] for name, one in odds.items()})
    right = {name: f"{100 * float(found(one, adequate)[apart].mean()):.0f} %" for name, one in odds.items()}
    others = ", ".join(f"{name} {share}" for name, share in right.items() if name != best)
    run.note(
        f"Who knows an item is told by {best}, chosen by gold: of the {int(apart.sum())} gold items that tell teachers "
        f"apart, each judged by a fit without it, the surest teacher knew the class of {right[best]} ({others})."
    )
    return Scored(learners[best](torch.arange(len(part)))(torch.arange(len(here.items))), odds=True)


def _learners(
    here: Specialists, several: dict[str, Scored], seen: Tensor | None, adequate: Tensor, at: Tensor
) -> dict[str, Learn]:
    """By name, from rows of gold (k,) to log-odds: every score calibrated, and patterns of what all teachers say.

    Args:
        seen: (M, N) what scouts say, or None.
        adequate: (M, n) who knows each gold item; at: (n,) the gold items' rows.
    """

    def calibrating(scores: Tensor) -> Learn:
        def learn(rest: Tensor) -> Odds:
            fitted = calibrate(scores[:, at[rest]], adequate[:, rest])
            return lambda rows: fitted.scores(scores[:, rows])

        return learn

    def reading(scores: Tensor, said: Tensor, strength: float) -> Learn:
        def learn(rest: Tensor) -> Odds:
            fitted = fit_pattern(scores[:, at[rest]], said[at[rest]], adequate[:, rest], strength)
            return lambda rows: fitted.scores(scores[:, rows], said[rows])

        return learn

    learners = {name: calibrating(one.scores) for name, one in several.items()}
    if "energy" in several:
        heads, said = several["energy"].scores, _side_by_side(here)
        if seen is not None:
            both = _beside(heads, seen)
            learners |= {"scouts": calibrating(both)}
            learners |= {f"scouts and pattern ({strength:g})": reading(both, said, strength) for strength in STRENGTHS}
        learners |= {f"pattern ({strength:g})": reading(heads, said, strength) for strength in STRENGTHS}
    return learners


def _least(surprises: dict[str, Tensor]) -> str:
    """The first of those that gold surprises least (n,), as far as a standard error can tell; simpler ones come first."""
    best = min(surprises, key=lambda name: float(surprises[name].mean()))
    for name, one in surprises.items():
        worse = one - surprises[best]
        if float(worse.mean()) <= float(worse.std(unbiased=False)) / len(worse) ** 0.5:
            return name
    return best


def _by_agreement(here: Specialists, several: dict[str, Scored], seen: Tensor | None) -> tuple[Scored, str]:
    """Without gold: the score whose choice of a teacher the other scores share most, taught by its clear items."""
    picks = {name: one.scores.argmax(0) for name, one in several.items()}
    shared = {
        name: sum(float((mine == other).float().mean()) for other in picks.values()) / len(picks)
        for name, mine in picks.items()
    }
    best = max(shared, key=shared.__getitem__)
    named = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shared.items())
    chosen, said = several[best], ""
    if "energy" in several and len(here.members) > 1:
        odds = chosen.scores if chosen.odds else soft_choice(chosen.scores).log()
        odds = odds if seen is None else _beside(odds, seen)
        taught, carries = self_taught(odds, _side_by_side(here))
        believed = carries >= CARRIES
        chosen = Scored(taught, odds=True)
        said = (
            f" A pattern of what all teachers say, learned from clear items, {'speaks' if believed else 'does not speak'} "
            f"beside it: tried on less clear ones it agreed with the score {100 * carries:.0f} % beyond chance."
        )
    return chosen, (
        f"No gold tells who knows an item, so {best} does: its choice of a teacher is the one that the scores share most "
        f"({named}).{said} How often it is right is unknown."
    )


def _several(run: Run, here: Specialists, passes: int) -> dict[str, Scored]:
    """The scores that all teachers can give, by name: passes where every model at hand has dropout."""
    stated = all(one.evidence.logits is not None for one in here.members)
    names = ["entropy", *(["energy", "max_logit"] if stated else [])]
    made = {name: _scored(run, here, name, passes) for name in names}
    if passes > 1 and all(hasattr(one.teacher, "passes") for one in here.members):
        try:
            made["mc_entropy"] = _scored(run, here, "mc_entropy", passes)
        except TeacherError as refused:
            run.note(f"{refused} `auto` does without passes.")
    return made


def _far(here: Specialists, score: str) -> Tensor:
    """How near each item is to those that a teacher is the surest of, in its features: (M, N)."""
    sure = torch.stack([_silenced(one, certainty(one.chances)) for one in here.members])
    first = choice(sure) > 0  # (M, N)
    rows = []
    for one, own in zip(here.members, first, strict=True):
        if not one.evidence.features:
            raise RunError(f"{one.teacher.name} keeps no features, which this score reads; set `feature: auto` of it.")
        features = next(iter(one.evidence.features.values()))[:].float().flatten(1)
        place = own.nonzero().squeeze(-1)
        if not len(place):
            raise RunError(f"{one.teacher.name} is the surest teacher of no item, so its features tell nothing.")
        if score == "mahalanobis":
            near = mahalanobis(features, features[place], one.chances[place].argmax(-1))
        else:
            among = torch.full((len(own),), -1).index_put_((place,), torch.arange(len(place)))
            near = neighbours(features, features[place], leave_out=among)
        rows.append(_silenced(one, (near - near.mean()) / near.std().clamp(min=1e-6)))
    return torch.stack(rows)


def _side_by_side(here: Specialists) -> Tensor:
    """All teachers' logits in a row: (N, ΣC_own); 0 where one said nothing."""
    said = torch.cat([one.logits for one in here.members], 1)
    return said.masked_fill(~said.isfinite(), 0.0)


def _beside(odds: Tensor, seen: Tensor) -> Tensor:
    """Log-chances of the one plus those of the other: (M, N) twice to (M, N); silence stays silence."""
    chances = soft_choice(odds, 1.0).clamp(min=torch.finfo(odds.dtype).tiny)
    return (chances.log() + seen).masked_fill(odds == -torch.inf, -torch.inf)


def _logits(one: Specialist) -> Tensor:
    if one.evidence.logits is None:
        raise RunError(f"{one.teacher.name} states no logits, which this score reads; use the score entropy.")
    return one.logits


def _silenced(one: Specialist, score: Tensor) -> Tensor:
    return score.masked_fill(one.chances.sum(-1) == 0, -torch.inf)
