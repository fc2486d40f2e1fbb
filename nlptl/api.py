"""The public verbs of the library in one place; each is written in a module of `nlptl.verbs`."""

from __future__ import annotations

from nlptl.comparison.result import Comparison
from nlptl.explore.discovery import Discovery
from nlptl.explore.layers import LayerReport
from nlptl.explore.ranking import Ranking
from nlptl.inference.predictor import Run, load
from nlptl.strategies.adaptation.matrix import DomainMatrix
from nlptl.verbs.adapt import adapt, adapt_matrix, cross_config
from nlptl.verbs.compare import compare
from nlptl.verbs.decide import decide
from nlptl.verbs.discover import discover
from nlptl.verbs.insight import probe, rank
from nlptl.verbs.pretrain import pretrain
from nlptl.verbs.train import merge, train, train_baseline, train_config, train_folder

__all__ = [
    "Comparison",
    "Discovery",
    "DomainMatrix",
    "LayerReport",
    "Ranking",
    "Run",
    "adapt",
    "adapt_matrix",
    "compare",
    "cross_config",
    "decide",
    "discover",
    "load",
    "merge",
    "pretrain",
    "probe",
    "rank",
    "train",
    "train_baseline",
    "train_config",
    "train_folder",
]
