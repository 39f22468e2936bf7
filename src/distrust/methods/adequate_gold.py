"""Who knows an item, told by gold: what each way of knowing is worth on gold that was held out, and their blend.

Knows specialists, scores and gold. Does not know how an item is scored without gold, or what a student is told.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from distrust.methods.specialists import Specialists
from distrust.methods.who_knows import Scored, beside, side_by_side
from distrust.run import Run
from distrust.trust.adequacy import Odds, calibrate, cross_fitted, found, soft_choice, surprise
from distrust.trust.pattern import fit_pattern
from distrust.trust.spreading import spread

STRENGTHS = (10.0, 1.0, 0.1)  # of the pull of a pattern towards the energies
INNER = 5  # parts of gold, each told by the others, that say how far what is nearby is to be believed
LEAST = 1e-6  # of a chance, so that what is nearby rules nobody out
NAMED = 3  # ways of knowing that the report names as taken
FAINT = 0.01  # a share below which a way of knowing has no say
Learn = Callable[[Tensor], Odds]  # from rows (k,) of gold to fit on, to log-odds of rows of items


def by_gold(
    run: Run, here: Specialists, several: dict[str, Scored], seen: Tensor | None, graph: Any | None, bare: Scored
) -> Scored | None:
    """A blend of all ways of knowing, each by how likely it makes gold that it was not fitted on; the report says whose.

    None where gold tells no teachers apart, or shows none of the classes of one: nothing then says when that one knows.

    Args:
        several: scores by name; seen: (M, N) what scouts say, or None; graph: of who is near whom, or None;
        bare: what is taken without gold.

    Source: Yao et al. 2018, of the blend (pseudo-Bayesian model averaging, by cross-fitted log-likelihood).
    """
    part = run.gold.part("trust")
    adequate = here.adequate(part.labels)  # (M, n)
    row_of = {item: row for row, item in enumerate(part.ids)}
    folds = run.gold.folds("trust")
    fits = [torch.tensor([row_of[item] for item in fold.fit.ids]) for fold in folds]
    helds = [torch.tensor([row_of[item] for item in fold.held.ids]) for fold in folds]
    at = torch.tensor(here.items.rows(part.ids), dtype=torch.long)
    blind = bare.scores if bare.odds else soft_choice(bare.scores).log()
    spoke = blind[:, at] > -torch.inf
    apart = (adequate & spoke).any(0) & (~adequate & spoke).any(0)
    if not folds or not bool(apart.any()):
        return None
    shown = torch.stack([(adequate & spoke & apart)[:, fit].any(1) for fit in fits]).all(0)  # (M,)
    missing = (~shown & (blind > -torch.inf).any(1)).nonzero().squeeze(-1).tolist()
    if missing:
        run.warn(
            f"Gold shows too few items of the classes of {', '.join(here.members[one].teacher.name for one in missing)} to "
            "tell when it is they who know, so who knows an item is told without gold; give two items or more of each "
            "teacher's classes."
        )
        return None
    learners: dict[str, Learn] = {"what is taken without gold": lambda _: lambda rows: blind[:, rows]}
    learners |= _calibrated(several, seen, adequate, at)
    learners |= _nearby(graph, blind == -torch.inf, seen, adequate, at)
    learners |= _patterns(here, several, seen, adequate, at)
    odds = {
        name: cross_fitted(lambda rest, learn=learn: lambda held: learn(rest)(at[held]), adequate, helds)  # type: ignore[misc]
        for name, learn in learners.items()
    }
    shares = _shares({name: surprise(one, adequate)[apart] for name, one in odds.items()})
    right = {name: f"{100 * float(found(one, adequate)[apart].mean()):.0f} %" for name, one in odds.items()}
    first = dict(list(shares.items())[:NAMED])
    taken = ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in first.items())
    taken += f" and {len(shares) - NAMED} more" if len(shares) > NAMED else ""
    both = float(found(_blended(odds, shares), adequate)[apart].mean())
    run.note(
        f"Who knows an item is told by {taken}, weighed by gold: of the {int(apart.sum())} gold items that tell teachers "
        f"apart, each judged by a fit without it, the surest teacher knew the class of {100 * both:.0f} % "
        f"({', '.join(f'{name} {share}' for name, share in right.items())})."
    )
    rows = torch.arange(len(here.items))
    return Scored(_blended({name: learners[name](torch.arange(len(part)))(rows) for name in shares}, shares), odds=True)


def _shares(surprises: dict[str, Tensor]) -> dict[str, float]:
    """What say each has, by minus the log of what it gave gold (n,): shares that sum to one, faint ones left out."""
    likely = torch.stack([-one.double().sum() for one in surprises.values()]).softmax(0)
    kept = torch.where(likely >= FAINT, likely, 0.0)
    shares = zip(surprises, (kept / kept.sum()).tolist(), strict=True)
    return dict(sorted(((name, share) for name, share in shares if share), key=lambda one: -one[1]))


def _blended(odds: dict[str, Tensor], shares: dict[str, float]) -> Tensor:
    """Log-chances (M, n) of a mixture; -inf where a teacher said nothing."""
    chances = torch.stack([share * soft_choice(odds[name], 1.0) for name, share in shares.items()]).sum(0)
    silent = next(iter(odds.values())) == -torch.inf
    return chances.clamp(min=torch.finfo(chances.dtype).tiny).log().masked_fill(silent, -torch.inf)


def _calibrated(several: dict[str, Scored], seen: Tensor | None, adequate: Tensor, at: Tensor) -> dict[str, Learn]:
    """By name, from rows of gold (k,) to log-odds: every score, and the scouts, brought to one scale.

    Args:
        adequate: (M, n) who knows each gold item; at: (n,) the gold items' rows.
    """

    def calibrating(scores: Tensor) -> Learn:
        def learn(rest: Tensor) -> Odds:
            fitted = calibrate(scores[:, at[rest]], adequate[:, rest])
            return lambda rows: fitted.scores(scores[:, rows])

        return learn

    learners = {name: calibrating(one.scores) for name, one in several.items()}
    if seen is not None:
        learners["scouts"] = calibrating(beside(several["energy"].scores, seen))
    return learners


def _patterns(
    here: Specialists, several: dict[str, Scored], seen: Tensor | None, adequate: Tensor, at: Tensor
) -> dict[str, Learn]:
    """As `_calibrated`: patterns of what all teachers say, where they state logits."""
    if "energy" not in several:
        return {}
    heads, said = several["energy"].scores, side_by_side(here)

    def reading(scores: Tensor, strength: float) -> Learn:
        def learn(rest: Tensor) -> Odds:
            fitted = fit_pattern(scores[:, at[rest]], said[at[rest]], adequate[:, rest], strength)
            return lambda rows: fitted.scores(scores[:, rows], said[rows])

        return learn

    learners = {f"pattern ({strength:g})": reading(heads, strength) for strength in STRENGTHS}
    if seen is not None:
        both = beside(heads, seen)
        learners |= {f"scouts and pattern ({strength:g})": reading(both, strength) for strength in STRENGTHS}
    return learners


def _dealt(adequate: Tensor) -> list[Tensor]:
    """Rows (k,) long in parts that each hold of everybody's items alike, however they are sorted: (M, n) bool."""
    alike = torch.unique(adequate, dim=1, return_inverse=True)[1]  # (n,)
    order = alike.argsort(stable=True)
    return [order[start :: min(INNER, len(order))] for start in range(min(INNER, len(order)))]


def _nearby(graph: Any | None, silent: Tensor, seen: Tensor | None, adequate: Tensor, at: Tensor) -> dict[str, Learn]:
    """As `_calibrated`: who knows gold items, spread to what is near in all teachers' features; alone, and beside scouts.

    Args:
        graph: of who is near whom, or None; silent: (M, N) bool, who said nothing.
    """
    if graph is None:
        return {}

    @cache
    def spreading(*rows: int) -> Tensor:
        known = list(rows)
        near = spread(graph, at[known], adequate[:, known].T.float()).T.clamp(min=LEAST)
        return near.log().masked_fill(silent, -torch.inf)  # (M, N)

    def with_(extra: Tensor | float) -> Learn:
        def learn(rest: Tensor) -> Odds:
            unseen = cross_fitted(
                lambda some: lambda held: (spreading(*rest[some].tolist()) + extra)[:, at[rest[held]]],
                adequate[:, rest],
                _dealt(adequate[:, rest]),
            )
            fitted, told = calibrate(unseen, adequate[:, rest]), spreading(*rest.tolist()) + extra
            return lambda rows: fitted.scores(told[:, rows])

        return learn

    return {"gold nearby": with_(0.0)} | ({} if seen is None else {"gold nearby and scouts": with_(seen)})
