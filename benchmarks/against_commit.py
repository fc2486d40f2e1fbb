"""The training speed of this checkout against another one's, such as the commit before, in turns.

    git worktree add ../before COMMIT
    python benchmarks/against_commit.py ../before --data DATA/sst2/train.csv

Each measurement is a process of its own that trains on the same rows for one epoch, and gives training rows per second
as `metrics.json` has them: over the optimizer steps for `full` and `lora`, over encoding and head for
`feature_extraction` (with an empty cache), and the seconds of the whole process, imports included. The checkouts take
turns, so that a machine whose speed drifts slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
MODES = ("full", "lora", "feature_extraction")
TRAIN = """
import json, sys
import pandas as pd
import nlptl
data, mode, rows, folder = sys.argv[1:]
frame = pd.read_csv(data).head(int(rows))
settings = {"runtime.progress": False}
if mode != "feature_extraction":
    settings["training.epochs"] = 1
    settings["model.head_start"] = "random"
run = nlptl.train("sentiment", data=frame, mode=mode, output=folder + "/run", settings=settings)
print("RATE", run.metrics["time"]["train_examples_per_second"])
"""


def rate(root: Path, data: Path, mode: str, rows: int) -> tuple[float, float]:
    """Training rows per second, and seconds of the whole process, of one checkout."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(root), "NLPTL_CACHE": f"{folder}/cache"}
        command = [sys.executable, "-W", "ignore", "-c", TRAIN, str(data), mode, str(rows), folder]
        began = time.monotonic()
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
        seconds = time.monotonic() - began
    line = next(line for line in done.stdout.splitlines() if line.startswith("RATE"))
    return float(line.split()[1]), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="The other checkout.")
    parser.add_argument("--data", type=Path, required=True, help="A CSV with text and label (negative, positive).")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--output", type=Path, help="Also write the numbers as JSON.")
    given = parser.parse_args()
    found = {}
    for mode in given.modes:
        pairs = []
        for turn in range(given.rounds):
            order = (HERE, given.before.resolve()) if turn % 2 == 0 else (given.before.resolve(), HERE)
            measured = {root: rate(root, given.data.resolve(), mode, given.rows) for root in order}
            pairs.append((measured[HERE], measured[given.before.resolve()]))
        speed = [new[0] / old[0] for new, old in pairs]
        whole = [new[1] / old[1] for new, old in pairs]
        found[mode] = {"pairs": pairs, "speed_ratio": statistics.median(speed)}
        print(
            f"{mode}: speed of this checkout / of the other: median {statistics.median(speed):.3f} "
            f"({min(speed):.3f} to {max(speed):.3f}); seconds of the whole process: {statistics.median(whole):.3f}; "
            f"{statistics.median(new[0] for new, _ in pairs):.0f} rows/s here",
            flush=True,
        )
    if given.output is not None:
        given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
