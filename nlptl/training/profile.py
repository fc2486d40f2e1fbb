"""What a machine can do and what a training used of it: memory, tokens a second, share of the matrix-multiply peak."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch

from nlptl.training.runtime import Runtime

# Rows, inner and outer width of the products that are timed: those of a small and of a large encoder's feed-forward.
SHAPES = ((1024, 384, 1536), (4096, 768, 3072))
SECONDS = 0.3
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def peak_memory(device: torch.device) -> int:
    """Most bytes this process has held: on the GPU where one is used, else in main memory."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(kilobytes if sys.platform == "darwin" else kilobytes * 1024)


def matmul_peak(runtime: Runtime) -> float:
    """Floating-point operations a second of this device's matrix product, in the run's precision; takes a second."""
    dtype = _DTYPES[runtime.precision]
    return max(_speed(runtime.device, dtype, *shape) for shape in SHAPES)


def encoder_flops(encoder: Any, tokens: int, training: bool) -> float:
    """Operations of an encoder on real tokens: 2 per weight of its linear layers and token, three times that to train.

    Attention's own products are left out; for texts of a few dozen tokens they are about a hundredth.
    """
    weights = sum(m.weight.numel() for m in encoder.modules() if isinstance(m, torch.nn.Linear))
    return 2.0 * weights * tokens * (3 if training else 1)


def _speed(device: torch.device, dtype: torch.dtype, rows: int, inner: int, outer: int) -> float:
    left, right = (torch.randn(shape, device=device).to(dtype) for shape in ((rows, inner), (inner, outer)))
    best, until = 0.0, time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        start = time.perf_counter()
        for _ in range(10):
            left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 20.0 * rows * inner * outer / (time.perf_counter() - start))
    return best
