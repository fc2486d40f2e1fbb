"""One command for a CUDA machine: the Trainer's default bf16 step against nlptl's loop, within eight minutes.

    python benchmarks/gpu.py                 # writes benchmarks/results/gpu.json
    python benchmarks/gpu.py --tiny          # a tiny model on whatever is there, a CPU too: shows that it runs

Needs nothing but the installed packages: the model has BERT-base's shape and random weights, the texts are random ids
of realistic lengths. Everything runs in one process; what no longer fits into --budget is left out, and said so.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from limits import PASSES
from measuring import HERE, markdown, middle, spread, times
from records import Row, in_order, read, surroundings, versions_and_dates, write

PACKAGES = ("nlptl", "torch", "transformers", "accelerate", "peft")
MODES = ("full", "lora", "features")
PEER = "HF Trainer, bf16"
PACKED_ATTENTION = "packed attention, bf16 beside fp32"
TOLERANCE = 1e-3
ROUNDING = 0.02  # bfloat16 has 8 bits


def main() -> None:
    """Measure, write, and print the table."""
    arguments = parse()
    if arguments.table_only:
        print(table(read(arguments.output)))
        return
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # The Trainer would spread a batch over every GPU it sees; one is compared with one.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    import torch

    if not arguments.tiny and not torch.cuda.is_available():
        sys.exit("benchmarks/gpu.py needs an NVIDIA GPU, and torch sees none. With --tiny it runs on a CPU, as a test.")
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(arguments, Path(folder))
    write(arguments.output, rows)
    print(table(rows))
    if any(row["difference"] > row["allowed"] for row in rows if row["part"] == "check"):
        sys.exit("A numerical check failed: see the table.")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tiny", action="store_true", help="a tiny model and few rows, on a CPU if need be")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="default: 32 128 256")
    parser.add_argument("--steps", type=int, help="optimizer steps per measurement (default 60)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of every contender (default 2)")
    parser.add_argument("--budget", type=float, default=440, help="seconds after which nothing new is started")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--output", type=Path, help="default: gpu.json in benchmarks/results, or gpu-tiny.json")
    parser.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    arguments = parser.parse_args()
    arguments.output = arguments.output or HERE / "results" / f"gpu{'-tiny' * arguments.tiny}.json"
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}: this has not been run on a GPU yet")
    return arguments


def measure(arguments: argparse.Namespace, folder: Path) -> list[Row]:
    """Peak, checks, then the contenders in turn until the budget is spent."""
    import torch
    from limits import encoder_flops, matmul_rate
    from synthetic import BASE, TINY, attention_difference, differences, draw_rows, write_checkpoint

    begun = time.perf_counter()
    size = TINY if arguments.tiny else BASE
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint, texts = write_checkpoint(size, folder / "checkpoint"), draw_rows(size)
    where = {"tiny": arguments.tiny, **surroundings(PACKAGES)}
    square = (size.matmul, size.matmul, size.matmul)
    peak = matmul_rate(device, torch.bfloat16, square, 0.2 if arguments.tiny else 2.0)["median"]
    rows: list[Row] = [{"part": "peak", "gflops": peak, "side": size.matmul, **where}]
    for name, difference in differences(checkpoint, texts, device).items():
        rows.append({"part": "check", "contender": name, "difference": difference, "allowed": TOLERANCE, **where})
    rounded = attention_difference(texts, device)
    rows.append({"part": "check", "contender": PACKED_ATTENTION, "difference": rounded, "allowed": ROUNDING, **where})
    from transformers import AutoConfig

    lengths = texts.encoded.lengths
    per_token = encoder_flops(AutoConfig.from_pretrained(checkpoint), lengths) / float(lengths.sum())
    steps, sizes = arguments.steps or size.steps, arguments.batch_sizes or size.batch_sizes
    for turn in range(arguments.rounds):
        for mode in arguments.modes:
            for batch_size in sizes:
                # Compiling takes about as long as all the rest: one batch size must do.
                compiled = mode == "full" and batch_size == sizes[len(sizes) // 2] and not arguments.no_compile
                for name, way in cast(mode, texts, compiled, arguments.tiny).items():
                    case = {"part": "speed", "mode": mode, "batch_size": batch_size, "contender": name, "round": turn}
                    if time.perf_counter() - begun > arguments.budget:
                        rows.append({**case, "left_out": "out of time", **where})
                        continue
                    numbers = measured(partial(way, checkpoint, mode, texts, device, batch_size, steps), device)
                    used = PASSES[mode] * per_token * numbers["tokens_per_second"] / 1e9
                    rows.append({**case, **numbers, "share_of_peak": used / peak, **where})
                    print(f"{mode}, {batch_size}, {name}: {numbers['tokens_per_second']:.0f} tokens/s", flush=True)
    return rows


def cast(mode: str, texts: Any, compiled: bool, tiny: bool) -> dict[str, Any]:
    """Name -> how to measure.

    The kernel for packed attention knows no dropout, so packing is compared with padding where neither has any.
    """
    from gpu_ways import encoding, looping, trainer
    from synthetic import RandomOrder

    if mode == "features":
        packed = partial(encoding, packed=True)
        return {PEER: trainer, "nlptl, encoding once": encoding, "nlptl, encoding once, packed": packed}
    ways: dict[str, Any] = {
        PEER: trainer,
        "nlptl, random order": looping(RandomOrder(texts)),
        "nlptl, bucketed": looping(texts),
        "nlptl, bucketed, no dropout": looping(texts, dropout=0.0),
        "nlptl, packed, no dropout": looping(texts, dropout=0.0, packed=True),
    }
    if compiled:
        # A tiny run needs no C++ compiler: the graphs are traced, and run as they are.
        ways["nlptl, bucketed, torch.compile"] = looping(texts, "eager" if tiny else "inductor")
    return ways


def measured(work: Callable[[], dict[str, float]], device: Any) -> dict[str, float]:
    """A measurement from a clean state, with its peak of memory on the device."""
    import torch

    gc.collect()
    torch.compiler.reset()
    if device.type != "cuda":
        return work()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return {**work(), "peak_gb": torch.cuda.max_memory_allocated() / 2**30}


def table(rows: list[Row]) -> str:
    """Speed by mode and batch size, then peak and checks, as Markdown."""
    speed = [row for row in rows if row["part"] == "speed"]
    parts = ["**A tiny run: it only shows that the script works.**"] if any(row["tiny"] for row in rows) else []
    for mode in in_order(row["mode"] for row in speed):
        parts.append(f"### {mode}\n\n{speed_table([row for row in speed if row['mode'] == mode])}")
    checks = [
        [
            row["contender"],
            f"{row['difference']:.1e}",
            "equal" if row["difference"] <= row["allowed"] else "**DIFFERENT**",
        ]
        for row in rows
        if row["part"] == "check"
    ]
    parts.append(
        "### Equal to one padded batch, in fp32 unless said (relative)\n\n" + markdown(["", "difference", ""], checks)
    )
    left_out = in_order(f"{row['contender']} ({row['left_out']})" for row in speed if "left_out" in row)
    peak = next(row for row in rows if row["part"] == "peak")
    said = [
        f"bf16 matmul peak measured at side {peak['side']}: {peak['gflops'] / 1000:.2f} TFLOP/s",
        "share of peak counts multiply-adds of real tokens only",
        f"left out: {', '.join(left_out)}" if left_out else "",
        "machine: " + " / ".join(in_order(row["machine"] for row in rows)),
        *versions_and_dates(rows),
    ]
    return "\n\n".join([*parts, "; ".join(filter(None, said)) + "."])


def speed_table(rows: list[Row]) -> str:
    """Real tokens per second and their ratio to the Trainer's at the same batch size."""
    lines = []
    for batch_size in in_order(str(row["batch_size"]) for row in rows):
        these = [row for row in rows if str(row["batch_size"]) == batch_size and "left_out" not in row]
        peer = middle([row for row in these if row["contender"] == PEER], "tokens_per_second")
        for name in in_order(row["contender"] for row in these):
            of = [row for row in these if row["contender"] == name]
            lines.append(
                [
                    batch_size,
                    name,
                    spread(of, "tokens_per_second", 0),
                    times(middle(of, "tokens_per_second"), peer),
                    spread(of, "examples_per_second_whole", 0),
                    *(f"{100 * v:.1f} %" if v is not None else "-" for v in shares(of)),
                    spread(of, "step_ms"),
                    spread(of, "peak_gb", 2),
                ]
            )
    head = ["batch", "", "real tokens/s", "x Trainer", "examples/s, all steps", "of peak", "padding", "step, ms"]
    return markdown([*head, "peak memory, GiB"], lines)


def shares(rows: list[Row]) -> tuple[float | None, float | None]:
    """Of the measured peak, and of padding."""
    return middle(rows, "share_of_peak"), middle(rows, "padding_share")


if __name__ == "__main__":
    main()
