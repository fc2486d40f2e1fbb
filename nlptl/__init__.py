"""nlptl: transfer learning for text. Tasks onto BERT-family checkpoints, in three modes, through Accelerate.

import nlptl
run = nlptl.train("sentiment", mode="lora", data="reviews.csv")
run.predict(["Not half as bad as I feared."])
"""

import os as _os
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from nlptl.api import (
        adapt,
        adapt_matrix,
        apply_corrections,
        compare,
        compare_splits,
        decide,
        discover,
        drift,
        evolve,
        explain,
        export,
        inspect,
        load,
        merge,
        pretrain,
        probe,
        rank,
        report,
        robustness,
        train,
        train_baseline,
        verify_export,
    )
    from nlptl.attacks.report import RobustnessReport
    from nlptl.comparison.result import Comparison
    from nlptl.config.run import RunConfig
    from nlptl.errors import NlptlError
    from nlptl.explore.discovery import Discovery
    from nlptl.explore.explained import Explained
    from nlptl.explore.layers import LayerReport
    from nlptl.explore.ranking import Ranking
    from nlptl.inference.explanation import Explanation
    from nlptl.inference.predictor import Run
    from nlptl.monitoring.report import DriftReport
    from nlptl.quality.gain import Gain
    from nlptl.quality.inspection import Inspection
    from nlptl.strategies.adaptation.matrix import DomainMatrix
    from nlptl.tasks import TaskSpec, load_task, register_task
    from nlptl.verbs.splits import SplitComparison

# PyTorch's threads spin while they wait for one another, which costs everybody dearly where other programs are busy.
# Ten thousand rounds bridge the gaps between its operations; libgomp reads this once, when torch is loaded.
if "OMP_WAIT_POLICY" not in _os.environ:
    _os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = _version("nlptl")
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
    "NlptlError",
    "Ranking",
    "RobustnessReport",
    "Run",
    "RunConfig",
    "SplitComparison",
    "TaskSpec",
    "adapt",
    "adapt_matrix",
    "apply_corrections",
    "compare",
    "compare_splits",
    "decide",
    "discover",
    "drift",
    "evolve",
    "explain",
    "export",
    "inspect",
    "load",
    "load_task",
    "merge",
    "pretrain",
    "probe",
    "rank",
    "register_task",
    "report",
    "robustness",
    "train",
    "train_baseline",
    "verify_export",
]

# Imported when first asked for, each by itself: `import nlptl` and `nlptl --help` must not wait for torch, nor `train`
# for what only other verbs need.
_MODULE_OF = {
    "Comparison": "nlptl.comparison.result",
    "Discovery": "nlptl.explore.discovery",
    "Explained": "nlptl.explore.explained",
    "Explanation": "nlptl.inference.explanation",
    "DomainMatrix": "nlptl.strategies.adaptation.matrix",
    "DriftReport": "nlptl.monitoring.report",
    "LayerReport": "nlptl.explore.layers",
    "NlptlError": "nlptl.errors",
    "Ranking": "nlptl.explore.ranking",
    "RobustnessReport": "nlptl.attacks.report",
    "Run": "nlptl.inference.predictor",
    "RunConfig": "nlptl.config.run",
    "SplitComparison": "nlptl.verbs.splits",
    "TaskSpec": "nlptl.tasks",
    "adapt": "nlptl.verbs.adapt",
    "adapt_matrix": "nlptl.verbs.adapt",
    "compare_splits": "nlptl.verbs.splits",
    "compare": "nlptl.verbs.compare",
    "decide": "nlptl.verbs.decide",
    "discover": "nlptl.verbs.discover",
    "apply_corrections": "nlptl.verbs.quality",
    "Gain": "nlptl.quality.gain",
    "inspect": "nlptl.verbs.quality",
    "Inspection": "nlptl.quality.inspection",
    "evolve": "nlptl.verbs.evolve",
    "explain": "nlptl.verbs.explain",
    "export": "nlptl.verbs.export",
    "verify_export": "nlptl.verbs.export",
    "drift": "nlptl.verbs.drift",
    "load": "nlptl.inference.predictor",
    "load_task": "nlptl.tasks",
    "merge": "nlptl.verbs.train",
    "pretrain": "nlptl.verbs.pretrain",
    "probe": "nlptl.verbs.insight",
    "rank": "nlptl.verbs.insight",
    "register_task": "nlptl.tasks",
    "report": "nlptl.verbs.report",
    "robustness": "nlptl.verbs.robustness",
    "train": "nlptl.verbs.train",
    "train_baseline": "nlptl.verbs.train",
}


def __getattr__(name: str) -> "Any":
    if name not in _MODULE_OF:
        from nlptl.errors import closest

        nearest = closest(name, __all__) if not name.startswith("_") else None
        hint = f". Did you mean {nearest!r}?" if nearest else ""
        raise AttributeError(f"module 'nlptl' has no attribute {name!r}{hint}", name=name)
    from importlib import import_module

    from nlptl.imports import uncollected

    with uncollected():
        return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    """The public names, whether they have been imported yet or not; completion and `help(nlptl)` show them."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
