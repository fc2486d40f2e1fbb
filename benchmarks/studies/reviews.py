"""Reviews of one kind of product, full fine-tuning: nlptl as it comes beside the Trainer at its best learning rate."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from measuring import numbers, run
from training_speed import bundled_checkpoint

from studies import Comparison, compared, mean_and_spread

TITLE = "Product reviews, full fine-tuning"
Row = dict[str, Any]
DOMAINS = ("books", "kitchen")
NLPTL = "nlptl"
RATES = ("1e-4", "2e-4")
"""Of the Trainer, for three epochs; below, 5e-5 is its own default, with which it learns 77 intents least."""
LENGTH = 256
"""Tokens, on both sides."""
SEEDS = 3


def cases(quick: bool) -> list[Row]:
    """Domain x method, seed by seed; quick: nlptl on one domain."""
    if quick:
        return [{"domain": "books", "method": NLPTL, "seed": 0}]
    return [
        {"domain": domain, "method": method, "seed": seed}
        for seed in range(SEEDS)
        for domain in DOMAINS
        for method in (NLPTL, *RATES)
    ]


def measure(root: Path, case: Row) -> Row:
    """Test accuracy of one run; the seed cuts the splits, for both sides alike, and seeds the training."""
    source = root / "amazon_multidomain" / f"{case['domain']}.csv"
    with tempfile.TemporaryDirectory() as folder:
        splits = cut(source, case["seed"], Path(folder) / "data")
        if case["method"] == NLPTL:
            return ours(splits, case["seed"], Path(folder) / "run")
        command = ["-m", "peers.hf_trainer", "--data", str(splits), "--checkpoint", bundled_checkpoint()]
        command += ["--settings", "best", "--learning-rate", case["method"], "--epochs", "3", "--target", "2"]
        finished = run([*command, "--max-length", str(LENGTH), "--seed", str(case["seed"])], {}, 900)
    if finished.error:
        raise RuntimeError(finished.error)
    said = numbers(finished)
    return {"test": said["test_accuracy"], "validation": said["validation_accuracies"][-1], "seconds": said["seconds"]}


def cut(source: Path, seed: int, folder: Path) -> Path:
    """The splits that nlptl makes of a file, as files."""
    from nlptl.config.data import DataConfig
    from nlptl.data.loading import load_splits
    from nlptl.tasks import load_task

    splits = load_splits(load_task("sentiment"), DataConfig(source=str(source), duplicates="drop"), seed)
    folder.mkdir()
    for name in ("train", "validation", "test"):
        splits.frames()[name][["text", "label"]].to_csv(folder / f"{name}.csv", index=False)
    return folder


def ours(splits: Path, seed: int, output: Path) -> Row:
    """A run with default settings."""
    import nlptl

    settings = {"runtime.progress": False, "model.max_length": LENGTH}
    metrics = nlptl.train("sentiment", data=splits, mode="full", seed=seed, output=output, settings=settings).metrics
    return {
        "test": metrics["test"]["accuracy"],
        "validation": metrics["validation"]["accuracy"],
        "seconds": metrics["time"]["total_seconds"],
    }


def table(rows: list[Row]) -> str:
    """A line per domain; the Trainer's rate is the one with the best mean of validation."""
    heads = (*(f"HF Trainer, {rate}" for rate in RATES), NLPTL, "seeds")
    lines, comparisons = [f"| reviews | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"], []
    for domain in dict.fromkeys(row["domain"] for row in rows):
        here = {m: {r["seed"]: r for r in rows if (r["domain"], r["method"]) == (domain, m)} for m in (NLPTL, *RATES)}
        shared = sorted(set.intersection(*(set(found) for found in here.values())))
        tests = {method: [found[seed]["test"] for seed in shared] for method, found in here.items()}
        cells = [mean_and_spread(tests[method]) for method in (*RATES, NLPTL)]
        lines.append(f"| {domain} | {' | '.join(cells)} | {len(shared)} |")
        best = max(RATES, key=lambda rate: sum(here[rate][seed]["validation"] for seed in shared))
        name = f"{domain}: {NLPTL}"
        comparisons.append(Comparison(name, tests[NLPTL], f"the Trainer at {best}, best on validation", tests[best]))
    lines.append(
        "\nTest accuracy in percent, mean ± sample standard deviation over seeds, which also cut the splits.\n"
    )
    return "\n".join([*lines, *(f"- {said}" for said in compared(comparisons))])
