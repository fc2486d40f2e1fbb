"""The precision that a device computes fast in."""

from __future__ import annotations

import os

import torch

from nlptl.errors import ConfigError, unknown

PRECISIONS = ("bf16", "fp16", "fp32")


def choose_precision(wanted: str, on_cpu: bool) -> str:
    """bf16, fp16 or fp32.

    Args:
        wanted: one of those, or auto: the accelerate launcher's choice if it made one, else the first of bf16, fp16
            and fp32 that the hardware multiplies in.
        on_cpu: no accelerator is used.

    Raises:
        ConfigError: fp16 was asked for on a CPU, or something that is no precision.
    """
    if wanted not in ("auto", *PRECISIONS):
        raise ConfigError(unknown("precision", wanted, ("auto", *PRECISIONS)))
    if wanted == "fp16" and on_cpu:
        raise ConfigError("runtime.precision fp16 needs a GPU. On this machine use bf16, fp32 or auto.")
    if wanted != "auto":
        return wanted
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if launched in ("bf16", "fp16"):
        return choose_precision(launched, on_cpu)
    return next(precision for precision in PRECISIONS if computes_in(precision, on_cpu))


def computes_in(precision: str, on_cpu: bool) -> bool:
    """Whether the hardware multiplies in this precision, rather than by way of another one.

    Args:
        precision: bf16, fp16 or fp32.
        on_cpu: no accelerator is used.
    """
    if precision == "fp32":
        return True
    if on_cpu:
        abilities = torch.cpu.get_capabilities() if precision == "bf16" else {}
        return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return torch.cuda.is_available() and (
        precision == "fp16" or torch.cuda.is_bf16_supported(including_emulation=False)
    )
