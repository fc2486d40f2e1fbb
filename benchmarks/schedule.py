"""The development study behind the defaults of training: schedules side by side on rows that no report is measured on.

    python benchmarks/schedule.py --data-root DATA
    python benchmarks/schedule.py --data-root DATA --corpora sst2 books --candidates before dropout --seeds 1
    python benchmarks/schedule.py --table-only

DATA holds one folder of CSV files (text,label) per corpus. Each draw cuts three parts off a corpus' train file, by a
seed of its own (1000 and up, while reports use 0 and up): as many training rows as the size says, validation, by which
the run chooses its state, and development rows, which it is measured on. A test file is never read. A corpus that has
none (the reviews, the messages) gives its whole file, so that reports cut their test rows from the same texts: for
those, differences here are a choice made partly on rows that some report's draw holds.

A candidate is a set of settings beside the defaults of before this study, which each row states in full; so a row does
not change its meaning when a default does. Texts are cut to 64 tokens, since most of the time goes into long ones. A
row is written to --output as soon as it is there, and a row that stands there already is not measured again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from measuring import HERE, markdown
from records import Row, in_order, is_measured, put_into, read, surroundings, versions_and_dates, write
from studies import mean_and_spread

FRAUD = {"truthful": "legitimate", "deceptive": "fraud", "ham": "legitimate", "spam": "fraud", "smishing": "fraud"}
CORPORA: dict[str, dict[str, Any]] = {
    "sst2": {"task": "sentiment", "file": "sst2/train.csv"},
    "books": {"task": "sentiment", "file": "amazon_multidomain/books.csv"},
    "kitchen": {"task": "sentiment", "file": "amazon_multidomain/kitchen.csv"},
    "banking77": {"task": "chatbot-intent", "file": "banking77/train.csv"},
    "clinc150": {"task": "chatbot-intent", "file": "clinc150/train.csv"},
    "op_spam": {"task": "fraud-text", "file": "op_spam/all.csv"},
    "sms_phishing": {"task": "fraud-text", "file": "sms_phishing/all.csv"},
}
SIZES = (350, 700, 1300, 4000)
"""Training rows of a draw; a corpus of fewer rows leaves a size out, and so does one with a label for every four."""
DEVELOPMENT, FEWEST_ROWS_PER_LABEL = 700, 4
FIRST_SEED = 1000
BEFORE = {
    "training.epochs": 4,
    "training.learning_rate": 1e-4,
    "training.head_learning_rate": 1e-3,
    "training.warmup": 0.1,
    "training.layer_decay": 0.9,
    "training.label_smoothing": 0.0,
    "model.dropout": 0.0,
}
CANDIDATES: dict[str, dict[str, Any]] = {
    "before": {},
    "half rate": {"training.learning_rate": 5e-5},
    "longer warm-up": {"training.warmup": 0.3},
    "dropout": {"model.dropout": 0.1},
    "smoothed labels": {"training.label_smoothing": 0.1},
    "prototypes": {"strategy": "contrastive"},
    "prototypes, two epochs at twice the rate": {
        "strategy": "contrastive",
        "training.epochs": 2,
        "training.learning_rate": 2e-4,
    },
}
"""Name -> settings beside those of before."""
REFERENCE, SEEDS = "before", 3
WHOLE = len(CORPORA) * len(SIZES) * len(CANDIDATES) * SEEDS
MARKER = "schedule"
PACKAGES = ("nlptl", "torch", "transformers", "scikit-learn")
RESULTS = HERE / "results" / "schedule.json"


def main() -> None:
    """Measure the cases that are missing, then print the table."""
    arguments = parse()
    rows = read(arguments.output)
    for case in [] if arguments.table_only else plan(arguments):
        if is_measured(case, rows):
            continue
        numbers = measure(arguments.data_root, **case)
        if numbers is None:
            continue
        rows.append({**case, **numbers, **surroundings(PACKAGES)})
        write(arguments.output, rows)
        print(f"{case}: {rows[-1]['score']:.4f} ({rows[-1]['seconds']:.0f} s)", flush=True)
    print(table(rows))
    if arguments.page:
        put_into(arguments.page, MARKER, table(rows))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="one folder of CSV files per corpus")
    parser.add_argument("--corpora", nargs="+", choices=CORPORA, default=list(CORPORA))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="training rows")
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=list(CANDIDATES))
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"seeds from {FIRST_SEED} up (default {SEEDS})")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: schedule.json in benchmarks/results")
    parser.add_argument("--table-only", action="store_true", help="print the table of --output and stop")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also put the table into this page, at its markers")
    arguments = parser.parse_args()
    if not arguments.table_only and (arguments.data_root is None or not arguments.data_root.is_dir()):
        parser.error("--data-root DIR must be a folder with the corpora")
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}")
    return arguments


def plan(arguments: argparse.Namespace) -> list[Row]:
    """What identifies each row, small draws first, so that an early stop leaves whole sets."""
    return [
        {"corpus": corpus, "size": size, "candidate": candidate, "seed": seed}
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds)
        for size in arguments.sizes
        for corpus in arguments.corpora
        for candidate in arguments.candidates
    ]


def measure(root: Path, corpus: str, size: int, candidate: str, seed: int) -> Row | None:
    """Train on one draw and measure on its development rows; None where the corpus is too small for the size."""
    import nlptl
    from nlptl.tasks import load_task

    facts = CORPORA[corpus]
    chosen = {**BEFORE, **CANDIDATES[candidate]}
    strategy = chosen.pop("strategy", "fine_tune")
    with tempfile.TemporaryDirectory() as folder:
        if not draw(root / facts["file"], size, seed, Path(folder)):
            return None
        run = nlptl.train(
            facts["task"],
            data=folder,
            mode="full",
            strategy=strategy,
            seed=seed,
            output=Path(folder) / "run",
            settings={
                "runtime.progress": False,
                "model.max_length": 64,
                **({"data.label_map": FRAUD} if facts["task"] == "fraud-text" else {}),
                **chosen,
            },
        )
        metrics = run.metrics
    metric = load_task(facts["task"]).metric
    training = metrics["training"]
    return {
        "metric": metric,
        "score": metrics["test"][metric],
        "loss": metrics["test"]["loss"],
        "before_training": training["epochs"][0][metric],
        "best_epoch": training["best_epoch"],
        "first_losses": [round(loss, 3) for loss in training["losses"][:60]],
        "settings": {"strategy": strategy, **chosen},
        "rows": {split: metrics["data"][split] for split in ("train", "validation", "test")},
        "seconds": metrics["time"]["total_seconds"],
        "device": metrics["runtime"]["device"],
        "precision": metrics["runtime"]["precision"],
    }


def draw(file: Path, size: int, seed: int, folder: Path) -> bool:
    """Cut training, validation and development rows off a file, each with the labels' shares; False: too few rows."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    every = pd.read_csv(file, keep_default_na=False).drop_duplicates("text")
    labels, validation = every["label"].nunique(), max(60, min(300, size // 5))
    validation = max(validation, 2 * labels)
    development = min(DEVELOPMENT, len(every) // 5)
    if size < FEWEST_ROWS_PER_LABEL * labels or size + validation + development > len(every):
        return False
    rest, measured = train_test_split(every, test_size=development, random_state=seed, stratify=every["label"])
    train, rest = train_test_split(rest, train_size=size, random_state=seed, stratify=rest["label"])
    if len(rest) > validation + labels:
        _, rest = train_test_split(rest, test_size=validation, random_state=seed, stratify=rest["label"])
    for name, part in (("train", train), ("validation", rest), ("test", measured)):
        part.to_csv(folder / f"{name}.csv", index=False)
    return True


def table(rows: list[Row]) -> str:
    """A line per corpus and size, a column per candidate; below it each candidate beside the reference over draws."""
    candidates = [name for name in CANDIDATES if any(row["candidate"] == name for row in rows)]
    cells = in_order(f"{row['corpus']}, {row['size']}" for row in rows)
    lines = []
    for cell in cells:
        there = {name: [row for row in rows if row["candidate"] == name and shown(row) == cell] for name in candidates}
        lines.append([cell, *(mean_and_spread([row["score"] for row in there[name]]) for name in candidates)])
    said = [f"- {sentence}" for sentence in over_corpora(rows, candidates)]
    return "\n".join([markdown(["corpus, rows", *candidates], lines), "", "; ".join(notes(rows)) + ".", "", *said])


def shown(row: Row) -> str:
    """A line's head."""
    return f"{row['corpus']}, {row['size']}"


def over_corpora(rows: list[Row], candidates: list[str]) -> list[str]:
    """Each candidate against the reference: the mean difference over corpora, of all draws that both have."""
    from nlptl.evaluation.significance import corrected, over_seeds, p_text

    scores = {(row["candidate"], row["corpus"], row["size"], row["seed"]): row["score"] for row in rows}
    differences: dict[str, dict[str, list[float]]] = {name: {} for name in candidates if name != REFERENCE}
    for (candidate, *place), score in scores.items():
        before = scores.get((REFERENCE, *place))
        if candidate != REFERENCE and before is not None:
            differences[candidate].setdefault(str(place[0]), []).append(score - before)
    means = {name: [statistics.mean(each) for each in found.values()] for name, found in differences.items() if found}
    tests = corrected([over_seeds(each, [0.0] * len(each)) for each in means.values()])
    return [
        f"{name} against {REFERENCE}: {100 * test.mean:+.2f} over {len(differences[name])} corpora "
        f"({'too few to test' if test.p is None else p_text(test.p)})"
        for name, test in zip(means, tests, strict=True)
    ]


def notes(rows: list[Row]) -> list[str]:
    """Below the table: what a cell says, machine, versions, date."""
    return [
        "Percent of the development rows (macro F1 for op_spam and sms_phishing): mean ± standard deviation over draws",
        f"{len(rows)} of the {WHOLE} cases of the whole study; draws: {len({row['seed'] for row in rows})}",
        "machine: " + " / ".join(in_order(f"{row['machine']} ({row['device']}, {row['precision']})" for row in rows)),
        *versions_and_dates(rows),
    ]


if __name__ == "__main__":
    main()
