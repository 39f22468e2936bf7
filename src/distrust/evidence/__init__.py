"""Evidence: what sources said about some items, and nothing else that is known of them.

One source's (`value`), of several sets of items (`joining`), or several sources' side by side (`stacking`). Knows nothing
of how an answer was obtained, of trust, or of training.
"""

from distrust.evidence.joining import join
from distrust.evidence.stacking import Stacked, stack
from distrust.evidence.value import Cost, Evidence, votes
from distrust.logits import Dense, Hidden, TopK

__all__ = ["Cost", "Dense", "Evidence", "Hidden", "Stacked", "TopK", "join", "stack", "votes"]
