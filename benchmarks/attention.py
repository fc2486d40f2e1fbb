"""Attention on a CPU in bf16: nlptl's explicit products beside PyTorch's fused kernel, by length of text.

    python benchmarks/attention.py

Needs no data. Batches of about 4 096 tokens, 12 heads of width 32, as in the bundled checkpoint, the last two tokens of
each text masked; the two take turns, and the fastest of several rounds counts for each. Prints milliseconds; what
`nlptl/kernels/attention.py` calls short is read off this table.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from measuring import markdown
from records import surroundings, versions_and_dates
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from nlptl.kernels.attention import products

LENGTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
TOKENS, HEADS, WIDTH, ROUNDS, CALLS = 4096, 12, 32, 7, 5


class Layer(torch.nn.Module):
    """What the attention interface asks of a layer."""

    is_causal = False


def main() -> None:
    """Measure every length and print the table."""
    lines = []
    for length in LENGTHS:
        forward = compared(length, learning=False)
        both = compared(length, learning=True)
        lines.append([length, *(f"{1000 * seconds:.2f}" for seconds in (*forward, *both))])
    head = ["tokens", "forward, products", "forward, fused", "with backward, products", "with backward, fused"]
    print(markdown(head, lines))
    rows = [surroundings(("torch", "transformers"))]
    print(f"\nMilliseconds; machine: {rows[0]['machine']}; {'; '.join(versions_and_dates(rows))}.")


def compared(length: int, learning: bool) -> tuple[float, float]:
    """Seconds of nlptl's products and of the fused kernel, at any length."""
    rows = max(1, TOKENS // length)
    states = torch.randn(rows, length, 3, HEADS, WIDTH).bfloat16().requires_grad_(learning)
    mask = torch.ones(rows, 1, length, length, dtype=torch.bool)
    mask[..., -2:] = False
    layer = Layer().eval()

    def with_(function: Callable[..., torch.Tensor]) -> Callable[[], None]:
        def call() -> None:
            query, key, value = (states[:, :, i].transpose(1, 2) for i in range(3))
            out = function(layer, query, key, value, mask, dropout=0.0, scaling=None)
            if learning:
                out.sum().backward()

        return call

    with torch.set_grad_enabled(learning):
        return fastest([with_(products), with_(lambda *given, **named: sdpa_attention_forward(*given, **named)[0])])


def fastest(calls: list[Callable[[], None]]) -> tuple[float, float]:
    """Least seconds per call of each of two, which take turns."""
    best = [float("inf")] * 2
    for _ in range(ROUNDS):
        for place, call in enumerate(calls):
            call()
            begun = time.perf_counter()
            for _ in range(CALLS):
                call()
            best[place] = min(best[place], (time.perf_counter() - begun) / CALLS)
    return best[0], best[1]


if __name__ == "__main__":
    main()
