"""nlptl: transfer learning for text. Tasks onto BERT-family checkpoints, in three modes, through Accelerate.

import nlptl
run = nlptl.train("sentiment", mode="lora", data="reviews.csv")
run.predict(["Not half as bad as I feared."])
"""

from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlptl.api import Run, adapt, adapt_matrix, load, merge, probe, rank, train, train_baseline
    from nlptl.config.run import RunConfig
    from nlptl.errors import NlptlError
    from nlptl.explore.discovery import Discovery, discover
    from nlptl.pretraining.pretrain import pretrain
    from nlptl.tasks import TaskSpec, load_task, register_task

__version__ = _version("nlptl")
__all__ = [
    "Discovery",
    "NlptlError",
    "Run",
    "RunConfig",
    "TaskSpec",
    "adapt",
    "adapt_matrix",
    "discover",
    "load",
    "load_task",
    "merge",
    "pretrain",
    "probe",
    "rank",
    "register_task",
    "train",
    "train_baseline",
]

# Imported when first asked for: `import nlptl` and `nlptl --help` must not wait for torch.
_HOMES = {
    "NlptlError": "nlptl.errors",
    "Run": "nlptl.inference.predictor",
    "RunConfig": "nlptl.config.run",
    "TaskSpec": "nlptl.tasks",
    "adapt": "nlptl.api",
    "Discovery": "nlptl.explore.discovery",
    "adapt_matrix": "nlptl.api",
    "discover": "nlptl.explore.discovery",
    "load": "nlptl.inference.predictor",
    "load_task": "nlptl.tasks",
    "merge": "nlptl.api",
    "pretrain": "nlptl.pretraining.pretrain",
    "probe": "nlptl.api",
    "rank": "nlptl.api",
    "register_task": "nlptl.tasks",
    "train": "nlptl.api",
    "train_baseline": "nlptl.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nlptl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
