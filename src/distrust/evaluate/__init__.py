"""How good an answer is: scores with intervals, fair comparisons, and what can be said of each teacher.

Pure functions on tensors. Knows nothing of files, and does not know which figures a page shows.
"""

from distrust.evaluate.judging import (
    Bin,
    Judgement,
    agreement,
    claims_on,
    error_correlation,
    final_claims,
    judge,
    reliability,
)
from distrust.evaluate.scores import (
    Difference,
    Interval,
    calibration_error,
    holm,
    paired_difference,
    paired_test,
    score,
    unpaired_difference,
    wilson,
)
from distrust.evaluate.signals import Quality, quality
from distrust.evaluate.worth import Worth, isotonic, worth_in_labels

__all__ = [
    "Bin",
    "Difference",
    "Interval",
    "Judgement",
    "Quality",
    "Worth",
    "agreement",
    "calibration_error",
    "claims_on",
    "error_correlation",
    "final_claims",
    "holm",
    "isotonic",
    "judge",
    "paired_difference",
    "paired_test",
    "quality",
    "reliability",
    "score",
    "unpaired_difference",
    "wilson",
    "worth_in_labels",
]
