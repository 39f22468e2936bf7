"""Human labels read off a curve: by hand, against a naive loop and scikit-learn, and what must hold of any curve."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from distrust.errors import DataError
from distrust.evaluate import worth_in_labels
from distrust.evaluate.worth import isotonic, read_off

LABELS = [50, 100, 400]


def right(*counts: int, items: int = 100) -> torch.Tensor:
    """Rows of which the first so many items are right: (K, items)."""
    return torch.stack([(torch.arange(items) < count).double() for count in counts])


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        (60, 50.0),
        (70, 50 * math.sqrt(2)),  # halfway from 50 to 100, over the logarithm
        (80, 100.0),
        (85, 200.0),  # halfway from 100 to 400
        (90, 400.0),
        (55, 50.0),  # so many or fewer
        (95, 400.0),  # so many or more
    ],
)
def test_figures_worked_out_by_hand(student, expected):
    found = worth_in_labels(LABELS, right(60, 80, 90), right(student)[0], bootstrap=20)
    assert found.value == pytest.approx(expected)
    assert (found.least, found.most) == (50, 400)


def test_where_more_labels_did_worse_the_curve_is_levelled_and_the_fewest_labels_count():
    curve = right(60, 80, 70, 90)  # levelled to 60, 75, 75, 90
    assert worth_in_labels([50, 100, 200, 400], curve, right(75)[0], bootstrap=5).value == pytest.approx(100)
    assert worth_in_labels([50, 100, 200, 400], curve, right(70)[0], bootstrap=5).value == pytest.approx(50 * 2 ** (10 / 15))


def test_a_level_curve_says_the_fewest_or_the_most():
    level = right(70, 70, 70)
    assert worth_in_labels(LABELS, level, right(70)[0], bootstrap=5).value == 50
    assert worth_in_labels(LABELS, level, right(71)[0], bootstrap=5).value == 400


def test_the_interval_is_paired_a_student_that_is_a_point_of_the_curve_item_by_item_has_no_noise():
    curve = torch.stack([torch.zeros(40), right(17, items=40)[0], torch.ones(40)])
    found = worth_in_labels(LABELS, curve, curve[1])
    assert (found.value, found.low, found.high) == pytest.approx((100, 100, 100))
    unpaired = worth_in_labels(LABELS, curve, curve[1].flip(0))
    assert unpaired.low < 90 and unpaired.high > 110


def naive(labels, curve, student):
    """One resample, in a loop: pool adjacent violators, then walk the curve."""
    blocks = []
    for one in curve:
        blocks.append([one, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, m), (b, n) = blocks[-2], blocks[-1]
            blocks[-2:] = [[(a * m + b * n) / (m + n), m + n]]
    levels = [value for value, times in blocks for _ in range(times)]
    if student <= levels[0]:
        return labels[0]
    for k in range(1, len(levels)):
        if student <= levels[k]:
            share = (student - levels[k - 1]) / (levels[k] - levels[k - 1])
            return math.exp(math.log(labels[k - 1]) + share * (math.log(labels[k]) - math.log(labels[k - 1])))
    return labels[-1]


accuracies = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=7)


@given(accuracies, st.floats(0, 1, width=32))
def test_any_curve_is_read_as_a_naive_loop_reads_it(curve, student):
    labels = [10 * 2**k for k in range(len(curve))]
    levels = isotonic(torch.tensor([curve], dtype=torch.float64))
    assert levels[0].tolist() == pytest.approx(IsotonicRegression().fit_transform(labels, curve).tolist(), abs=1e-9)
    found = float(read_off(labels, levels, torch.tensor([student], dtype=torch.float64)))
    near = [float(read_off(labels, levels, torch.tensor([student + gap], dtype=torch.float64))) for gap in (-1e-9, 1e-9)]
    assert min(near) - 1e-6 <= naive(labels, curve, student) <= max(near) + 1e-6  # equal but for rounding at a level part
    assert near[0] <= found <= near[1]


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_better_student_is_never_worth_less_and_the_global_random_state_is_left_alone(seed):
    generator = torch.Generator().manual_seed(seed)
    chance = torch.rand(4, 3, 1, generator=generator)
    curve = (torch.rand(4, 3, 30, generator=generator) < chance).double()
    student = (torch.rand(3, 30, generator=generator) < 0.5).double()
    better = student.clone()
    better[:, :5] = 1
    before = torch.get_rng_state()
    labels = [50, 100, 200, 300]
    low, high = (worth_in_labels(labels, curve, one, bootstrap=100, seed=seed) for one in (student, better))
    assert torch.equal(before, torch.get_rng_state())
    assert low.value <= high.value and low.low <= high.low and low.high <= high.high
    assert 50 <= low.low <= low.high <= 300
    assert low == worth_in_labels(labels, curve, student, bootstrap=100, seed=seed)


def test_the_interval_covers_the_truth():
    truth = torch.tensor([0.5, 0.6, 0.7, 0.65])  # a student halfway between 100 and 400 labels: worth 200
    generator = torch.Generator().manual_seed(0)
    inside = 0
    for _ in range(100):
        drawn = (torch.rand(4, 400, generator=generator) < truth.unsqueeze(-1)).double()
        found = worth_in_labels(LABELS, drawn[:3], drawn[3], bootstrap=200)
        inside += found.low <= 200 <= found.high
    assert inside >= 88


def test_seeds_that_differ_widen_the_interval():
    curve = right(60, 80, 90).unsqueeze(1).repeat(1, 2, 1)  # (3, 2, 100)
    alike, unlike = (worth_in_labels(LABELS, curve, right(*counts)) for counts in ((84, 84), (79, 89)))
    assert alike.value == unlike.value
    assert unlike.low < alike.low and unlike.high > alike.high


@pytest.mark.parametrize(
    ("labels", "curve", "student"),
    [
        ([50], torch.ones(1, 4), torch.ones(4)),
        ([100, 50], torch.ones(2, 4), torch.ones(4)),
        ([50, 50], torch.ones(2, 4), torch.ones(4)),
        ([0, 50], torch.ones(2, 4), torch.ones(4)),
        ([50, 100], torch.ones(3, 4), torch.ones(4)),
        ([50, 100], torch.ones(2, 4), torch.ones(5)),
        ([50, 100], torch.ones(2, 0), torch.ones(0)),
        ([50, 100], torch.ones(2, 3, 4), torch.ones(4)),
    ],
)
def test_what_does_not_fit_is_refused(labels, curve, student):
    with pytest.raises(DataError, match="legal"):
        worth_in_labels(labels, curve, student)
