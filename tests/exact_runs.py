"""Trainings that must come out bit for bit the same, and what is compared of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

EXACT = {
    "training.epochs": 3,
    "training.batch_size": 16,
    "training.micro_batch_size": 5,
    "training.learning_rate": 3e-3,
    "training.save_every": 2,
    "model.dropout": 0.1,
    "runtime.precision": "fp32",
    "runtime.deterministic": True,
    "runtime.progress": False,
    "runtime.timeout_seconds": 60,
}
ALL_ROUNDING = ("key.bias", "k_lin.bias")
"""Endings of parameters whose gradient is rounding alone, since softmax does not see them; Adam steps all the same."""
STEPS = 15
"""Three epochs of 67 rows in batches of 16."""


def command(data: Path, checkpoint: str, output: Path, **settings: Any) -> list[str]:
    """Arguments of `nlptl`."""
    chosen = [part for key, value in {**EXACT, **settings}.items() for part in ("--set", f"{key}={value}")]
    return ["train", "sentiment", "--data", str(data), "--checkpoint", checkpoint, "--output", str(output), *chosen]


def outcome(output: Path) -> dict[str, Any]:
    """Losses and metrics of a finished run."""
    metrics = json.loads((output / "metrics.json").read_text())
    return {key: metrics[key] for key in ("test", "validation")} | {
        key: metrics["training"][key] for key in ("losses", "epochs", "best_epoch", "steps")
    }


def assert_identical(found: Path, expected: Path) -> None:
    """Fail where losses, metrics or a bit of the weights differ."""
    assert outcome(found) == outcome(expected)
    files = sorted(path.relative_to(expected) for path in (expected / "model").rglob("*.safetensors"))
    assert files
    for file in files:
        ours, theirs = load_file(found / file), load_file(expected / file)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], tensor) for name, tensor in theirs.items()), file
