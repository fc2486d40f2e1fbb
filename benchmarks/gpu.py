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
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from limits import PASSES
from measuring import HERE, markdown, middle, spread, times
from records import Row, in_order, read, surroundings, versions_and_dates, write

PACKAGES = ("nlptl", "torch", "transformers", "accelerate", "peft")
MODES = ("full", "lora", "features")
PEER = "HF Trainer, bf16"
OURS = "nlptl, as it comes"
COMPILED = "nlptl, runtime.compile"
Case = tuple[str, str, int, str, Callable[..., dict[str, float]]]
"""Mode, texts, batch size, contender, and how it is measured."""
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
        rows: list[Row] = []
        for row in measure(arguments, Path(folder)):
            rows.append(row)
            write(arguments.output, rows)
    print(table(rows))
    if any(row["difference"] > row["allowed"] for row in rows if row["part"] == "check"):
        sys.exit("A numerical check failed: see the table.")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tiny", action="store_true", help="a tiny model and few rows, on a CPU if need be")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="default: 32 128 1024")
    parser.add_argument("--steps", type=int, help="optimizer steps per measurement (default 100; the Trainer a third)")
    parser.add_argument("--rounds", type=int, default=1, help="turns of every contender (default 1)")
    parser.add_argument("--budget", type=float, default=440, help="seconds after which nothing new is started")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    parser.add_argument("--output", type=Path, help="default: gpu.json in benchmarks/results, or gpu-tiny.json")
    parser.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    arguments = parser.parse_args()
    arguments.output = arguments.output or HERE / "results" / f"gpu{'-tiny' * arguments.tiny}.json"
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}: this has not been run on a GPU yet")
    return arguments


def measure(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Peak, checks, then the contenders in turn until the budget is spent."""
    import torch
    from limits import encoder_flops, matmul_rate
    from synthetic import BASE, LENGTHS, TINY, attention_difference, differences, draw_rows, write_checkpoint
    from transformers import AutoConfig

    begun = time.perf_counter()
    size = TINY if arguments.tiny else BASE
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint, drawn = write_checkpoint(size, folder / "checkpoint"), {name: draw_rows(size, name) for name in LENGTHS}
    where = {"tiny": arguments.tiny, **surroundings(PACKAGES)}
    square = (size.matmul, size.matmul, size.matmul)
    peak = matmul_rate(device, torch.bfloat16, square, 0.2 if arguments.tiny else 2.0)["median"]
    yield {"part": "peak", "gflops": peak, "side": size.matmul, **where}
    for name, difference in differences(checkpoint, drawn["messages"], device).items():
        yield {"part": "check", "contender": name, "difference": difference, "allowed": TOLERANCE, **where}
    rounded = attention_difference(drawn["messages"], device)
    yield {"part": "check", "contender": PACKED_ATTENTION, "difference": rounded, "allowed": ROUNDING, **where}
    config, steps = AutoConfig.from_pretrained(checkpoint), arguments.steps or size.steps
    cases = cast(arguments.modes, arguments.batch_sizes or size.batch_sizes, arguments.compile, arguments.tiny)
    for turn in range(arguments.rounds):
        for mode, texts, batch_size, name, way in cases:
            case = {"part": "speed", "mode": mode, "texts": texts, "batch_size": batch_size, "contender": name}
            case |= {"round": turn, **where}
            if time.perf_counter() - begun > arguments.budget:
                yield {**case, "left_out": "out of time"}
                continue
            rows = drawn[texts]
            try:
                numbers = measured(partial(way, checkpoint, mode, rows, device, batch_size, steps), device)
            except torch.OutOfMemoryError:
                yield {**case, "left_out": "out of memory"}
                continue
            lengths = rows.encoded.lengths
            work = PASSES[mode] * encoder_flops(config, lengths) / float(lengths.sum()) * numbers["tokens_per_second"]
            yield {**case, **numbers, "share_of_peak": work / 1e9 / peak}
            print(f"{mode}, {texts}, {batch_size}, {name}: {numbers['tokens_per_second']:.0f} tokens/s", flush=True)


def cast(modes: list[str], sizes: Sequence[int], compiles: bool, tiny: bool) -> list[Case]:
    """What is measured, in this order; all ways only in full fine-tuning at the middle batch size.

    The kernel for packed attention knows no dropout, so packing is compared with padding where neither has any.
    """
    from gpu_ways import encoding, looping, trainer

    middle, largest = sizes[len(sizes) // 2], sizes[-1]
    ours, peer = looping(graphs=True), partial(trainer)
    # A tiny run needs no C++ compiler: the graphs are traced, and run as they are.
    compiled = looping("eager" if tiny else "inductor", graphs=True)
    cases: list[Case] = []
    if "full" in modes:
        for size in sizes:
            cases += [("full", "messages", size, PEER, peer), ("full", "messages", size, OURS, ours)]
        cases += [
            ("full", "messages", size, COMPILED, compiled) for size in dict.fromkeys((middle, largest)) if compiles
        ]
        cases += [("full", "reviews", middle, PEER, peer), ("full", "reviews", middle, OURS, ours)]
        cases += [("full", "reviews", largest // 2, OURS, ours)]
        cases += [("full", "reviews", largest // 2, COMPILED, compiled)] if compiles else []
        others = {
            f"{PEER}, grouped by length": partial(trainer, grouped=True),
            "nlptl, packed, not recorded": looping(packed=True, shuffled=True),
            "nlptl, bucketed": looping(),
            "nlptl, bucketed, dropout 0.1": looping(dropout=0.1),
            "nlptl, padded in random order": looping(shuffled=True),
        }
        cases += [("full", "messages", middle, name, way) for name, way in others.items()]
    if "lora" in modes:
        for size in sizes:
            cases += [("lora", "messages", size, PEER, peer), ("lora", "messages", size, OURS, ours)]
    if "features" in modes:  # what is computed once does not depend on the batch size of a training
        ways = {PEER: peer, OURS: partial(encoding, packed=True), "nlptl, padded": partial(encoding, packed=False)}
        cases += [("features", "messages", middle, name, way) for name, way in ways.items()]
    return cases


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
    for title in in_order(f"{row['mode']}, {row['texts']}" for row in speed):
        of = [row for row in speed if f"{row['mode']}, {row['texts']}" == title]
        parts.append(f"### {title}\n\n{speed_table(of)}")
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
    left_out = in_order(
        f"{row['contender']}, {row['mode']}, batches of {row['batch_size']} {row['texts']} ({row['left_out']})"
        for row in speed
        if "left_out" in row
    )
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
