"""Faster computations in place of those of PyTorch, transformers and PEFT, with the same results up to rounding.

Whoever builds a model for a run calls `enable`; `runtime.kernels=off` leaves everything as the libraries have it.
"""

from nlptl.kernels.settings import OFF, KernelSettings
from nlptl.kernels.switch import during_passes, during_training, enable, for_prediction

__all__ = ["OFF", "KernelSettings", "during_passes", "during_training", "enable", "for_prediction"]
