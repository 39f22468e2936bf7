"""How noisy is a teacher: which of its claims are wrong, how many, as what, and which item a person should label next.

Pure functions of out-of-fold student probabilities, claims and a few gold labels; `out_of_fold` alone trains. Knows
nothing of tables, pages or methods.

Without gold, what is systematic stays unseen: a student learns a mistake that is always made alike, and then agrees with it.
"""

from distrust.noise.estimate import Noise, estimate
from distrust.noise.labelling import next_to_label
from distrust.noise.students import audit_run, numbers_of, out_of_fold

__all__ = ["Noise", "audit_run", "estimate", "next_to_label", "numbers_of", "out_of_fold"]
