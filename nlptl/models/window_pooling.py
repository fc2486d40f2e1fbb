"""From the windows of a long text to one answer: pooled features, and the logits that belong to them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

TRAINED_ONLY = ("attention", "max_logits")
"""Ways that need an encoder that learns: a linear probe on frozen features has nothing to learn them by."""


class WindowPooling(nn.Module):
    """Pools over the windows of each text. Shapes: W windows of B texts, H hidden, C classes.

    Args:
        way: `mean` or `max` of the features; `attention`: their mean, weighed by softmax(f . q) with a learned q that
            starts at zero, as the mean (attention-based multiple-instance pooling, Ilse et al. 2018, with a linear
            score); `max_logits`: for each label the largest logit of any window.
        hidden: H.
    """

    def __init__(self, way: str, hidden: int) -> None:
        super().__init__()
        self.way = way
        self.query = nn.Parameter(torch.zeros(hidden)) if way == "attention" else None

    def features(self, features: Tensor, bounds: Tensor) -> Tensor:
        """One vector for each text: (B, H) float32.

        Args:
            features: (W, H) of all windows, text by text.
            bounds: (B + 1,) int64, text i is windows `bounds[i]` to `bounds[i + 1]`.
        """
        features, counts = features.float(), bounds.diff()
        text = torch.repeat_interleave(torch.arange(len(counts), device=features.device), counts)
        if self.way == "max":
            return _largest(features, text, len(counts))
        weights = (1 / counts)[text]
        if self.query is not None:
            scores = features @ self.query.float()
            # The largest score of each text is taken off first, so that no exponential overflows.
            scores = (scores - _largest(scores.detach()[:, None], text, len(counts))[text, 0]).exp()
            weights = scores / scores.new_zeros(len(counts)).index_add(0, text, scores)[text]
        return features.new_zeros(len(counts), features.shape[1]).index_add(0, text, features * weights[:, None])

    def outputs(
        self, features: Tensor, logits: Tensor, bounds: Tensor, head: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Features (B, H) and logits (B, C) of each text.

        Args:
            features, bounds: as `features`.
            logits: (W, C) of all windows.
            head: (B, H) to (B, C), linear.
        """
        pooled = self.features(features, bounds)
        if self.way != "max_logits":
            return pooled, head(pooled)
        text = torch.repeat_interleave(torch.arange(len(pooled), device=logits.device), bounds.diff())
        return pooled, _largest(logits.float(), text, len(pooled))


def _largest(values: Tensor, text: Tensor, texts: int) -> Tensor:
    """(B, K) the largest of the values (W, K) of each text."""
    index = text[:, None].expand_as(values)
    return values.new_full((texts, values.shape[1]), -torch.inf).scatter_reduce(0, index, values, "amax")
