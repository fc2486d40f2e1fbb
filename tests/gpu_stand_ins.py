"""Stand-ins for what only an NVIDIA GPU has: CUDA graphs, and the attention kernel for texts of varying length."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch.nn.attention import varlen

from nlptl.kernels import cuda_graphs, packing

CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"))


def emulate_cuda_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaying a graph does the work again, into the tensors of the first time."""

    def capture(work, pool):
        first = work()

        def replay():
            with torch.enable_grad():
                result = work()
            if first is not None:
                first.data.copy_(result.data)

        return first, replay

    monkeypatch.setattr(cuda_graphs, "capture", capture)
    monkeypatch.setattr(cuda_graphs, "new_memory_pool", object)
    monkeypatch.setattr(cuda_graphs, "side_stream", lambda device: nullcontext())


def emulate_varlen_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every device has the kernel, for what it serves."""
    monkeypatch.setattr(packing, "_varlen_serves", lambda device, dtype, width, dropout: dropout == 0.0)
    monkeypatch.setattr(varlen, "varlen_attn", text_by_text)


def text_by_text(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None):
    """What torch says of `varlen_attn`, written out: tokens are (T, heads, width), texts lie between offsets."""
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert max_q == max_k >= int(cu_seq_q.diff().max())
    parts = []
    for a, b in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
        q, k, v = (t[a:b].transpose(0, 1).double() for t in (query, key, value))
        shares = (q @ k.transpose(1, 2) * (query.shape[-1] ** -0.5 if scale is None else scale)).softmax(-1)
        parts.append((shares @ v).transpose(0, 1))
    return torch.cat(parts).to(query.dtype)
