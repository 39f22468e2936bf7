"""How a student learns from a target: pure functions, one number per item, never reduced here.

Knows logits (*items, C) and targets over the same classes. Knows nothing of teachers, trust or loops: a weight or a
mask is applied, and the one reduction made, in `distrust.objective`.
"""

from distrust.losses.divergence import cross_entropy, forward_kl, reverse_kl
from distrust.losses.several import hint, least_combination, resized, weighted_kl

__all__ = ["cross_entropy", "forward_kl", "hint", "least_combination", "resized", "reverse_kl", "weighted_kl"]
