"""How well two samples are told apart: the area under the ROC curve, its interval, and the smallest one that is seen.

AUC is the probability that a new text scores higher than a reference text; 0.5 where nothing tells them apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

POWER = 0.8
"""How often a difference must be found to count as one that these rows can show."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Precision:
    """How exactly rows show an AUC."""

    reference: int
    """Rows of the one sample."""
    new: int
    """Rows of the other."""
    widened: float = 1.0
    """How much wider cross-validated AUCs spread than those of a classifier that is given."""

    @classmethod
    def under(cls, null: np.ndarray, reference: int, new: int) -> Precision:
        """As wide as the AUCs with labels permuted, in which the folds' classifiers share rows.

        Args:
            null: (P,) of the same classifier, folds and rows.
            reference: rows of the one sample.
            new: rows of the other.
        """
        given = cls(reference, new)
        return replace(given, widened=max(1.0, float(np.std(null)) / given.standard_error(0.5)))

    def standard_error(self, auc: float) -> float:
        """Of an AUC, by its size and the rows (Hanley & McNeil 1982, as Newcombe 2006 writes it in his method 5)."""
        half = (self.reference + self.new) / 2 - 1
        spread = 1 + half * ((1 - auc) / (2 - auc) + auc / (1 + auc))
        return self.widened * math.sqrt(max(auc * (1 - auc) * spread, 0.0) / (self.reference * self.new))

    def interval(self, auc: float) -> tuple[float, float]:
        """The 95 % interval of an AUC: those that it differs from by less than 1.96 of *their* standard errors.

        It holds at the ends too, where the usual interval has no width (Newcombe 2006, method 5).
        """
        from scipy.optimize import brentq
        from scipy.stats import norm

        wide = float(norm.isf((1 - CONFIDENCE) / 2))

        def beyond(value: float) -> float:
            return abs(value - auc) - wide * self.standard_error(value)

        edge = 1e-9  # at 0 and 1 itself the standard error is 0
        low = float(brentq(beyond, 0.0, min(auc, 1 - edge))) if auc > 0 else 0.0
        high = float(brentq(beyond, max(auc, edge), 1.0)) if auc < 1 else 1.0
        return low, high

    def smallest_seen(self, critical: float) -> float:
        """The smallest AUC of which four of five measured ones lie above a critical value.

        It is the critical value + 0.84 standard errors, the standard error being that of the AUC itself.

        Args:
            critical: from where on a measured AUC counts.

        Returns:
            At most 1, which says that not even samples told apart without a fault would surely be found.
        """
        from scipy.optimize import brentq
        from scipy.stats import norm

        far = float(norm.isf(1 - POWER))

        def short(value: float) -> float:
            return value - far * self.standard_error(value) - critical

        return 1.0 if short(1.0) <= 0 else float(brentq(short, critical, 1.0))


def critical_value(null: np.ndarray, alpha: float) -> float:
    """The AUC above which a permutation test has p of at most alpha; 1 where it has too few permutations for that.

    Args:
        null: (P,) AUCs with labels permuted.
        alpha: level of the test.
    """
    allowed = math.floor(alpha * (len(null) + 1)) - 1  # p is (k + 1) / (P + 1)
    return float(np.sort(null)[len(null) - 1 - allowed]) if allowed >= 0 else 1.0


def shift_of(auc: float) -> float:
    """The shift d, in standard deviations, of one normal distribution against another that gives this AUC.

    `d = sqrt(2) * Phi^-1(AUC)`, with Phi the standard normal distribution function.
    """
    from scipy.stats import norm

    return float(math.sqrt(2) * norm.ppf(min(max(auc, 0.0), 1.0)))
