"""How much to believe: pure functions of evidence, and of gold where there is some.

Higher always means believe more. `entropy` and `cross_entropy` are measures, named for what they are; `certainty` and
`likelihood` turn them the right way up. Estimators are fitted on a label table (`table.py` says how) and turn several
teachers' claims into chances. Knows nothing of training or of teachers.
"""

from distrust.trust.adequacy import calibrate, choice, lead, soft_choice
from distrust.trust.artefact import Trust, gold_key, load_trust, save_trust
from distrust.trust.auto import Auto, Blend
from distrust.trust.calibration import calibrated, fit_calibration
from distrust.trust.claims import clean_probability, label_likelihood, label_match
from distrust.trust.confusions import Confusions, DawidSkene
from distrust.trust.consistency import self_certainty, self_consistency, silence
from distrust.trust.distribution import certainty, confidence, entropy, margin
from distrust.trust.ebcc import Ebcc
from distrust.trust.entropy_weights import entropy_shares, entropy_weights
from distrust.trust.estimators import ESTIMATORS, TrustModel, find
from distrust.trust.familiarity import energy, mahalanobis, max_logit, neighbours
from distrust.trust.gold import cross_entropy, likelihood
from distrust.trust.label_weights import ca_mkd_weights, label_loss, label_weights, reciprocal_weights, softmin_weights
from distrust.trust.passes import consensus, mc_certainty
from distrust.trust.reliability import Reliability, reliability
from distrust.trust.stated import p_true, read_confidence, stated_confidence
from distrust.trust.support import claim_probability, support
from distrust.trust.table import Estimator, Fitted, Table
from distrust.trust.text_likelihood import text_likelihood
from distrust.trust.two_kinds import TwoKinds, two_kinds
from distrust.trust.votes import agreement, self_agreement
from distrust.trust.voting import Majority, Stacking, WeightedVote

__all__ = [
    "ESTIMATORS",
    "Auto",
    "Blend",
    "Confusions",
    "DawidSkene",
    "Ebcc",
    "Estimator",
    "Fitted",
    "Majority",
    "Reliability",
    "Stacking",
    "Table",
    "Trust",
    "TrustModel",
    "TwoKinds",
    "WeightedVote",
    "agreement",
    "ca_mkd_weights",
    "calibrate",
    "calibrated",
    "certainty",
    "choice",
    "claim_probability",
    "clean_probability",
    "confidence",
    "consensus",
    "cross_entropy",
    "energy",
    "entropy",
    "entropy_shares",
    "entropy_weights",
    "find",
    "fit_calibration",
    "gold_key",
    "label_likelihood",
    "label_loss",
    "label_match",
    "label_weights",
    "lead",
    "likelihood",
    "load_trust",
    "mahalanobis",
    "margin",
    "max_logit",
    "mc_certainty",
    "neighbours",
    "p_true",
    "read_confidence",
    "reciprocal_weights",
    "reliability",
    "save_trust",
    "self_agreement",
    "self_certainty",
    "self_consistency",
    "silence",
    "soft_choice",
    "softmin_weights",
    "stated_confidence",
    "support",
    "text_likelihood",
    "two_kinds",
]
