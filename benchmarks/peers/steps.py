"""Times of training steps, told the same way for the Trainer and for nlptl's loop."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

SKIP = 5


def now(device: torch.device) -> float:
    """Seconds, once the device has done all it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def steady(marks: list[float], rows: list[int], real: list[int], fed: list[int], skip: int = SKIP) -> dict[str, float]:
    """Rates over all steps but the first few, in which caches fill and allocators grow.

    Args:
        marks: (steps + 1,) times: the start of each step, and the end of the last.
        rows: (steps,) rows of each.
        real: (steps,) tokens of the texts.
        fed: (steps,) tokens computed, padding included.
        skip: steps left out, if there are more than twice as many.
    """
    first = skip if len(rows) > 2 * skip else 0
    seconds = marks[-1] - marks[first]
    return {
        "steps": len(rows),
        "examples_per_second": sum(rows[first:]) / seconds,
        "tokens_per_second": sum(real[first:]) / seconds,
        "padding_share": 1 - sum(real) / sum(fed),
        "whole_seconds": marks[-1] - marks[0],
        "examples_per_second_whole": sum(rows) / (marks[-1] - marks[0]),
        "step_ms": 1000 * float(np.median(np.diff(marks[first:]))),
    }


class StepTimes(TrainerCallback):
    """Notes when the Trainer's steps begin, and when the last ends."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.begun: list[float] = []
        self.ended = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begun.append(now(self.device))

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ended = now(self.device)

    @property
    def marks(self) -> list[float]:
        """As `steady` takes them."""
        return [*self.begun, self.ended]


class Counted:
    """A collator that counts rows and tokens of what it collates."""

    def __init__(self, collate: Any) -> None:
        self._collate = collate
        self.rows: list[int] = []
        self.real: list[int] = []
        self.fed: list[int] = []

    def __call__(self, examples: list[dict[str, Any]]) -> Any:
        batch = self._collate(examples)
        self.rows.append(len(examples))
        self.real.append(int(batch["attention_mask"].sum()))
        self.fed.append(batch["attention_mask"].numel())
        return batch
