"""How much to believe: pure functions of evidence, and of gold where there is some.

Higher always means believe more. `entropy` and `cross_entropy` are measures, named for what they are; `certainty` and
`likelihood` turn them the right way up. Knows nothing of training, files or teachers.
"""

from distrust.trust.distribution import certainty, confidence, entropy, margin
from distrust.trust.gold import cross_entropy, likelihood
from distrust.trust.votes import agreement, self_agreement

__all__ = [
    "agreement",
    "certainty",
    "confidence",
    "cross_entropy",
    "entropy",
    "likelihood",
    "margin",
    "self_agreement",
]
