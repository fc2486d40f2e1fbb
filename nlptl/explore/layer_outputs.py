"""The outputs of each layer of an encoder, pooled, and the similarity of the layers of two encoders.

Shapes: B texts, L tokens, H hidden, S layer outputs (the embeddings and every layer).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlptl.kernels.inputs import Inputs
from nlptl.models.classifier import mean_states

POOLINGS = ("mean", "cls")


def layer_count(encoder: Any) -> int:
    """The number of layer outputs, S: the embeddings and every layer.

    Args:
        encoder: a transformers PreTrainedModel.
    """
    return int(encoder.config.num_hidden_layers) + 1


def layer_outputs(encoder: Any) -> Callable[[Inputs], Tensor]:
    """A function from inputs (B, L) to (B, S * 2 * H): the mean and the first token of each layer, in one pass."""

    def pooled(inputs: Inputs) -> Tensor:
        states = encoder(**inputs, output_hidden_states=True).hidden_states
        mask = inputs["attention_mask"]
        parts = [vector for layer in states for vector in (mean_states(layer, mask), layer[:, 0].float())]
        return torch.cat(parts, 1)

    return pooled


def split_layers(outputs: np.ndarray, layers: int) -> dict[tuple[int, str], np.ndarray]:
    """Split (texts, S * 2 * H) into (layer, pooling) -> (texts, H), where layer 0 is the embeddings."""
    by_layer = outputs.reshape(len(outputs), layers, len(POOLINGS), -1)
    return {(layer, pooling): by_layer[:, layer, i] for layer in range(layers) for i, pooling in enumerate(POOLINGS)}


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Linear centred kernel alignment (Kornblith et al. 2019): 1 for features that differ by rotation and scale only.

    CKA = |Y'X|^2 / (|X'X| |Y'Y|), Frobenius norms, columns centred.

    Args:
        first: X (texts, H1), features of the same texts in the same order.
        second: Y (texts, H2).

    Returns:
        Between 0 and 1; NaN where one of them is the same for all texts.
    """
    x, y = (features.astype(np.float64) - features.mean(0, dtype=np.float64) for features in (first, second))
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / scale) if scale > 0 else float("nan")
