"""From probabilities to a label: a policy fitted on validation, saved with the run, applied wherever it predicts.

One class per policy; `nlptl.registry.POLICIES` names them, and installed packages add their own.
"""

from nlptl.evaluation.decisions.argmax import most_probable
from nlptl.evaluation.decisions.fitting import decide, fit_decision, open_decision
from nlptl.evaluation.decisions.policy import Decision

__all__ = ["Decision", "decide", "fit_decision", "most_probable", "open_decision"]
