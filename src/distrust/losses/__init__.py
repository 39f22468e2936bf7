"""How a student learns from a target: pure functions, one number per item, never reduced here.

Knows logits (*items, C) and targets over the same classes. Knows nothing of teachers, trust or loops: a weight or a
mask is applied, and the one reduction made, in `distrust.objective`. `losses.linear` alone reduces: it takes hidden states
and heads, and forms its gradients in the forward.
"""

from distrust.losses import linear as linear
from distrust.losses.distances import alpha_beta, sorted_distance, total_variation
from distrust.losses.divergence import cross_entropy, forward_kl, reverse_kl, symmetric_kl
from distrust.losses.mixtures import interpolated_kl, jensen_shannon, skew_forward_kl, skew_reverse_kl
from distrust.losses.ranks import adaptive_kl, ranking
from distrust.losses.several import hint, least_combination, resized, weighted_kl
from distrust.losses.stored import Sampled, sampled, sampled_cross_entropy, topk_kl

__all__ = [
    "Sampled",
    "adaptive_kl",
    "alpha_beta",
    "cross_entropy",
    "forward_kl",
    "hint",
    "interpolated_kl",
    "jensen_shannon",
    "least_combination",
    "ranking",
    "resized",
    "reverse_kl",
    "sampled",
    "sampled_cross_entropy",
    "skew_forward_kl",
    "skew_reverse_kl",
    "sorted_distance",
    "symmetric_kl",
    "topk_kl",
    "total_variation",
    "weighted_kl",
]
