"""What is survived: kills, damaged states, signals, a full disk, bad inputs; and what saving costs. Prints a table.

    python benchmarks/reliability.py                  # everything; stops starting new kills after --minutes
    python benchmarks/reliability.py --kills 6 --only kills damage

A tiny BERT with random weights learns from the first rows of a bundled sample, saving after every step. A kill is a
SIGKILL to all processes of a run at a random moment; the run is then resumed to its end and compared, bit for bit
(weights, losses, metrics), with one that was never stopped. Each run computes its features anew, in a cache of its own.
The processes are forked from one that has imported everything, so that a run takes a second or two and the moments lie
in what it does; the uninterrupted runs on one process are plain `python -m nlptl`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", ACCELERATE_USE_CPU="1")
os.environ["PYTHONPATH"] = str(ROOT)

from exact_runs import EXACT, outcome  # noqa: E402 (found by the path above)
from forked import Group  # noqa: E402

MODES = ("full", "lora", "feature_extraction")
PLANS = [(mode, count) for count in (1, 2) for mode in MODES]
Row = dict[str, Any]


def main() -> None:
    """Measure what was asked for and write it down."""
    arguments = parse()
    random.seed(arguments.seed)
    results: Row = {"about": about()}
    if arguments.output.is_file():
        results = {**json.loads(arguments.output.read_text()), **results}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        prepare(work)
        parts: dict[str, Callable[[], Row]] = {
            "damage": lambda: damage(work),
            "disk": lambda: full_disk(work),
            "signals": lambda: signals(work),
            "kills": lambda: kills(work, arguments.kills, time.monotonic() + 60 * arguments.minutes),
            "inputs": lambda: bad_inputs(work),
            "cost": lambda: cost(work, arguments.seconds),
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
    everything = ["damage", "disk", "signals", "kills", "inputs", "cost"]
    parser.add_argument("--only", nargs="+", choices=everything, default=everything)
    parser.add_argument("--kills", type=int, default=36, help="random kill points, dealt out over modes and processes")
    parser.add_argument("--minutes", type=float, default=8.0, help="no further kill is tried after this long")
    parser.add_argument("--seconds", type=float, default=150.0, help="of the training whose saving is timed")
    parser.add_argument("--seed", type=int, default=0, help="of the kill points")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "reliability.json")
    return parser.parse_args()


def about() -> Row:
    """When, where, with what."""
    packages = ("torch", "transformers", "accelerate", "peft", "safetensors")
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "system": platform.system()}
    return {"date": f"{date.today()}", **machine, "python": platform.python_version()} | {
        package: version(package) for package in packages
    }


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


def command(work: Path, output: Path, mode: str, settings: Row | None = None) -> list[str]:
    chosen = {**EXACT, "training.save_every": 1, **(settings or {})}
    given = ["train", "sentiment", "--data", str(work / "data"), "--checkpoint", str(work / "tiny"), "--mode", mode]
    given += ["--output", str(output), "--resume"]
    return given + [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]


def begin(work: Path, output: Path, mode: str, count: int = 1, settings: Row | None = None) -> Group:
    """Start `nlptl train`; features are cached beside the output."""
    place = work / output.name
    return Group(command(work, output, mode, settings), place.with_suffix(".log"), place.with_suffix(".cache"), count)


def end(group: Group) -> str:
    if any(group.wait()):
        raise SystemExit(f"A run that should have finished did not:\n{group.said()}")
    return group.said()


def plain(work: Path, output: Path, mode: str) -> None:
    """The run in a Python of its own."""
    own = {**os.environ, "NLPTL_CACHE": f"{output}.cache"}
    command_line = [sys.executable, "-m", "nlptl", *command(work, output, mode)]
    done = subprocess.run(command_line, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"A run that should have finished did not:\n{done.stdout}{done.stderr}")


def learned(output: Path) -> dict[str, Any]:
    """All that must be the same: weights as bytes, losses, metrics."""
    weights = {
        str(path.relative_to(output)): path.read_bytes() for path in sorted((output / "model").rglob("*.safetensors"))
    }
    return {**outcome(output), **weights}


def kills(work: Path, wanted: int, deadline: float) -> Row:
    """Kill points over modes and numbers of processes: at a random time; every other round, after a random step."""
    expected: dict[tuple[str, int], dict[str, Any]] = {}
    seconds: dict[tuple[str, int], float] = {}
    tried = survived = too_late = went_on = 0
    by_plan: dict[str, list[int]] = {}
    while tried < wanted and time.monotonic() < deadline:
        mode, count = PLANS[tried % len(PLANS)]
        if (mode, count) not in expected:
            whole = work / f"whole-{mode}-{count}"
            started = time.monotonic()
            if count == 1:
                plain(work, whole, mode)
                started = time.monotonic()
                end(begin(work, work / f"timed-{mode}", mode))
            else:
                end(begin(work, whole, mode, count))
            seconds[mode, count] = time.monotonic() - started
            expected[mode, count] = learned(whole)
        output = work / f"killed-{tried}-{too_late}"
        group = begin(work, output, mode, count)
        if tried // len(PLANS) % 2 and mode != "feature_extraction":  # which has no steps
            wait_for_state(group, output, random.randint(1, 13))
            time.sleep(random.uniform(0, 0.1))
        else:
            time.sleep(random.uniform(0.02, 1.0) * seconds[mode, count])
        group.send(signal.SIGKILL)
        if -signal.SIGKILL not in group.wait():
            too_late += 1  # it was done before: nothing was killed, so another is tried
            seconds[mode, count] *= 0.9
            continue
        step = max([int(path.name[5:]) for path in (output / "state").glob("step-*")], default=0)
        went_on += "Going on after step" in end(begin(work, output, mode, count))
        same = learned(output) == expected[mode, count]
        tried, survived = tried + 1, survived + same
        cell = by_plan.setdefault(f"{mode}, {count}", [0, 0])
        cell[0], cell[1] = cell[0] + same, cell[1] + 1
        said = f"kill {tried}: {mode}, {count} process(es), last state of step {step}"
        print(f"{said}: {'same' if same else 'DIFFERENT'}", flush=True)
        shutil.rmtree(output)
    return {"tried": tried, "survived": survived, "went_on_from_a_state": went_on, "by_mode_and_processes": by_plan}


def damage(work: Path) -> Row:
    """Each file of the newest of two states truncated, deleted, one bit flipped; the older one must be taken."""
    import torch

    from nlptl.training.resume.states import Progress, Snapshot, StateFolder

    parameter = torch.nn.Parameter(torch.ones(8))
    optimizer = torch.optim.AdamW([("weight", parameter)])
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
            state.save(Snapshot.take(weights, weights, optimizer, Progress(1)))
            spoil(state.save(Snapshot.take(weights, weights, optimizer, Progress(2))) / name)
            found = state.read()
            tried, survived = tried + 1, survived + (found is not None and found.progress.step == 1)
    return {"tried": tried, "survived": survived}


def flipped(content: bytes) -> bytes:
    place = random.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << random.randrange(7)]) + content[place + 1 :]


def wait_for_state(group: Group, output: Path, step: int = 1) -> None:
    while any(rank.is_alive() for rank in group.ranks):
        if any(int(path.name[5:]) >= step for path in (output / "state").glob("step-*")):
            return
        time.sleep(0.005)


def signals(work: Path) -> Row:
    """Each signal to one rank in its steps: exit code 75 of all, a state, the way to resume; then the run goes on."""
    tried = survived = 0
    seconds = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        for count in (1, 2):
            output = work / f"signalled-{number.name}-{count}"
            group = begin(work, output, "full", count, {"training.epochs": 6})
            wait_for_state(group, output)
            sent = time.monotonic()
            os.kill(int(group.ranks[-1].pid or 0), number)
            good = group.wait() == [75] * count and "To resume" in group.said()
            seconds.append(time.monotonic() - sent)
            end(begin(work, output, "full", count, {"training.epochs": 6}))
            tried, survived = tried + 1, survived + good
    return {"tried": tried, "survived": survived, "most_seconds_to_stop": round(max(seconds), 1)}


def full_disk(work: Path) -> Row:
    """A run on a file system with room for a state or two: a clear error, and the last state is intact."""
    small = work / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return {"skipped": "mounting is not permitted here"}
    try:
        group = begin(work, small / "run", "full", settings={"training.keep_states": 9})
        code, said = group.wait(), group.said()
        from nlptl.training.resume.states import StateFolder

        kept = StateFolder(small / "run" / "state").read() is not None
        clear = code == [2] and "could not be written" in said and "Traceback" not in said
        return {"tried": 1, "survived": int(kept and clear)}
    finally:
        subprocess.run(["umount", str(small)], check=False)


def bad_inputs(work: Path) -> Row:
    """The table of tests/bad_inputs.py: exit code 2, one message, no traceback, nothing left behind."""
    from bad_inputs import CASES, lay_ground, run_case

    ground = lay_ground(work / "ground")
    faults = {}
    for number, case in enumerate(CASES):
        folder = work / f"case-{number}"
        folder.mkdir()
        came = run_case(case, folder, ground)
        fault = came.fault() or (f"exit code {came.code}" if came.code != 2 else None)
        if fault:
            faults[case.name] = fault
    return {"tried": len(CASES), "survived": len(CASES) - len(faults), "faults": faults}


def cost(work: Path, seconds: float) -> Row:
    """Share of its time that full fine-tuning of the bundled checkpoint saves in, by default settings.

    The training is told to stop after `seconds`; the save that answers this is not counted, its time neither.
    """
    import nlptl
    from nlptl.errors import Preempted
    from nlptl.training.resume.states import StateFolder

    saves: list[tuple[float, float]] = []
    save = StateFolder.save

    def timed(*given: Any, **named: Any) -> Path:
        started = time.monotonic()
        path = save(*given, **named)
        saves.append((started, time.monotonic() - started))
        return path

    StateFolder.save = timed  # type: ignore[method-assign]
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()
    settings = {"training.epochs": 10_000, "runtime.progress": False}
    data = ROOT / "tasks" / "sentiment" / "sample"
    with contextlib.suppress(Preempted):
        nlptl.train("sentiment", data=data, mode="full", output=work / "cost", settings=settings)
    (state,) = StateFolder(work / "cost" / "state").states()[-1:]
    progress = json.loads((state / "progress.json").read_text())["progress"]
    *wanted, _last = saves
    saving = sum(took for _, took in wanted)
    return {
        "seconds": round(progress["seconds"], 1),
        "steps": progress["step"],
        "saves": len(wanted),
        "saving": round(saving, 2),
        "share": saving / progress["seconds"],
        "megabytes": round(sum(file.stat().st_size for file in state.iterdir()) / 1e6),
    }


def table(results: Row) -> str:
    titles = {
        "kills": "SIGKILL at a random moment or step, resumed bit for bit",
        "damage": "damaged states, the one before taken",
        "signals": "signals: state saved, exit code 75, resumed",
        "disk": "full disk: clear error, last state intact",
        "inputs": "bad inputs: one message, exit code 2, nothing left behind",
    }
    lines = ["| what | survived / tried |", "|---|---|"]
    for part, title in titles.items():
        if part in results:
            row = results[part]
            went_on = row.get("went_on_from_a_state")
            more = f" ({went_on} from a saved state; the others, too early or frozen, had none)" if went_on else ""
            lines.append(f"| {title}{more} | {row.get('skipped') or '{survived} / {tried}'.format(**row)} |")
    if "cost" in results:
        row = results["cost"]
        lines.append(
            f"| share of time that saving takes, full fine-tuning of the bundled checkpoint for {row['seconds']:.0f} s "
            f"({row['saves']} saves of {row['megabytes']} MB) | {100 * row['share']:.1f} % |"
        )
    noted = results["about"]
    lines += ["", ", ".join(f"{name} {value}" for name, value in noted.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
