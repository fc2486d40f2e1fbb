"""Versions of what a run stands on."""

from __future__ import annotations

import sys
from importlib.metadata import version


def environment() -> dict[str, str]:
    """Versions that decide what a run computes."""
    names = (
        "nlptl",
        "torch",
        "transformers",
        "datasets",
        "accelerate",
        "peft",
        "evaluate",
        "tokenizers",
        "numpy",
        "scikit-learn",
    )
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}
