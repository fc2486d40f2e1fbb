"""How far in scope a text is: scorers fitted on training rows, chosen and cut on validation, saved with the run.

One class per scorer; `nlptl.registry.SCORERS` names them, and installed packages add their own. **Higher is more in
scope**, for every scorer and every measure: that is fixed here and nowhere else.
"""

from nlptl.evaluation.out_of_scope.scorer import Rows, Scorer

__all__ = ["Rows", "Scorer"]
