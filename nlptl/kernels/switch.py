"""The one entrance to this room: what replaces a library's computation is put in place here, or not at all.

Nothing is replaced for the whole process. A model that `enable` was not called for, or was called for with `OFF`, is
as PyTorch, transformers and PEFT made it; the attention functions of this room are only known to transformers under
names of their own (`AttentionInterface.register`), which other models do not use.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch

from nlptl.kernels import adapters, attention, bf16, cuda_graphs, embeddings
from nlptl.kernels.settings import KernelSettings

M = TypeVar("M", bound=Any)


def enable(model: Any, settings: KernelSettings) -> None:
    """Let a model use the faster computations that the settings name, for as long as it lives.

    It is called for a model that has just been built, and again after adapters were added to it: what is in place
    already stays as it is. What lasts for one training or one series of passes is noted on the model (`model.kernels`)
    for `during_training` and `during_passes`.

    Args:
        model: an `nlptl.models.encoder.EncoderModel` with a transformers model inside.
        settings: which of them; `OFF` changes nothing.

    Raises:
        ConfigError: packing is asked for, and the architecture cannot be packed.
    """
    model.kernels = settings
    if settings.attention:
        attention.use_for(_transformer(model))
    if settings.bf16_activations:
        bf16.use_for(_transformer(model))
    if settings.fused_adapters:
        adapters.fuse_adapters(model)
    if settings.packing and not model.packs:
        model.pack()


@contextmanager
def during_training(
    model: Any, dtype: torch.dtype | None, tokens: np.ndarray | None, alone: bool = True
) -> Iterator[None]:
    """What a model that is trained uses while this lasts; afterwards it is as before, but for what it learned.

    Args:
        model: that `enable` was called for; its parameters are frozen and free as they will stay, and are not sharded.
        dtype: what autocast computes in; None: nothing is cast.
        tokens: (U,) sorted ids of all tokens that training can meet; None: not known.
        alone: whether one process trains. Several exchange gradients where autograd accumulates them, which the
            gradients of CUDA graphs do not pass.
    """
    used: KernelSettings = model.kernels
    with ExitStack() as stack:
        if used.used_words:
            stack.enter_context(embeddings.only_used_words(model.encoder, tokens))
        if used.rounded_weights:
            stack.enter_context(bf16.linear_weights_in(dtype, model, frozen_alone=True))
        if used.cuda_graphs and alone:
            stack.enter_context(cuda_graphs.captured_passes(model))
        yield


@contextmanager
def during_passes(model: Any, dtype: torch.dtype | None) -> Iterator[None]:
    """What a model uses for a series of forward passes in which nothing learns.

    Args:
        model: that `enable` was called for; its parameters are not sharded.
        dtype: what autocast computes in; None: nothing is cast.
    """
    with bf16.linear_weights_in(dtype, model) if model.kernels.rounded_weights else nullcontext():
        yield


def for_prediction(model: M, dtype: torch.dtype | None) -> M:
    """The model to predict with from now on, from any number of threads; `model` keeps its exact weights.

    Args:
        model: that `enable` was called for, on its device.
        dtype: what autocast computes in; None: nothing is cast.
    """
    return bf16.rounded_copy(dtype, model) if dtype is not None and model.kernels.rounded_weights else model


def _transformer(model: Any) -> Any:
    """The outermost transformers model inside, or what stands for it: both say which module is their base."""
    return next(module for module in model.modules() if hasattr(module, "base_model"))
