"""Test accuracy of every mode on public data sets, beside a plain baseline; prints the table of `docs/results.md`.

    python benchmarks/accuracy.py --data-root DATA --seeds 3 --output benchmarks/results/accuracy.json
    python benchmarks/accuracy.py --table-only --output benchmarks/results/accuracy.json --page docs/results.md

DATA holds one folder of CSV files (text,label) per data set. Each row is written to --output as soon as it is there,
and a row that stands there already is not computed again: an interrupted benchmark goes on where it stopped.

The baseline, `peer`, is sentence-transformers and scikit-learn: the bundled checkpoint's embeddings and
LogisticRegression(C=10), without tuning. It is fitted on the same train rows as nlptl and measured on the same test
rows. Rows that nlptl cuts off train for validation belong to train, so the peer has them too; a data set's own
validation file it does not see. nlptl chooses on validation, and `feature_extraction` then refits on train and
validation together. Each run has a cache of its own.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from records import Row, in_order, is_measured, own_cache, put_into, read, surroundings, versions_and_dates, write

DATASETS: dict[str, dict[str, Any]] = {
    "banking77": {"task": "chatbot-intent"},
    "clinc150": {"task": "chatbot-intent"},
    "sst2": {"task": "sentiment"},
    "sms_spam": {
        "task": "fraud-text",
        "file": "all.csv",
        "metric": "macro_f1",
        # One file without a split and with hundreds of repeated messages: dropped first, then cut by the seed.
        "settings": {"data.label_map": {"ham": "legitimate", "spam": "fraud"}, "data.duplicates": "drop"},
    },
}
FEW_SHOT = "banking77"
PEER = "peer"
MODES = ("full", "lora", "feature_extraction", PEER)
MARKER = "results"
PACKAGES = ("nlptl", "torch", "transformers", "peft", "sentence-transformers", "scikit-learn")


def main() -> None:
    """Compute the rows that are missing, then print the table."""
    arguments = parse()
    rows = read(arguments.output)
    if not arguments.table_only:
        for wanted in plan(arguments):
            if is_measured(wanted, rows):
                continue
            measure = measure_peer if wanted["mode"] == PEER else measure_mode
            with own_cache():
                numbers = measure(arguments.data_root, **wanted)
            rows.append({**wanted, **numbers, **surroundings(PACKAGES)})
            write(arguments.output, rows)
            print(f"{name_of(rows[-1])}, {wanted['mode']}, seed {wanted['seed']}: {rows[-1]['score']:.4f}", flush=True)
    print(table(rows))
    if arguments.page:
        put_into(arguments.page, MARKER, table(rows))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="one folder of CSV files per data set")
    parser.add_argument("--datasets", nargs="+", choices=list(DATASETS), default=list(DATASETS))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default 3)")
    parser.add_argument("--shots", type=int, default=10, help=f"rows per label of few-shot {FEW_SHOT}; 0: none")
    parser.add_argument("--draws", type=int, default=5, help="draws of these rows, as seeds 0 to N-1 (default 5)")
    parser.add_argument("--output", type=Path, default=Path("results.json"), help="default: results.json")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also put the table into this page, at its markers")
    parser.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    arguments = parser.parse_args()
    if not arguments.table_only and (arguments.data_root is None or not arguments.data_root.is_dir()):
        parser.error("--data-root DIR must be a folder with the data sets")
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}")
    return arguments


def plan(arguments: argparse.Namespace) -> list[Row]:
    """What identifies each row, in the order it is computed: seed by seed, so that an early stop leaves whole sets."""
    cases = [(name, 0, seed) for seed in range(arguments.seeds) for name in arguments.datasets]
    if arguments.shots and FEW_SHOT in arguments.datasets:
        cases += [(FEW_SHOT, arguments.shots, seed) for seed in range(arguments.draws)]
    return [
        {"dataset": name, "shots": shots, "mode": mode, "seed": seed}
        for name, shots, seed in cases
        for mode in arguments.modes
    ]


def settings_of(dataset: str, shots: int) -> dict[str, Any]:
    """A data set's settings, for both nlptl and its peer."""
    settings = {"runtime.progress": False, **DATASETS[dataset].get("settings", {})}
    return {**settings, "data.shots": shots} if shots else settings


def measure_mode(root: Path, dataset: str, shots: int, mode: str, seed: int) -> Row:
    """Train with nlptl and read its numbers; the run itself is not kept."""
    import nlptl

    facts = DATASETS[dataset]
    with tempfile.TemporaryDirectory() as folder:
        run = nlptl.train(
            facts["task"],
            data=root / dataset / facts.get("file", ""),
            mode=mode,
            seed=seed,
            output=Path(folder) / "run",
            settings=settings_of(dataset, shots),
        )
        metrics = run.metrics
        said = (run.folder / "log.txt").read_text(encoding="utf-8")
    metric = facts.get("metric", "accuracy")
    return {
        "metric": metric,
        "score": metrics["test"][metric],
        "seconds": metrics["time"]["total_seconds"],
        # Rows of before each had a cache of its own may hold times that it shortened, which are no whole ones.
        "from_cache": sum(map(int, re.findall(r"(\d+) from the cache", said))),
        "trainable_parameters": metrics["model"]["trainable_parameters"],
        "train_rows": metrics["data"]["train"],
        "test_rows": metrics["data"]["test"],
        "device": metrics["runtime"]["device"],
        "precision": metrics["runtime"]["precision"],
    }


def measure_peer(root: Path, dataset: str, shots: int, mode: str, seed: int) -> Row:
    """Embed with sentence-transformers, classify with logistic regression: the rows are those that nlptl reads."""
    import pandas as pd
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score

    from nlptl.checkpoints import resolve_checkpoint
    from nlptl.config.overrides import load_config
    from nlptl.data.loading import load_splits
    from nlptl.tasks import load_task

    facts = DATASETS[dataset]
    source = str(root / dataset / facts.get("file", ""))
    started = time.perf_counter()
    config = load_config(task=facts["task"], seed=seed, **{"data.source": source, **settings_of(dataset, shots)})
    task = load_task(facts["task"])
    splits = load_splits(task, config.data, seed)
    cut_off = splits.validation["file"].isin(splits.train["file"].unique())
    train = pd.concat([splits.train, splits.validation[cut_off]])
    encoder = SentenceTransformer(str(resolve_checkpoint(task.checkpoint).path))
    features, test_features = (encoder.encode(frame["text"].tolist()) for frame in (train, splits.test))
    model = LogisticRegression(C=10, max_iter=1000).fit(features, train["label"].tolist())
    predicted, gold = model.predict(test_features), splits.test["label"].tolist()
    metric = facts.get("metric", "accuracy")
    score = accuracy_score(gold, predicted) if metric == "accuracy" else f1_score(gold, predicted, average="macro")
    return {
        "metric": metric,
        "score": float(score),
        "seconds": time.perf_counter() - started,
        "from_cache": 0,
        "trainable_parameters": model.coef_.size + model.intercept_.size,
        "train_rows": len(train),
        "test_rows": len(splits.test),
        "device": encoder.device.type,
        "precision": "fp32",
    }


def table(rows: list[Row]) -> str:
    """Mode x data set as Markdown: mean and spread (sample standard deviation) of the score, time, parameters."""
    names = in_order(name_of(row) for row in rows)
    lines = [f"| mode | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for mode in (mode for mode in MODES if any(row["mode"] == mode for row in rows)):
        cells = [cell([row for row in rows if row["mode"] == mode and name_of(row) == name]) for name in names]
        label = "peer (sentence-transformers, logistic regression)" if mode == PEER else f"`{mode}`"
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *notes(rows)])


def name_of(row: Row) -> str:
    """A column's head."""
    shots = f", {row['shots']} per label" if row["shots"] else ""
    metric = "" if row["metric"] == "accuracy" else f" ({row['metric'].replace('_', ' ')})"
    return f"{row['dataset']}{shots}{metric}"


def cell(rows: list[Row]) -> str:
    """Mean and spread over seeds, mean seconds, trainable parameters."""
    if not rows:
        return "-"
    scores = [100 * row["score"] for row in rows]
    spread = f" ± {statistics.stdev(scores):.2f}" if len(scores) > 1 else ""
    whole = [row for row in rows if not row["from_cache"]]
    seconds = statistics.mean(row["seconds"] for row in whole or rows)
    cached = "" if whole else " (cached)"
    parameters = shortened(rows[0]["trainable_parameters"])
    return f"{statistics.mean(scores):.2f}{spread}; {seconds:.0f} s{cached}; {parameters}"


def shortened(count: int) -> str:
    """22.7M, 29.6k, 385."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def notes(rows: list[Row]) -> list[str]:
    """The line below the table: what a cell says, seeds, machine, versions, date."""
    seeds = {name: len({row["seed"] for row in rows if name_of(row) == name}) for name in map(name_of, rows)}
    said = [
        "Cells: mean ± standard deviation over seeds, in percent; mean seconds of the runs that "
        "computed all their features (cached: none did); trainable parameters",
        "accuracy on test where no other metric is named",
        "seeds: " + ", ".join(f"{name} {count}" for name, count in seeds.items()),
        "machine: " + " / ".join(in_order(f"{row['machine']} ({row['device']}, {row['precision']})" for row in rows)),
        *versions_and_dates(rows),
    ]
    return ["; ".join(filter(None, said)) + "."]


if __name__ == "__main__":
    main()
