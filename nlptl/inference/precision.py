"""In which precision a finished run predicts: its own, where this machine computes in it."""

from __future__ import annotations

import logging

import torch

from nlptl.runs.artifact import Artifact
from nlptl.training.precision import PRECISIONS, choose_precision, computes_in

log = logging.getLogger("nlptl")


def precision_for(artifact: Artifact, asked: str | None) -> str:
    """bf16, fp16 or fp32.

    Args:
        artifact: the run; `metrics.json` says in which precision it was trained and measured.
        asked: one of those, or auto for the fastest that this machine computes in; None: the run's own. Where the
            hardware does not multiply in that, fp32 is taken, and said.

    Raises:
        ConfigError: a precision that there is not, or that this machine cannot compute in.
    """
    on_cpu = not torch.accelerator.is_available()
    if asked is not None:
        return choose_precision(asked, on_cpu)
    runtime = artifact.metrics.get("runtime")
    own = runtime.get("precision") if isinstance(runtime, dict) else None
    if own not in PRECISIONS:
        return choose_precision("auto", on_cpu)
    if computes_in(own, on_cpu):
        return str(own)
    log.warning(
        f"{artifact.folder} was trained and measured in {own}, which this machine does not multiply in; it predicts in "
        f"fp32, and its numbers may differ slightly from metrics.json. Choose another with --precision."
    )
    return "fp32"
