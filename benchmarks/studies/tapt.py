"""Masked LM on unlabelled text before the task: in-domain (film reviews) and out-of-domain (wiki), against none.

The encoder then stays frozen, and the pre-training is short (about 245 000 tokens), for cost; what film reviews give
where the encoder learns on is in the study `rank`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pretrained import accuracy, pretrained

from studies import Comparison, compared, mean_and_spread

TITLE = "Further pre-training on unlabelled text, then sst2"
Row = dict[str, Any]

METHODS = {
    "none": "no further pre-training",
    "tapt": "film-review sentences (in domain)",
    "self_taught": "wikitext-2 paragraphs (out of domain)",
}
# About as many tokens in each; a wiki paragraph is several times as long as a sentence of a review.
CORPORA: dict[str, tuple[list[str], int]] = {
    "tapt": (["movie_reviews_sentences.txt"], 6000),
    "self_taught": (["wikitext2_valid.txt", "wikitext2_test.txt"], 1500),
}
STEPS = 120
MODE = "feature_extraction"
SETTINGS = {"corpus.max_length": 64, "evaluations": 3, "corpus.held_out": 0.02}


def cases(quick: bool) -> list[Row]:
    """Method x number of labels x seed; the seed draws the labelled rows."""
    return [
        {"method": method, "mode": MODE, "labels": labels, "steps": 5 if quick else STEPS, "seed": seed}
        for labels in ([100] if quick else [100, 1000])
        for seed in range(1 if quick else 10)
        for method in METHODS
    ]


def measure(root: Path, case: Row) -> Row:
    """Test accuracy of a run on the encoder that the method gives; perplexity before and after pre-training."""
    checkpoint = encoder(root, case["method"], case["steps"])
    score = accuracy(root / "sst2", "sentiment", checkpoint, case["mode"], case["labels"], case["seed"], 2)
    return {"accuracy": score, **(_perplexities(checkpoint) if isinstance(checkpoint, Path) else {})}


def encoder(root: Path, method: str, steps: int = STEPS) -> Path | str:
    """The bundled encoder, or the folder of what the method's pre-training made of it."""
    if method == "none":
        return "minilm"
    files, limit = CORPORA[method]
    settings = {**SETTINGS, "corpus.limit": 300 if steps < STEPS else limit}
    data = [root / "unlabelled_corpus" / file for file in files]
    return pretrained(settings, data=data, checkpoint="minilm", steps=steps)


def _perplexities(folder: Path) -> Row:
    from nlptl.storage.json_files import read_json

    measured = read_json(folder / "pretraining.json")["training"]["evaluations"]
    return {"perplexity_before": measured[0]["perplexity"], "perplexity_after": min(m["perplexity"] for m in measured)}


def table(rows: list[Row]) -> str:
    """Method x (mode, labels), and a sentence for each comparison with the control."""
    columns = sorted({(row["mode"], row["labels"]) for row in rows})
    scores = {
        (method, *column): [
            row["accuracy"]
            for row in sorted(rows, key=lambda row: row["seed"])
            if row["method"] == method and (row["mode"], row["labels"]) == column
        ]
        for method in METHODS
        for column in columns
    }
    lines = [f"| text | {' | '.join(f'`{mode}`, {labels} labels' for mode, labels in columns)} |"]
    lines.append("|---|" + "---|" * len(columns))
    for method, said in METHODS.items():
        lines.append(f"| {said} | {' | '.join(mean_and_spread(scores[method, *column]) for column in columns)} |")
    lines += ["", "Test accuracy in percent, mean ± standard deviation over draws of the labelled rows.", ""]
    comparisons = [
        Comparison(f"{METHODS[method]}, `{mode}`, {labels} labels", first, "none", control)
        for method in ("tapt", "self_taught")
        for mode, labels in columns
        for first, control in [(scores[method, mode, labels], scores["none", mode, labels])]
        if first and len(first) == len(control)
    ]
    lines += [f"- {said}" for said in compared(comparisons)]
    return "\n".join(lines)
