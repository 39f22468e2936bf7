"""Scores against naive loops and scikit-learn; intervals and verdicts against what they promise."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss

from distrust.errors import DataError
from distrust.evaluate import paired_difference, score, unpaired_difference, wilson


def predictions(seed: int, items: int = 200, classes: int = 7):
    generator = torch.Generator().manual_seed(seed)
    chance = torch.randn(items, classes, generator=generator).mul(2).softmax(-1)
    drawn = torch.multinomial(chance, 1, generator=generator).squeeze(-1)
    return chance, drawn


def naive(chance, gold, bins=15):
    rows, labels = chance.tolist(), gold.tolist()
    nll = brier = 0.0
    inside = [[] for _ in range(bins)]
    for row, label in zip(rows, labels, strict=True):
        nll -= math.log(row[label])
        brier += sum((p - (c == label)) ** 2 for c, p in enumerate(row))
        top = max(range(len(row)), key=row.__getitem__)
        inside[max(math.ceil(row[top] * bins) - 1, 0)].append((row[top], float(top == label)))
    ece = sum(abs(sum(p for p, _ in one) / len(one) - sum(r for _, r in one) / len(one)) * len(one) for one in inside if one)
    return nll / len(rows), brier / len(rows), ece / len(rows)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scores_equal_naive_loops_and_scikit_learn(seed):
    chance, gold = predictions(seed)
    found = score(chance, gold, bootstrap=50)
    nll, brier, ece = naive(chance, gold)
    predicted = chance.argmax(-1)
    exact = torch.nn.functional.normalize(chance.double(), p=1)
    assert found["nll"].value == pytest.approx(nll, rel=1e-6)
    assert found["nll"].value == pytest.approx(log_loss(gold, exact, labels=range(7)), rel=1e-6)
    assert found["brier"].value == pytest.approx(brier, rel=1e-6)
    assert found["ece"].value == pytest.approx(ece, rel=1e-6)
    assert found["accuracy"].value == accuracy_score(gold, predicted)
    assert found["macro_f1"].value == pytest.approx(f1_score(gold, predicted, average="macro"))


def test_a_figure_worked_out_by_hand():
    chance = torch.tensor([[0.8, 0.2], [0.6, 0.4]])
    found = score(chance, torch.tensor([0, 1]), bootstrap=10)
    assert found["accuracy"].value == 0.5
    assert found["macro_f1"].value == pytest.approx((2 / 3 + 0) / 2)
    assert found["nll"].value == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)
    assert found["brier"].value == pytest.approx((2 * 0.2**2 + 2 * 0.6**2) / 2)
    assert found["ece"].value == pytest.approx((0.2 + 0.6) / 2)


def test_macro_f1_leaves_out_classes_that_are_neither_gold_nor_predicted():
    chance = torch.tensor([[0.9, 0.05, 0.05, 0.0], [0.1, 0.8, 0.1, 0.0], [0.7, 0.2, 0.1, 0.0]])
    gold = torch.tensor([0, 1, 1])
    assert score(chance, gold)["macro_f1"].value == pytest.approx(f1_score(gold, [0, 1, 0], average="macro"))


def test_intervals_equal_a_naive_bootstrap_within_its_noise():
    chance, gold = predictions(5, items=150, classes=4)
    found = score(chance, gold, bootstrap=1000, seed=3)
    generator = torch.Generator().manual_seed(11)
    values = {"accuracy": [], "macro_f1": [], "ece": []}
    for _ in range(300):
        rows = torch.randint(150, (150,), generator=generator)
        predicted = chance[rows].argmax(-1)
        values["accuracy"].append(accuracy_score(gold[rows], predicted))
        values["macro_f1"].append(f1_score(gold[rows], predicted, average="macro"))
        values["ece"].append(naive(chance[rows], gold[rows])[2])
    for name, drawn in values.items():
        low, high = torch.tensor(drawn).quantile(torch.tensor([0.025, 0.975])).tolist()
        assert found[name].low == pytest.approx(low, abs=0.025), name
        assert found[name].high == pytest.approx(high, abs=0.025), name


def test_the_interval_covers_the_truth_as_often_as_it_says():
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(100):
        right = torch.rand(120, generator=generator) < 0.7
        chance = torch.stack([right.double(), 1 - right.double()], 1)
        found = score(chance, torch.zeros(120, dtype=torch.long), bootstrap=300)["accuracy"]
        covered += found.low <= 0.7 <= found.high
    assert 88 <= covered <= 100


def test_a_seed_repeats_and_global_randomness_is_untouched():
    chance, gold = predictions(1)
    before = torch.random.get_rng_state()
    first, again, other = score(chance, gold, seed=1), score(chance, gold, seed=1), score(chance, gold, seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first == again
    assert first["nll"].low != other["nll"].low


def test_cutting_the_resamples_into_turns_changes_no_value(monkeypatch):
    from distrust.evaluate import scores

    chance, gold = predictions(1)
    whole = score(chance, gold)
    monkeypatch.setattr(scores, "_chunks", lambda bootstrap, items: [7] * (bootstrap // 7) + [bootstrap % 7])
    parts = score(chance, gold)
    assert whole["accuracy"] == parts["accuracy"]
    assert whole["ece"].low == pytest.approx(parts["ece"].low)


def test_a_certain_mistake_is_finite():
    found = score(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([1, 1]))["nll"]
    assert found.value == pytest.approx(15.94, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 1000))
def test_renaming_classes_changes_no_score(items, classes, seed):
    chance, gold = predictions(seed, items, classes)
    order = torch.randperm(classes, generator=torch.Generator().manual_seed(seed))
    renamed = torch.empty_like(chance)
    renamed[:, order] = chance
    first, second = score(chance, gold, 20), score(renamed, order[gold], 20)
    for name, interval in first.items():
        assert 0 <= interval.low <= interval.high
        assert second[name].value == pytest.approx(interval.value, abs=1e-6)


@pytest.mark.parametrize(
    ("chance", "gold"),
    [
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)),
        (torch.zeros(2, 3), torch.tensor([0, 1])),
        (torch.tensor([[1.5, -0.5]]), torch.tensor([0])),
        (torch.tensor([[float("nan"), 1.0]]), torch.tensor([0])),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([2])),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([-1])),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([0, 1])),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(chance, gold):
    with pytest.raises(DataError, match=r"legal|sums to 1"):
        score(chance, gold)


def test_verdicts_are_as_the_interval_says():
    generator = torch.Generator().manual_seed(0)
    good = (torch.rand(500, generator=generator) < 0.8).float()
    poor = (torch.rand(500, generator=generator) < 0.6).float()
    better, worse, same = paired_difference(good, poor), paired_difference(poor, good), paired_difference(good, good)
    assert (better.verdict, worse.verdict, same.verdict) == ("above", "below", "within noise")
    assert better.value == pytest.approx(float(good.mean() - poor.mean())) and better.low > 0
    assert worse.value == pytest.approx(-better.value)
    assert (same.low, same.high, same.items) == (0.0, 0.0, 500)


def test_the_difference_is_paired():
    """Two predictors that differ on few items are told apart although their own intervals overlap."""
    right = (torch.arange(400) % 2).float()
    better = right.clone()
    better[:24:2] = 1  # twelve more
    found = paired_difference(better, right)
    assert found.verdict == "above" and found.high < 0.06


def test_a_handful_of_items_excludes_nothing():
    assert paired_difference(torch.ones(5), torch.zeros(5)).verdict == "within noise"
    assert paired_difference(torch.ones(6), torch.zeros(6)).verdict == "above"


def test_seeds_that_disagree_widen_the_interval():
    generator = torch.Generator().manual_seed(0)
    base = (torch.rand(300, generator=generator) < 0.6).float().expand(3, 300)
    steady = (torch.rand(300, generator=generator) < 0.7).float().expand(3, 300)
    wild = torch.stack([torch.ones(300), steady[0], base[0] * 0.5])
    one, three, noisy = (paired_difference(a, base[: len(a)]) for a in (steady[:1], steady, wild))
    assert one.value == pytest.approx(three.value)
    assert one.low == pytest.approx(three.low, abs=0.02)
    assert noisy.high - noisy.low > 2 * (three.high - three.low)
    assert noisy.verdict == "within noise"


def test_pairs_must_fit():
    for a, b in [(torch.ones(3), torch.ones(4)), (torch.ones(0), torch.ones(0)), (torch.ones(2, 2, 2), torch.ones(2, 2, 2))]:
        with pytest.raises(DataError, match="legal is"):
            paired_difference(a, b)


def test_wilson_has_the_values_of_its_formula():
    found = wilson(8, 10)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-6)
    none, every = wilson(0, 10), wilson(10, 10)
    assert none is not None and every is not None
    assert none.low == 0 and every.high == 1 and none.high == pytest.approx(0.2775328, abs=1e-6)
    assert wilson(0, 0) is None


def test_unpaired_shares_are_compared_as_newcombe_does():
    """The worked example of Newcombe 1998, table II (a): 56 of 70 against 48 of 80, method 10."""
    a, b = wilson(56, 70), wilson(48, 80)
    assert a is not None and b is not None
    found = unpaired_difference(a, b)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert (found.verdict, found.items) == ("above", None)
    assert unpaired_difference(b, a).verdict == "below"
    few = wilson(6, 10)
    assert few is not None and unpaired_difference(a, few).verdict == "within noise"
