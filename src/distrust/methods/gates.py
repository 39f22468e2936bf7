"""Gates of peer-advised: which claims are replaced, by an estimate of who is right more often.

Knows the pool as the teachers labelled it, and students of its halves. Knows nothing of how the last student is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import one_hot

from distrust import combine
from distrust.answers import Answers
from distrust.claimed import final, majority, told_by
from distrust.data import REFERENCE, Items
from distrust.errors import RunError
from distrust.evaluate import final_claims, paired_difference
from distrust.evidence import stack
from distrust.labelled import Labelled
from distrust.methods.voted import Part, agreed, parts
from distrust.run import Run
from distrust.select import most_trusted, rows
from distrust.trust.claims import label_likelihood, label_match
from distrust.trust.distribution import confidence
from distrust.trust.pooling import Advice, advise

FEW = 20  # gold labels below which an estimate says little
HALF = 0.5  # the paper's share of what is trusted: the least that peers learn from
PARTS = 4  # a peer learns from all of these but one, and speaks of that one


def by_gold(run: Run, pool: Labelled, scout_epochs: int) -> Labelled:
    """The pool as gold has it: teachers' claims against students that never saw the item, each with the say gold gives it.

    Twice: scouts learn from every claim and are asked about every item; peers learn from what is trusted then, the paper's
    half of the items at least, and are asked about the rest. An item is told its likeliest class, which is the peer's, the
    teachers' or what their claim usually means; of the rest as many items are told as are estimated right.
    """
    part = run.gold.part("trust")
    gold = run.gold_items.select(run.gold_items.rows(part.ids))
    judged = final_claims(stack([run.ask(teacher, gold) for teacher in run.teachers], run.space, part.ids))  # (M, n)
    said = stack(run.evidence(), run.space, pool.items.ids)
    spoken = rows((judged >= 0).any(0))  # of other gold items claims mean nothing, which must not be held against them
    if not len(spoken):
        raise RunError(
            "No teacher says anything of a gold item, so gold judges no claim; give other gold, or set gate: none."
        )
    gold, judged, labels = gold.select(spoken), judged[:, spoken], part.labels[spoken]
    _warn_of_little(run, len(labels))

    shares = parts(run, pool.items, PARTS, gold)

    def advice(name: str, told: Labelled, epochs: int | None) -> Advice:
        peer, on_gold = _opinions(run, name, told, pool.items, gold, shares, epochs)
        return advise(peer, on_gold, final_claims(said), judged, labels, said.known)

    first = advice("scout", pool, _long_enough(run, pool, shares[0], scout_epochs))
    if not _shown(run, first, judged, labels):
        return pool
    high = _trusted(pool.items.ids, first.posterior, HALF)  # (N,) bool
    peers = advice("peer", _told(pool, first.posterior).select(rows(high)), None)
    doubted = rows(~high)
    low = _trusted([pool.items.ids[row] for row in doubted.tolist()], peers.posterior[doubted])
    posterior = torch.where(high.unsqueeze(-1), first.posterior, peers.posterior)
    high[doubted[low]] = True
    _report(run, pool, posterior, high, peers, judged, labels)
    return _told(pool, posterior).select(rows(high))


def texts_by_gold(run: Run, pool: Labelled, answers: Answers) -> Labelled:
    """Open answers as gold has it: where a peer that never saw the item answers otherwise, whoever is right more often then.

    Differing texts are taken in two parts, by how alike they are. How often each side is right in a part is counted on
    gold, and drawn by two pseudo-counts to how often it is wherever they differ.
    """
    part = run.gold.part("trust")
    gold = run.gold_items.select(run.gold_items.rows(part.ids))
    taught = majority([run.ask(teacher, gold) for teacher in run.teachers], gold).told()
    _warn_of_little(run, len(taught))
    wanted = dict(zip(gold.ids, map(answers.reference, gold.columns[REFERENCE]), strict=True))
    shares = parts(run, pool.items, 2, gold)
    halves = [(run.fit(f"peer-{name}", pool.select(own)), pool.select(other)) for name, own, other in shares]
    assert taught.texts is not None, "answers are open"
    ours = [answers.read(one[int(row.argmax())]) for one, row in zip(taught.texts.answers, taught.targets, strict=True)]
    seen: list[tuple[float, bool, bool]] = []  # where they differ on gold: how alike, the peer right, the teachers right
    for peer, _ in halves:
        said = run.ask(peer, taught.items)
        theirs = [None if claim is None else claim.answer for claim in final(said, taught.items)]
        alike = agreed(run, said, taught, "token_f1").tolist()
        for item, near, their, our in zip(taught.items.ids, alike, theirs, ours, strict=True):
            if their is not None and their != our:
                seen.append((near, their == wanted[item], our == wanted[item]))
    believed = _believed(seen)
    told, changed = pool, 0
    for peer, unseen in halves:
        said = run.ask(peer, unseen.items)
        advice = told_by([said], unseen.items)
        differ = (agreed(run, said, unseen, "match") == 0) & (advice.targets > 0).any(-1)
        chosen = rows(differ & believed(agreed(run, said, unseen, "token_f1")))
        told, changed = told.relabelled(advice.select(chosen)), changed + len(chosen)
    run.note(
        f"The gate tells {100 * changed / len(pool):.0f} % of the items a peer's answer. Where peers answer otherwise than "
        f"the teachers on gold ({len(seen)} times), they are right {sum(one[1] for one in seen)} times, the teachers "
        f"{sum(one[2] for one in seen)} times."
    )
    return told


def _believed(seen: Sequence[tuple[float, bool, bool]]) -> Callable[[Tensor], Tensor]:
    """From what differed on gold to a rule: how alike two texts are (n,), to whether the peer's is told (n,) bool."""
    middle = median(near for near, _, _ in seen) if seen else 0.5

    def better(part: list[tuple[float, bool, bool]]) -> bool:
        peer, teachers = (
            (sum(one[side] for one in part) + 2 * (sum(one[side] for one in seen) + 1) / (len(seen) + 2)) / (len(part) + 2)
            for side in (1, 2)
        )
        return bool(peer > teachers)

    below, above = better([one for one in seen if one[0] < middle]), better([one for one in seen if one[0] >= middle])
    return lambda alike: torch.where(alike < middle, below, above)


def by_halves(run: Run, pool: Labelled, advised: Callable[[Labelled, str, bool], Labelled]) -> Labelled:
    """The pool relabelled, if that helps to foresee claims that were not learned from: without gold, of two halves.

    On each half a student is trained as it is and one as `advised` has it, and both foresee the claims of the other half.
    Where claims err at random, what foresees them better is nearer the truth; where they err systematically, it is not.
    Neither is trained on gold: `advised` is told to leave it out here, and not where the whole pool is relabelled.
    """
    gains = []
    for name, own, other in parts(run, pool.items, 2):
        half, unseen = pool.select(own), pool.select(other)
        plain = run.fit(f"plain-{name}", half)
        better = run.fit(f"advised-{name}", advised(half, f"-{name}", False))
        foreseen = [agreed(run, run.ask(one, unseen.items), unseen, "match") for one in (better, plain)]
        gains.append(foreseen[0] - foreseen[1])
    gain = paired_difference(torch.cat(gains).double(), torch.zeros(len(pool), dtype=torch.float64))
    opened = gain.low > 0
    run.note(
        f"The gate is {'open' if opened else 'shut'}: relabelled by a peer, one half foresees the claims of the other "
        f"{100 * gain.value:+.1f} points better ({100 * gain.low:+.1f} to {100 * gain.high:+.1f}, 95 %)."
    )
    return advised(pool, "", True) if opened else pool


def _opinions(
    run: Run, name: str, told: Labelled, items: Items, gold: Items, shares: Sequence[Part], epochs: int | None
) -> tuple[Tensor, Tensor]:
    """What peers say of the part that each has not seen: (N, C); and what each says of gold, which none saw: (K, n, C)."""
    row_of = {item: row for row, item in enumerate(told.items.ids)}
    opinion = torch.zeros(len(items), len(run.space))
    on_gold = []
    for part, own, other in shares:
        mine = [row_of[item] for item in (items.ids[row] for row in own.tolist()) if item in row_of]
        if not mine:
            raise RunError(
                f"Gold trusts nothing that is said of one part of the {len(items)} items, so no peer can learn from it; "
                "give more items, or set gate: none."
            )
        student = run.fit(f"{name}-{part}", told.select(mine), epochs=epochs)
        opinion[other] = run.ask(student, items.select(other)).distribution()
        on_gold.append(run.ask(student, gold).distribution())
    return opinion, torch.stack(on_gold)


def _long_enough(run: Run, pool: Labelled, part: Part, epochs: int) -> int:
    """For how many epochs scouts learn: doubled as long as unseen claims become more probable, and no longer than a student.

    Brief is brief for one that learns fast. Where claims err at random, what makes unseen ones more probable is no mistake
    learned by heart. Source: early learning, Liu et al. 2020, judged on claims held out.
    """
    name, own, other = part
    least, unseen, tried = float("inf"), pool.select(other), epochs
    while tried <= max(epochs, run.options.num_train_epochs):
        scout = run.fit(f"scout-{name}", pool.select(own), epochs=tried)
        likely = label_likelihood(run.ask(scout, unseen.items).distribution(), unseen.targets)  # (n,)
        miss = -float(likely.clamp(min=1e-12).log().mean())
        if miss >= least:
            break
        epochs, least, tried = tried, miss, 2 * tried
    return epochs


def _shown(run: Run, advice: Advice, claims: Tensor, labels: Tensor) -> bool:
    """Whether gold shows anything for what scouts make of claims: it is right as often, or surer where it is right.

    Where most claims of a class are wrong by system, students learn the wrong class and agree with what is wrong: the surest
    claims are then not the right ones. What counts as surer is beyond the noise of so much gold (Mann-Whitney, one-sided,
    5 %); all opinions of an item count as one item. claims: (M, n), labels: (n,) long.
    """
    right = advice.on_gold.argmax(-1) == labels  # (K, n)
    share, taught = float(right.double().mean()), _voted(claims, labels, advice.on_gold.shape[-1]) / len(labels)
    if share >= taught:
        return True
    good = share * len(labels)
    bad = len(labels) - good
    if good and bad:
        surer = roc_auc_score(right.flatten().numpy(), confidence(advice.on_gold).flatten().numpy())
        if surer > 0.5 + 1.645 * math.sqrt((len(labels) + 1) / (12 * good * bad)):
            return True
    run.note(
        f"The gate is shut, and the claims are told as they are: of {len(labels)} gold items the teachers are right on "
        f"{taught * len(labels):.0f}, what scouts make of them on {good:.0f}, and it is no surer where it is right."
    )
    return False


def _voted(claims: Tensor, labels: Tensor, classes: int) -> float:
    """How many gold items the teachers' vote is right on: claims (M, n), labels (n,)."""
    return float(combine.majority_vote(claims, classes).gather(-1, labels.unsqueeze(-1)).sum())


def _told(pool: Labelled, posterior: Tensor) -> Labelled:
    """The pool told its likeliest classes: posterior (N, C)."""
    return pool.told_as(one_hot(posterior.argmax(-1), posterior.shape[-1]).to(pool.targets))


def _trusted(ids: Sequence[str], posterior: Tensor, least: float = 0.0) -> Tensor:
    """Which items are told: as many as are estimated right, a share `least` at least, and the same share of each class.

    posterior: (n, C), to (n,) bool.
    """
    sure = confidence(posterior)
    share = max(least, float(sure.mean())) if len(ids) else 1.0
    return most_trusted(sure, share, ids, posterior.argmax(-1))


def _warn_of_little(run: Run, judges: int) -> None:
    """Say so where gold is too little to judge by."""
    if judges < FEW:
        run.warn(f"The gate is judged by {judges} gold labels, so what it decides is little more than a guess.")


def _report(
    run: Run, pool: Labelled, posterior: Tensor, told: Tensor, found: Advice, claims: Tensor, labels: Tensor
) -> None:
    """Say what the gate decided, and what it thinks of both sides; told: (N,) bool, the items that are not left out."""
    changed = float((1 - label_match(posterior, pool.targets))[told].sum()) / len(pool)
    sure = f"{100 * float(confidence(posterior[told]).mean()):.0f} %" if bool(told.any()) else "none"
    vote = _voted(claims, labels, posterior.shape[-1])
    peer, meaning, claim = found.say.tolist()
    run.note(
        f"The gate tells {100 * changed:.0f} % of the items another class than the teachers do, leaves "
        f"{100 * float((~told).float().mean()):.0f} % out, and takes {sure} of what it tells for right; "
        f"of {len(labels)} gold items the teachers are right on {vote:.0f}. Peers have a say of {peer:.2f}, "
        f"what claims mean by gold {meaning:.2f}, the bare claims {claim:.2f}."
    )
