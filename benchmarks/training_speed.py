"""How long training takes, beside plain scripts of the peers: same data, checkpoint, machine, batch of 32.

    python benchmarks/training_speed.py --data-root DATA
    python benchmarks/training_speed.py --data-root DATA --sections full lora --steps 60 --rounds 3
    python benchmarks/training_speed.py --table-only

DATA holds banking77/train.csv and test.csv (text,label). Validation is cut off once, and both sides read the same three
files. Every measurement is a process of its own; contenders take turns, round by round. Rows are written as soon as
measured and not measured again; start anew with --fresh.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import speed_tables
from measuring import HERE, Contender, alternate
from records import Row, read

DATASET = "banking77"
SECTIONS = ("full", "lora", "savings", "features", "target", "few_shot")
# nlptl leaves dropout out by default; the peers keep the checkpoint's 0.1. Both are measured.
OUR_STEPS = {
    "full": {"nlptl": [], "nlptl, dropout 0.1": ["model.dropout=0.1"]},
    "lora": {"nlptl": [], "nlptl, PEFT example's adapters": ["lora.rank=8", "lora.targets=[query, value]"]},
}
# What makes a step cheaper; each is left out in turn, and then all of them.
SAVINGS = {
    "full": ("used words", "narrow activations", "short-text attention"),
    "lora": ("frozen weights rounded once", "shorter adapters", "narrow activations", "short-text attention"),
}
# Learning rate and planned epochs: TrainingArguments' own rate needs many epochs on 77 labels.
TARGET_PEERS = {"default": ("5e-5", 10), "best": ("2e-4", 6)}
OUR_WAYS = {"nlptl": "full", "nlptl, feature_extraction": "feature_extraction"}
ITERATIONS = 5
FEW_LABELS = 8
# The peers' scripts cut texts at 128 tokens.
CUT = ("--set", "model.max_length=128")


def main() -> None:
    """Measure what is missing, then print the tables."""
    arguments = parse()
    rows = [] if arguments.fresh else read(arguments.output)
    failed = 0
    if not arguments.table_only:
        with tempfile.TemporaryDirectory() as folder:
            failed = measure(arguments, Path(folder), rows)
    print(speed_tables.training(rows))
    sys.exit(1 if failed else 0)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data-root", type=Path, metavar="DIR", help=f"folder that holds {DATASET}/")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=3, help="turns of every contender (default 3; target: one)")
    parser.add_argument("--steps", type=int, default=281, help="of full, lora and savings (default: an epoch)")
    parser.add_argument("--target", type=float, default=0.925, help="validation accuracy to reach (default 0.925)")
    parser.add_argument("--limit", type=float, default=900, help="seconds until a contender gives the target up")
    parser.add_argument("--shots", type=int, default=10, help="rows per label in few_shot (default 10)")
    parser.add_argument("--rows", type=int, help="use only so many rows of train and test: shows that it runs")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every process (default: all cores)")
    parser.add_argument("--idle-wait", type=float, default=60, help="most seconds to wait for a quiet machine")
    parser.add_argument("--output", type=Path, help="default: in benchmarks/results; with --rows a file apart")
    parser.add_argument("--fresh", action="store_true", help="measure again what stands in --output")
    parser.add_argument("--table-only", action="store_true", help="print the tables of --output and stop")
    arguments = parser.parse_args()
    arguments.output = arguments.output or HERE / "results" / f"training_speed{'-small' * bool(arguments.rows)}.json"
    if not arguments.table_only and (arguments.data_root is None or not (arguments.data_root / DATASET).is_dir()):
        parser.error(f"--data-root DIR must be a folder that holds {DATASET}/")
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}")
    return arguments


def measure(arguments: argparse.Namespace, folder: Path, rows: list[Row]) -> int:
    """Every section asked for; how many measurements failed."""
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    same = {"threads": arguments.threads, "rows_used": arguments.rows or 0}
    data = cut(arguments.data_root / DATASET, folder / "data", arguments.rows)
    checkpoint = bundled_checkpoint()
    common = ["--data", str(data), "--checkpoint", checkpoint]
    limits = Contender("machine", ["-m", "limits", *common])
    failed = alternate(lambda _: [limits], 1, rows, arguments.output, {"section": "limits", **same}, 300, 0)
    for section in arguments.sections:
        identity: Row = {"section": section, **same}
        rounds = arguments.rounds
        if section in OUR_STEPS:
            identity["asked_steps"] = arguments.steps
            cast = [*peers_steps(section, common, arguments.steps), *our_steps(section, data, arguments.steps)]
        elif section == "savings":
            identity["asked_steps"] = arguments.steps
            cast = savings(data, arguments.steps)
        elif section == "features":
            cast = features(data, common, folder)
        elif section == "target":
            identity |= {"target": arguments.target, "limit": arguments.limit}
            cast, rounds = to_target(data, common, arguments), 1
        else:
            identity["shots"] = arguments.shots
            few = cut(arguments.data_root / DATASET, folder / "few", arguments.rows, arguments.shots)
            cast = few_shot(few, ["--data", str(few), "--checkpoint", checkpoint], folder)
        failed += alternate(
            lambda turn, cast=cast: [in_round(one, turn) for one in cast],
            rounds,
            rows,
            arguments.output,
            identity,
            arguments.limit + 600,
            arguments.idle_wait,
        )
    return failed


def cut(source: Path, folder: Path, rows: int | None, shots: int | None = None) -> Path:
    """train.csv, validation.csv and test.csv as nlptl cuts them, for both sides."""
    from nlptl.config.overrides import load_config
    from nlptl.data.loading import load_splits
    from nlptl.tasks import load_task

    given = {"data.source": str(source), **({"data.shots": shots} if shots else {})}
    config = load_config(task="chatbot-intent", **given)
    splits = load_splits(load_task("chatbot-intent"), config.data, config.seed)
    folder.mkdir()
    for name, frame in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
        kept = few_rows(frame, splits.task.label_list()[:FEW_LABELS], rows) if rows else frame
        kept[["text", "label"]].to_csv(folder / f"{name}.csv", index=False)
    return folder


def few_rows(frame: Any, labels: list[str], rows: int) -> Any:
    """About so many rows of a few labels, spread over the frame: files are often sorted by label."""
    kept = frame[frame["label"].isin(labels)]
    return kept.iloc[:: max(1, len(kept) // rows)]


def bundled_checkpoint() -> str:
    """The folder of the task's checkpoint."""
    from nlptl.checkpoints import resolve_checkpoint
    from nlptl.tasks import load_task

    return str(resolve_checkpoint(load_task("chatbot-intent").checkpoint).path)


def in_round(contender: Contender, turn: int) -> Contender:
    """Folders named with {round} are each round's own: a cache that a round before filled would tell a lie."""
    command = [part.replace("{round}", str(turn)) for part in contender.command]
    environment = {name: value.replace("{round}", str(turn)) for name, value in contender.environment.items()}
    return Contender(contender.name, command, environment, contender.needs)


def peers_steps(mode: str, common: list[str], steps: int) -> list[Contender]:
    """The Trainer as it comes, and at its best settings."""
    name = "HF Trainer + PEFT" if mode == "lora" else "HF Trainer"
    command = ["-m", "peers.hf_trainer", *common, "--mode", mode, "--steps", str(steps), "--settings"]
    return [Contender(f"{name}, {settings}", [*command, settings]) for settings in ("default", "best")]


def our_steps(mode: str, data: Path, steps: int) -> list[Contender]:
    """nlptl's loop, with its defaults and with the peers' settings."""
    command = ["-m", "ours", "steps", "--data", str(data), "--mode", mode, "--steps", str(steps)]
    return [Contender(name, [*command, *CUT, *assigned(settings)]) for name, settings in OUR_STEPS[mode].items()]


def savings(data: Path, steps: int) -> list[Contender]:
    """nlptl's loop as it is, with each of its savings left out, and with none of them."""
    cast = []
    for mode, named in SAVINGS.items():
        command = our_steps(mode, data, steps)[0].command
        cast.append(Contender(mode, command))
        cast += [Contender(f"{mode}, without {one}", [*command, "--without", one]) for one in named]
        cast.append(Contender(f"{mode}, without any of them", [*command, "--set", "runtime.kernels=off"]))
    return cast


def features(data: Path, common: list[str], folder: Path) -> list[Contender]:
    """Encode once and fit a head; then the same texts again."""
    ours = ["-m", "ours", "job", "--data", str(data), "--mode", "feature_extraction", *CUT]
    own = {"NLPTL_CACHE": str(folder / "cache-{round}")}
    return [
        Contender(
            "sentence-transformers + LogisticRegression",
            ["-m", "peers.frozen_features", *common],
            needs=("sentence_transformers",),
        ),
        Contender("nlptl", [*ours, "--output", str(folder / "features-{round}")], own),
        Contender("nlptl, second run", [*ours, "--output", str(folder / "again-{round}")], own),
    ]


def to_target(data: Path, common: list[str], arguments: argparse.Namespace) -> list[Contender]:
    """Who reaches the accuracy first; nlptl first, so that a short limit still shows something."""
    bounds = ["--target", str(arguments.target), "--limit", str(arguments.limit)]
    ours = ["-m", "ours", "target", "--data", str(data), *CUT, *bounds, "--mode"]
    return [
        *(Contender(name, [*ours, mode]) for name, mode in OUR_WAYS.items()),
        *(
            Contender(
                f"HF Trainer, {settings}, {rate}",
                [
                    *("-m", "peers.hf_trainer", *common, *bounds, "--settings", settings),
                    *("--learning-rate", rate, "--epochs", str(epochs)),
                ],
            )
            for settings, (rate, epochs) in reversed(TARGET_PEERS.items())
        ),
    ]


def few_shot(data: Path, common: list[str], folder: Path) -> list[Contender]:
    """A few rows per label."""
    ours = ["-m", "ours", "job", "--data", str(data), "--set", "training.refit=true"]
    own = {"NLPTL_CACHE": str(folder / "few-cache-{round}")}
    return [
        Contender(
            f"SetFit, {ITERATIONS} pairs per row and sign",
            ["-m", "peers.setfit_few_shot", *common, "--batch-size", "16", "--iterations", str(ITERATIONS)],
            needs=("setfit",),
        ),
        *(
            Contender(f"nlptl, {mode}", [*ours, "--mode", mode, "--output", str(folder / f"few-{mode}-{{round}}")], own)
            for mode in ("feature_extraction", "full")
        ),
    ]


def assigned(settings: list[str]) -> list[str]:
    """`--set` for each."""
    return [part for setting in settings for part in ("--set", setting)]


if __name__ == "__main__":
    main()
