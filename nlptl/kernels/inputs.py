"""What models are given: one batch of token ids and what belongs to it."""

from __future__ import annotations

from torch import Tensor

Inputs = dict[str, Tensor]
"""Of padded batches `input_ids`, `attention_mask` and, where the architecture has them, `token_type_ids`, each (B, L)
int64; of packed batches what `nlptl.data.tokens.encoding.collate` says."""
