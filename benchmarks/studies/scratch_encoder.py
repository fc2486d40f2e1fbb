"""A small encoder pre-trained here, tokenizer and all, against the same architecture from random weights."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from pretrained import accuracy, pretrained
from safetensors.torch import load_file, save_file

from nlptl.storage.json_files import read_json
from studies import Comparison, compared, mean_and_spread

TITLE = "A tiny encoder pre-trained from scratch, then sst2 at 1000 labels"
Row = dict[str, Any]

# Start, optimizer steps: none, a pass and a quarter over the corpus, and nine passes.
RANDOM, NARROW = "random weights", "random weights, deviation 0.02"
LEARNED = "masked LM from scratch"
STARTS = ((RANDOM, 0), (NARROW, 0), (LEARNED, 1500), (LEARNED, 11000))
LABELS = 1000
SHAPE = "tiny"
FILES = ["movie_reviews_sentences.txt", "wikitext2_valid.txt", "wikitext2_test.txt"]
SETTINGS = {"corpus.max_length": 64, "corpus.held_out": 0.01, "tokenizer.size": 8000}
# All start far from any task: more passes, at a higher rate, than a well-trained checkpoint wants. Chosen on sst2's
# validation split, the same for all.
TRAINING = {"training__learning_rate": 1e-3, "training__epochs": 8, "training__layer_decay": 1.0}


def cases(quick: bool) -> list[Row]:
    """Start x seed; the seed draws the labelled rows and the order."""
    return [
        {"start": start, "steps": min(steps, 20) if quick else steps, "shape": SHAPE, "labels": LABELS, "seed": seed}
        for seed in range(1 if quick else 3)
        for start, steps in STARTS[: 3 if quick else None]
    ]


def measure(root: Path, case: Row) -> Row:
    """Test accuracy after full fine-tuning, and the masked LM's loss on held-out text."""
    folder = encoder(root, case["steps"], case["shape"])
    evaluations = read_json(folder / "pretraining.json")["training"].get("evaluations", [])
    with tempfile.TemporaryDirectory() as aside:
        start = narrowed(folder, Path(aside) / "encoder") if case["start"] == NARROW else folder
        score = accuracy(root / "sst2", "sentiment", start, "full", case["labels"], case["seed"], 2, **TRAINING)
    return {"accuracy": score, "held_out_loss": min((entry["loss"] for entry in evaluations), default=None)}


def narrowed(folder: Path, copy: Path) -> Path:
    """The same random weights with BERT's deviation: biases are 0 and scales 1 in either."""
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    factor = 0.02 / read_json(copy / "config.json")["initializer_range"]
    save_file(
        {n: w * factor if w.ndim > 1 else w for n, w in weights.items()}, copy / "model.safetensors", {"format": "pt"}
    )
    return copy


def encoder(root: Path, steps: int, shape: str = SHAPE) -> Path:
    """The folder of an encoder with a tokenizer of its own; 0 steps: random weights."""
    data = [root / "unlabelled_corpus" / file for file in FILES]
    limit = {"corpus.limit": 2000} if steps == 20 else {}
    return pretrained({**SETTINGS, **limit}, data=data, shape=shape, steps=steps)


def table(rows: list[Row]) -> str:
    """A line for each start, and their comparison."""
    rows = sorted(rows, key=lambda row: row["seed"])
    started = sorted({(row["start"], row["steps"]) for row in rows}, key=lambda start: start[1])
    scores = {start: [row["accuracy"] for row in rows if (row["start"], row["steps"]) == start] for start in started}
    losses = {(row["start"], row["steps"]): row["held_out_loss"] for row in rows}
    lines = ["| start | masked LM's loss on held-out text | sst2 test accuracy, full, 1000 labels |", "|---|---|---|"]
    for name, steps in started:
        loss = losses[name, steps]
        said = "-" if loss is None else f"{loss:.2f}"
        lines.append(f"| {name} ({steps} steps) | {said} | {mean_and_spread(scores[name, steps])} |")
    lines.append("")
    comparisons = [
        Comparison(f"{name}, {steps} steps,", scores[name, steps], control, scores[control, 0])
        for name, steps in started
        for control in (RANDOM, NARROW)
        if steps and len(scores[name, steps]) == len(scores.get((control, 0), []))
    ]
    lines += [f"- {said}" for said in compared(comparisons)]
    return "\n".join(lines)
