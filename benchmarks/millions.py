"""Time and memory of `feature_extraction` on 20 000, 200 000 and 2 000 000 short texts, with a tiny encoder.

    python benchmarks/millions.py
    python benchmarks/millions.py --sizes 2000 20000          # shows that it runs
    python benchmarks/millions.py --table-only --page docs/speed.md

The encoder has BERT's form with 2 layers of width 32 and random weights: it computes next to nothing, so that what is
measured is reading, checking, tokenising, keeping and fitting. Needs no data: texts of 5 to 13 words are drawn from the
bundled sample, with labels that their first word gives away. Each job is a process of its own with an empty cache.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from measuring import Contender, alternate, disturbance, markdown, middle, parsed, parser_of, spread, told
from records import Row, in_order, versions_and_dates
from scale import write_texts

SIZES = (20_000, 200_000, 2_000_000)
HELD_OUT = 1_000
MARKER = "millions"
START = "start-up alone"
JOB = (
    "import sys, nlptl\n"
    "nlptl.train('chatbot-intent', data=sys.argv[1], mode='feature_extraction', checkpoint=sys.argv[2],\n"
    "            output=sys.argv[3], settings={'runtime.progress': False, 'model.max_length': 64})"
)


def main() -> None:
    """Measure what is missing, then print the table."""
    made = parser_of(__doc__, "millions", 1)
    made.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="training rows")
    arguments = parsed(made)
    told(arguments, MARKER, lambda folder, rows: measure(arguments, folder, rows), table)


def measure(arguments: argparse.Namespace, folder: Path, rows: list[Row]) -> int:
    """A job for each size, and one of next to no rows; how many failed."""
    checkpoint, failed = write_checkpoint(folder / "tiny"), 0
    for size in (HELD_OUT, *arguments.sizes):
        data = folder / f"{size}"
        data.mkdir()
        for split, count in (("train", size), ("validation", HELD_OUT), ("test", HELD_OUT)):
            write_texts(data / f"{split}.csv", count, seed=f"{size}, {split}")
        name = START if size == HELD_OUT else f"{size}"
        command, cache = ["-c", JOB, str(data), str(checkpoint), str(data / "run")], {"NLPTL_CACHE": f"{data}/cache"}
        cast = [Contender(name, command, cache)]
        failed += alternate(
            lambda _, cast=cast: cast, arguments.rounds, rows, arguments.output, {"rows": size}, 3600,
            arguments.idle_wait,
        )  # fmt: skip
        shutil.rmtree(data)
    return failed


def write_checkpoint(folder: Path) -> Path:
    """A tiny encoder with random weights and the bundled checkpoint's tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    from nlptl.checkpoints import resolve_checkpoint

    torch.manual_seed(0)
    config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(resolve_checkpoint("minilm").path).save_pretrained(folder)
    return folder


def table(rows: list[Row]) -> str:
    """Seconds and peak memory by rows; beyond start-up, the time for a row against that of the fewest rows."""
    if not rows:
        return "Not measured yet."
    base = middle([row for row in rows if row["contender"] == START], "process_seconds") or 0.0
    lines, first = [], None
    for size in sorted({row["rows"] for row in rows if row["contender"] != START}):
        of = [row for row in rows if row["rows"] == size]
        each = ((middle(of, "process_seconds") or 0.0) - base) / size
        first = first or each
        microseconds = f"{1e6 * each:.0f} µs, {100 * (each / first - 1):+.0f} %"
        lines.append(
            [f"{size:,}".replace(",", " "), spread(of, "process_seconds"), microseconds, spread(of, "peak_mb", 0)]
        )
    said = [
        f"Whole processes; start-up alone (a job of {HELD_OUT} rows) takes {base:.1f} s",
        "machine: " + " / ".join(in_order(row["machine"] for row in rows)),
        disturbance(rows),
        *versions_and_dates(rows),
    ]
    head = ["rows", "seconds", "a row beyond start-up, against the fewest rows", "peak memory, MB"]
    return f"{markdown(head, lines)}\n\n{'; '.join(said)}."


if __name__ == "__main__":
    main()
