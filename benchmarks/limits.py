"""What the machine can do and what the work needs: matrix-multiply rates, and multiply-adds of an encoder on texts.

cd benchmarks && python -m limits --data DIR --checkpoint DIR
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # tables need only the constants below, at once
    import torch

# A step costs the forward pass once more for the gradients of activations, and once more for those of weights.
PASSES = {"full": 3, "lora": 2, "features": 1}


def encoder_flops(config: Any, lengths: np.ndarray) -> float:
    """Floating-point operations of one forward pass of a BERT-shaped encoder over real tokens; two per multiply-add.

    Args:
        config: transformers configuration with hidden_size, intermediate_size, num_hidden_layers.
        lengths: (rows,) tokens per row; attention grows with their squares.
    """
    hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    tokens, squares = float(lengths.sum()), float((lengths.astype(np.float64) ** 2).sum())
    return 2.0 * layers * ((4 * hidden * hidden + 2 * hidden * inner) * tokens + 2 * hidden * squares)


def matmul_rate(
    device: torch.device, dtype: torch.dtype, shape: tuple[int, int, int], seconds: float = 1.0
) -> dict[str, float]:
    """GFLOP/s of (m, k) @ (k, n): median and best over repetitions for about so many seconds."""
    import torch

    rows, inner, columns = shape
    left = torch.randn(rows, inner, device=device).to(dtype)
    right = torch.randn(columns, inner, device=device).to(dtype).T
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(3):
            left @ right
        end = _now(device) + seconds
        while not times or _now(device) < end:
            begun = _now(device)
            left @ right
            times.append(_now(device) - begun)
    work = 2e-9 * rows * inner * columns
    return {"median": work / float(np.median(times)), "best": work / min(times)}


def padding(lengths: np.ndarray, steps: list[np.ndarray]) -> float:
    """Tokens fed for each real one, every step padded to its longest row."""
    return sum(len(rows) * int(lengths[rows].max()) for rows in steps) / int(lengths.sum())


def main() -> None:
    """Measure this machine at the checkpoint's shapes, and count the work of an epoch."""
    import torch
    from peers.texts import parser, read, say, threads
    from transformers import AutoConfig, AutoTokenizer

    from nlptl.data.tokens.batching import plan_epoch

    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=1.0, help="per shape and precision")
    arguments = made.parse_args()
    torch.set_num_threads(threads())
    config = AutoConfig.from_pretrained(arguments.checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(arguments.checkpoint)
    texts, _ = read(arguments.data, "train")
    coded = tokenizer(texts, truncation=True, max_length=arguments.max_length)["input_ids"]
    lengths = np.array([len(ids) for ids in coded])
    tokens = int(arguments.batch_size * lengths.mean())
    hidden, inner = config.hidden_size, config.intermediate_size
    shapes = [(tokens, hidden, hidden), (tokens, hidden, inner), (tokens, inner, hidden)]
    cpu = torch.device("cpu")
    rates = {
        name: {
            "x".join(map(str, shape)): round(matmul_rate(cpu, dtype, shape, arguments.seconds)["median"], 1)
            for shape in shapes
        }
        for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32))
    }
    shuffled = np.random.default_rng(arguments.seed).permutation(len(lengths))
    random_steps = np.array_split(shuffled, range(arguments.batch_size, len(lengths), arguments.batch_size))
    forward = encoder_flops(config, lengths) / 1e9
    say(
        rates=rates,
        peak_gflops=max(rates["bf16"].values()),
        rows=len(lengths),
        tokens=int(lengths.sum()),
        forward_gflop=round(forward),
        epoch_gflop=round(PASSES["full"] * forward),
        forward_gflop_per_row=forward / len(lengths),
        fed_random=padding(lengths, random_steps),
        fed_planned=padding(lengths, plan_epoch(lengths, arguments.batch_size, arguments.seed, 0)),
    )


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
    return time.perf_counter()


if __name__ == "__main__":
    main()
