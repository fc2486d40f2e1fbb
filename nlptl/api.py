"""The public verbs of the library in one place; each is written in a module of `nlptl.verbs`."""

from __future__ import annotations

from nlptl.attacks.report import RobustnessReport
from nlptl.comparison.result import Comparison
from nlptl.explore.discovery import Discovery
from nlptl.explore.explained import Explained
from nlptl.explore.layers import LayerReport
from nlptl.explore.ranking import Ranking
from nlptl.inference.explanation import Explanation
from nlptl.inference.predictor import Run, load
from nlptl.monitoring.report import DriftReport
from nlptl.quality.gain import Gain
from nlptl.quality.inspection import Inspection
from nlptl.strategies.adaptation.matrix import DomainMatrix
from nlptl.verbs.adapt import adapt, adapt_matrix, cross_config
from nlptl.verbs.compare import compare
from nlptl.verbs.decide import decide
from nlptl.verbs.discover import discover
from nlptl.verbs.drift import drift
from nlptl.verbs.evolve import evolve
from nlptl.verbs.explain import explain
from nlptl.verbs.export import export, verify_export
from nlptl.verbs.insight import probe, rank
from nlptl.verbs.pretrain import pretrain
from nlptl.verbs.quality import apply_corrections, inspect
from nlptl.verbs.report import report
from nlptl.verbs.robustness import robustness
from nlptl.verbs.splits import SplitComparison, compare_splits
from nlptl.verbs.train import merge, train, train_baseline, train_config, train_folder

__all__ = [
    "Comparison",
    "Discovery",
    "DomainMatrix",
    "DriftReport",
    "Explained",
    "Explanation",
    "Gain",
    "Inspection",
    "LayerReport",
    "Ranking",
    "RobustnessReport",
    "Run",
    "SplitComparison",
    "adapt",
    "adapt_matrix",
    "apply_corrections",
    "compare",
    "compare_splits",
    "cross_config",
    "decide",
    "discover",
    "drift",
    "evolve",
    "explain",
    "export",
    "inspect",
    "load",
    "merge",
    "pretrain",
    "probe",
    "rank",
    "report",
    "robustness",
    "train",
    "train_baseline",
    "train_config",
    "train_folder",
    "verify_export",
]
