"""What is survived: kills, damaged states, signals, a full disk, bad inputs; and what saving costs. Prints a table.

    python benchmarks/reliability.py                  # everything; stops starting new kills after --minutes
    python benchmarks/reliability.py --kills 6 --only kills damage

A tiny BERT with random weights learns from the first rows of a bundled sample, saving after every step. A kill is a
SIGKILL to all processes of a run at a random moment; the run is then resumed to its end and compared, bit for bit
(weights, losses, metrics), with one that was never stopped. Each run computes its features anew, in a cache of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODES = ("full", "lora", "feature_extraction")
PLANS = [(mode, count) for count in (1, 2) for mode in MODES]
SETTINGS = {
    "training.epochs": 3,
    "training.batch_size": 16,
    "training.micro_batch_size": 5,
    "training.learning_rate": 3e-3,
    "training.save_every": 1,
    "model.dropout": 0.1,
    "runtime.precision": "fp32",
    "runtime.deterministic": True,
    "runtime.progress": False,
    "runtime.timeout_seconds": 60,
}
LAUNCHER = ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--main_process_port", "0"]
Row = dict[str, Any]


def main() -> None:
    """Measure what was asked for and write it down."""
    arguments = parse()
    random.seed(arguments.seed)
    deadline = time.monotonic() + 60 * arguments.minutes
    results: Row = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        prepare(work)
        parts: dict[str, Callable[[], Row]] = {
            "damage": lambda: damage(work),
            "disk": lambda: full_disk(work),
            "inputs": lambda: bad_inputs(work),
            "signals": lambda: signals(work),
            "cost": lambda: cost(work),
            "kills": lambda: kills(work, arguments.kills, deadline),
        }
        for part, measure in parts.items():
            if part in arguments.only:
                results[part] = measure()
                print(f"{part}: {results[part]}", flush=True)
                arguments.output.parent.mkdir(exist_ok=True)
                arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    print(table(results))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    everything = ["damage", "disk", "inputs", "signals", "cost", "kills"]
    parser.add_argument("--only", nargs="+", choices=everything, default=everything)
    parser.add_argument("--kills", type=int, default=30, help="random kill points, dealt out over modes and processes")
    parser.add_argument("--minutes", type=float, default=12.0, help="no further kill is tried after this long")
    parser.add_argument("--seed", type=int, default=0, help="of the kill points")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "reliability.json")
    return parser.parse_args()


def prepare(work: Path) -> None:
    """A tiny checkpoint and a small sample."""
    import pandas as pd
    import torch
    import transformers as tf

    (work / "data").mkdir()
    for split, rows in (("train", 67), ("validation", 21), ("test", 31)):
        frame = pd.read_csv(ROOT / "tasks" / "sentiment" / "sample" / f"{split}.csv")
        each = [part.head(-(-rows // 2)) for _, part in frame.groupby("label")]
        pd.concat(each).head(rows).to_csv(work / "data" / f"{split}.csv", index=False)
    words = {w for text in pd.read_csv(work / "data" / "train.csv")["text"] for w in text.lower().split()}
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    pieces += sorted(words - set(pieces))
    folder = work / "tiny"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(pieces))
    tokenizer = tf.BertTokenizerFast.from_pretrained(folder, model_max_length=64)
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(7)
    config = tf.BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.2, **sizes)
    tf.AutoModel.from_config(config).save_pretrained(folder)


def begin(work: Path, output: Path, mode: str, count: int, settings: Row | None = None) -> subprocess.Popen[str]:
    """Start `nlptl train` in a session of its own."""
    chosen = {**SETTINGS, **(settings or {})}
    launcher = [] if count == 1 else [*LAUNCHER, "--num_processes", str(count)]
    given = ["train", "sentiment", "--data", str(work / "data"), "--checkpoint", str(work / "tiny"), "--mode", mode]
    given += ["--output", str(output), "--resume"]
    given += [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
    own = {"ACCELERATE_USE_CPU": "1", "NLPTL_CACHE": f"{output}.cache", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "nlptl", *given],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"A run that should have finished did not:\n{said}")
    return said


def outcome(output: Path) -> dict[str, Any]:
    """All that must be the same: weights as bytes, losses, metrics."""
    metrics = json.loads((output / "metrics.json").read_text())
    weights = {
        str(path.relative_to(output)): path.read_bytes() for path in sorted((output / "model").rglob("*.safetensors"))
    }
    learned = {key: metrics["training"][key] for key in ("losses", "epochs", "best_epoch", "steps")}
    return {"test": metrics["test"], "validation": metrics["validation"], **learned, **weights}


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL for the launcher and its ranks, which may have sessions of their own."""
    ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in [process.pid, *(int(rank) for rank in ranks)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()


def kills(work: Path, wanted: int, deadline: float) -> Row:
    """Random kill points over modes and numbers of processes."""
    tried = survived = 0
    reference: dict[tuple[str, int], tuple[dict[str, Any], float]] = {}
    by_plan: dict[str, list[int]] = {}
    for number in range(wanted):
        if time.monotonic() > deadline:
            break
        mode, count = PLANS[number % len(PLANS)]
        if (mode, count) not in reference:
            started = time.monotonic()
            whole = work / f"whole-{mode}-{count}"
            end(begin(work, whole, mode, count))
            reference[mode, count] = (outcome(whole), time.monotonic() - started)
        expected, seconds = reference[mode, count]
        output = work / f"killed-{number}"
        process = begin(work, output, mode, count)
        time.sleep(random.uniform(0.3, 0.98) * seconds)
        if process.poll() is None:
            kill_group(process)
        else:
            process.communicate()
        end(begin(work, output, mode, count))
        same = outcome(output) == expected
        tried, survived = tried + 1, survived + same
        cell = by_plan.setdefault(f"{mode}, {count}", [0, 0])
        cell[0], cell[1] = cell[0] + same, cell[1] + 1
        print(f"kill {number}: {mode}, {count} process(es): {'same' if same else 'DIFFERENT'}", flush=True)
        shutil.rmtree(output)
    return {"tried": tried, "survived": survived, "by_mode_and_processes": by_plan}


def damage(work: Path) -> Row:
    """Each file of the newest of two states truncated, deleted, one bit flipped; the older one must be taken."""
    import torch

    from nlptl.training.checkpointing import Progress, StateFolder

    parameter = torch.nn.Parameter(torch.ones(8))
    optimizer = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimizer.step()
    weights = {"weight": parameter.detach()}
    ways: dict[str, Callable[[Path], object]] = {
        "truncate": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        "delete": lambda file: file.unlink(),
        "flip": lambda file: file.write_bytes(flipped(file.read_bytes())),
    }
    tried = survived = 0
    names = [f"{part}.safetensors" for part in ("weights", "best", "optimizer")] + ["progress.json", "manifest.json"]
    for name in names:
        for way, spoil in ways.items():
            state = StateFolder(work / f"state-{name}-{way}")
            state.save(weights, weights, optimizer, Progress(1))
            spoil(state.save(weights, weights, optimizer, Progress(2)) / name)
            found = state.read()
            tried, survived = tried + 1, survived + (found is not None and found.progress.step == 1)
    return {"tried": tried, "survived": survived}


def flipped(content: bytes) -> bytes:
    place = random.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << random.randrange(7)]) + content[place + 1 :]


def wait_for_state(process: subprocess.Popen[str], output: Path) -> None:
    while process.poll() is None and not list((output / "state").glob("step-*")):
        time.sleep(0.02)


def signals(work: Path) -> Row:
    """Each signal to a run in its steps: exit code 75, a state, the way to resume; then the run goes on."""
    tried = survived = 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        output = work / f"signalled-{number.name}"
        process = begin(work, output, "full", 1)
        wait_for_state(process, output)
        process.send_signal(number)
        said, _ = process.communicate(timeout=600)
        good = process.returncode == 75 and "To resume" in said
        end(begin(work, output, "full", 1))
        tried, survived = tried + 1, survived + good
    return {"tried": tried, "survived": survived}


def full_disk(work: Path) -> Row:
    """A run on a file system with room for one state: a clear error, and the state is intact."""
    small = work / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return {"skipped": "mounting is not permitted here"}
    try:
        process = begin(work, small / "run", "full", 1, {"training.keep_states": 9})
        said, _ = process.communicate(timeout=600)
        from nlptl.training.checkpointing import StateFolder

        kept = StateFolder(small / "run" / "state").read() is not None
        clear = process.returncode == 2 and "could not be written" in said and "Traceback" not in said
        return {"tried": 1, "survived": int(kept and clear)}
    finally:
        subprocess.run(["umount", str(small)], check=False)


def bad_inputs(work: Path) -> Row:
    """The table of tests/bad_inputs.py, where it is there."""
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from bad_inputs import CASES
    except ImportError:
        return {"skipped": "tests/bad_inputs.py is not there"}
    test = [sys.executable, "-m", "pytest", "-q", "-k", "bad_input", str(ROOT / "tests")]
    done = subprocess.run(test, cwd=ROOT, capture_output=True, text=True, check=False)
    return {"tried": len(CASES), "survived": len(CASES) if done.returncode == 0 else None, "said": done.stdout[-200:]}


def cost(work: Path) -> Row:
    """Share of training time that saving takes at the default interval, on the bundled checkpoint.

    Saving is bounded by waiting, after a save that took s seconds, s / 0.03 seconds; so the first saves come late in
    a short run. Here a state as large as that of full fine-tuning is saved by a loop that does nothing else but wait.
    """
    import torch

    from nlptl.training.checkpointing import SHARE, Progress, StateFolder

    parameter = torch.nn.Parameter(torch.zeros(22_700_000))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    weights = {"weight": parameter.detach()}
    state = StateFolder(work / "cost")
    started, step = time.monotonic(), 0
    while time.monotonic() - started < 90:
        step += 1
        time.sleep(0.05)
        if state.due(step):
            state.save(weights, weights, optimizer, Progress(step))
    passed = time.monotonic() - started
    return {"seconds": round(passed, 1), "saving": round(state.spent, 3), "share": state.spent / passed, "bound": SHARE}


def table(results: Row) -> str:
    titles = {
        "kills": "random kills, resumed bit for bit",
        "damage": "damaged states, the one before taken",
        "signals": "signals: state saved, exit code 75, resumed",
        "disk": "full disk: clear error, last state intact",
        "inputs": "bad inputs, cleanly refused",
    }
    lines = ["| what | survived / tried |", "|---|---|"]
    for part, title in titles.items():
        if part in results:
            row = results[part]
            lines.append(f"| {title} | {row.get('skipped') or '{survived} / {tried}'.format(**row)} |")
    if "cost" in results:
        lines.append(f"| share of time that saving takes | {100 * results['cost']['share']:.1f} % |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
