"""Stand-ins for what only an NVIDIA GPU has: recorded passes, and the kernel for texts of varying length."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch.nn.attention import varlen

from nlptl.kernels import cuda_graphs as recorded
from nlptl.kernels import packing

CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"))


def play_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeating a recording does the work again, into the tensors of the first time."""

    def capture(work, pool):
        first = work()

        def again():
            with torch.enable_grad():
                result = work()
            if first is not None:
                first.data.copy_(result.data)

        return first, again

    monkeypatch.setattr(recorded, "capture", capture)
    monkeypatch.setattr(recorded, "new_pool", object)
    monkeypatch.setattr(recorded, "aside", lambda device: nullcontext())


def play_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every device has the kernel, for what it serves."""
    monkeypatch.setattr(packing, "_kernel_serves", lambda device, dtype, width, dropout: dropout == 0.0)
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
