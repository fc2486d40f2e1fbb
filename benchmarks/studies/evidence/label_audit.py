"""Planted mistakes: does an inspection find labels that were flipped, and texts that stand there twice?

A share of the training rows gets another label, drawn evenly. The data sets have mistakes of their own, which count
against the precision here, since nobody knows which they are. How rounds and filter work was chosen on flips that other
seeds (1000 and up) drew.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from studies import Comparison, compared, mean_and_spread

TITLE = "Wrong labels and doubles that were planted"
Row = dict[str, Any]
TASKS = {"banking77": "chatbot-intent", "clinc150": "chatbot-intent", "sst2": "sentiment"}
FLIPS, DOUBLES = "flips", "doubles"
PROBE, FULL = "probe", "full"
SHARES, SEEDS = (0.05, 0.15), 3
PLANTED = 200
"""Doubles."""


def cases(quick: bool) -> list[Row]:
    """Flips by data set and share, and doubles; quick: one of each. Folds that fine-tune take long: sst2, one seed."""
    if quick:
        return [
            {"kind": FLIPS, "dataset": "sst2", "share": 0.05, "way": PROBE, "seed": 0},
            {"kind": DOUBLES, "dataset": "sst2", "seed": 0},
        ]
    flips = [
        {"kind": FLIPS, "dataset": name, "share": share, "way": PROBE, "seed": seed}
        for share in SHARES
        for seed in range(SEEDS)
        for name in TASKS
    ]
    doubles = [{"kind": DOUBLES, "dataset": name, "seed": seed} for seed in range(SEEDS) for name in TASKS]
    tuned = [{"kind": FLIPS, "dataset": "sst2", "share": share, "way": FULL, "seed": 0} for share in SHARES]
    return [*flips, *doubles, *tuned]


def measure(root: Path, case: Row) -> Row:
    """Precision, recall and average precision of the flips; or the share of doubles that was found."""
    train = pd.read_csv(root / case["dataset"] / "train.csv", keep_default_na=False).drop_duplicates("text")
    test = pd.read_csv(root / case["dataset"] / "test.csv", keep_default_na=False)
    train = train.reset_index(drop=True)
    with patch.dict(os.environ, {"NLPTL_CACHE": _features_home()}):
        if case["kind"] == DOUBLES:
            return _doubles(train, test, case)
        labels, flipped = flip(train["label"], case["share"], case["seed"])
        planted = train.assign(label=labels)
        facts, found = _inspected(planted, flipped, case)
        return {**facts, **_after_correcting(train, planted, test, case, found)}


@cache
def _features_home() -> str:
    """A cache for this process: the texts are the same whatever labels they carry, and so are their features."""
    home = tempfile.mkdtemp(prefix="label-audit-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def flip(labels: pd.Series, share: float, seed: int) -> tuple[list[str], np.ndarray]:
    """The labels with a share of them changed to another one, and (rows,) bool: which."""
    rng, names = np.random.default_rng([seed, 16]), sorted(labels.unique())
    rows = rng.permutation(len(labels))[: round(share * len(labels))]
    changed, flipped = labels.tolist(), np.zeros(len(labels), bool)
    for row, step in zip(rows.tolist(), rng.integers(1, len(names), len(rows)).tolist(), strict=True):
        changed[row] = names[(names.index(changed[row]) + step) % len(names)]
    flipped[rows] = True
    return changed, flipped


def _settings(case: Row) -> Row:
    return {"task": TASKS[case["dataset"]], "settings": {"runtime.progress": False}, "seed": case["seed"]}


def _inspected(planted: pd.DataFrame, flipped: np.ndarray, case: Row) -> tuple[Row, np.ndarray]:
    """What an inspection finds, beside cleanlab's default filter on a probe's answers on the rows it was fitted on."""
    import nlptl

    found = nlptl.inspect(data=planted, folds_from=case["way"], **_settings(case))
    # One table is cut into splits; its rows keep their numbers.
    rows = found.rows.frame["row"].to_numpy()[found.folds.checked] - 1
    score, flagged = np.zeros(len(planted)), np.zeros(len(planted), bool)
    score[rows] = 1 - found.verdicts.scores(found.folds.targets)
    flagged[rows[found.verdicts.flagged]] = True
    facts = _measured(score, flagged, flipped)
    if case["way"] == PROBE:
        seen = _in_sample(found, case, flipped[rows])
        facts |= {f"in_sample_{name}": value for name, value in seen.items()}
    return facts, flagged


def _in_sample(found: Any, case: Row, flipped: np.ndarray) -> Row:
    from cleanlab.filter import find_label_issues

    from nlptl.evaluation.probabilities import probabilities_of
    from nlptl.models.linear_probe import fit_probe

    features, targets = found.vectors[found.folds.checked], found.folds.targets
    held_out, classes, path = found.folds.fold == 0, len(found.folds.labels), [0.1, 1.0, 10.0, 100.0]
    chooses = features[held_out], targets[held_out]
    head = fit_probe(features[~held_out], targets[~held_out], classes, path, chooses)
    head = fit_probe(features, targets, classes, [head.regularisation], begin=head)
    probabilities = probabilities_of(head.logits(features), False)
    flagged = find_label_issues(targets, probabilities, n_jobs=1)
    return _measured(1 - probabilities[np.arange(len(targets)), targets], flagged, flipped)


def _measured(score: np.ndarray, flagged: np.ndarray, flipped: np.ndarray) -> Row:
    from sklearn.metrics import average_precision_score

    hits = int((flagged & flipped).sum())
    return {
        "precision": hits / max(int(flagged.sum()), 1),
        "recall": hits / int(flipped.sum()),
        "average_precision": float(average_precision_score(flipped, score)),
        "flagged": int(flagged.sum()),
        "flipped": int(flipped.sum()),
    }


def _after_correcting(
    train: pd.DataFrame, planted: pd.DataFrame, test: pd.DataFrame, case: Row, found: np.ndarray
) -> Row:
    """Test accuracy of a frozen encoder's run on the flipped rows, with the flagged ones mended, and with none flipped.

    A flagged row gets back the label that it had in the data, as a person who looks at it would do.
    """
    import nlptl

    mended = planted.assign(label=np.where(found, train["label"], planted["label"]))
    accuracies = {}
    for name, rows in (("flipped", planted), ("mended", mended), ("clean", train)):
        with tempfile.TemporaryDirectory() as folder:
            run = nlptl.train(
                data={"train": rows, "test": test}, mode="feature_extraction", output=f"{folder}/run", **_settings(case)
            )
            accuracies[f"accuracy_{name}"] = run.metrics["test"]["accuracy"]
    return accuracies


def _doubles(train: pd.DataFrame, test: pd.DataFrame, case: Row) -> Row:
    """Share of planted pairs that an inspection says are the same or nearly the same text."""
    import nlptl
    from nlptl.quality.near_duplicates import MEANING

    rng = np.random.default_rng([case["seed"], 18])
    found: Row = {}
    chosen = rng.permutation(len(train))[: 4 * PLANTED].reshape(4, PLANTED)
    ways = {"same": _other_case, "letter": _other_letter, "word": _word_more}
    within, leaks = train.copy(), test.copy()
    planted: dict[str, list[tuple[tuple[str, int], tuple[str, int]]]] = {name: [] for name in (*ways, "leak")}
    for (name, way), rows in zip(ways.items(), chosen, strict=False):
        for row in rows.tolist():
            within.loc[len(within)] = [way(train["text"][row], rng), train["label"][row]]
            planted[name].append((("train", row + 1), ("train", len(within))))
    for row in chosen[3].tolist():
        leaks.loc[len(leaks)] = [_other_letter(train["text"][row], rng), train["label"][row]]
        planted["leak"].append((("train", row + 1), ("test", len(leaks))))
    seen = nlptl.inspect(data={"train": within, "test": leaks}, **_settings(case))
    origin = seen.rows.frame["file"].str.contains("test").map({True: "test", False: "train"})
    place = dict(zip(zip(origin, seen.rows.frame["row"], strict=True), range(len(origin)), strict=True))
    groups = seen.duplicates.groups
    for name, pairs in planted.items():
        found[name] = float(np.mean([groups[place[one]] == groups[place[other]] for one, other in pairs]))
    kinds = [pair.kind for pair in seen.duplicates.pairs]
    return {**found, "pairs": sum(kind != MEANING for kind in kinds)}


def _other_case(text: str, rng: np.random.Generator) -> str:
    return f"{text.upper()} !"


def _other_letter(text: str, rng: np.random.Generator) -> str:
    """Two neighbouring letters of a longer text change places; of a short one, a sign is added."""
    if len(text) < 20:
        return f"{text}!!"
    place = int(rng.integers(1, len(text) - 2))
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _word_more(text: str, rng: np.random.Generator) -> str:
    return f"{text} please" if len(text) >= 30 else f"{text} ..."


def table(rows: list[Row]) -> str:
    """Flips: precision, recall, average precision, and accuracy after correcting; doubles: the share found."""
    lines = [
        "| data | flipped | judged by | precision | recall | average precision | accuracy flipped, mended, clean |"
    ]
    lines.append(f"|{'---|' * 7}")
    comparisons = []
    flips = [row for row in rows if row["kind"] == FLIPS]
    for name, share, way in dict.fromkeys((r["dataset"], r["share"], r["way"]) for r in flips):
        here = [r for r in flips if (r["dataset"], r["share"], r["way"]) == (name, share, way)]
        accuracy = ", ".join(
            mean_and_spread([r[f"accuracy_{key}"] for r in here]) for key in ("flipped", "mended", "clean")
        )
        lines.append(f"| {name} | {share:.0%} | folds: {way} | {_found(here)} | {accuracy} |")
        if way == PROBE:
            lines.append(f"| {name} | {share:.0%} | in-sample | {_found(here, 'in_sample_')} | - |")
        if way == PROBE and len(here) > 1:
            mended, before = ([r[f"accuracy_{key}"] for r in here] for key in ("mended", "flipped"))
            comparisons.append(Comparison(f"{name}, {share:.0%} flipped: mended", mended, "left as it is", before))
    lines.append("\nPercent, mean ± sample standard deviation over seeds. In-sample: cleanlab's default filter.\n")
    lines += [f"- {said}" for said in compared(comparisons)] if comparisons else []
    doubles = [row for row in rows if row["kind"] == DOUBLES]
    if doubles:
        kinds = ("same", "letter", "word", "leak")
        lines += ["", f"| data | {' | '.join(kinds)} |", f"|{'---|' * 5}"]
        for name in dict.fromkeys(row["dataset"] for row in doubles):
            here = [row for row in doubles if row["dataset"] == name]
            lines.append(f"| {name} | {' | '.join(mean_and_spread([r[k] for r in here]) for k in kinds)} |")
        lines.append(f"\nPlanted pairs found, percent; {PLANTED} of each kind and seed.")
    return "\n".join(lines)


def _found(rows: list[Row], prefix: str = "") -> str:
    measured = ("precision", "recall", "average_precision")
    return " | ".join(mean_and_spread([row[f"{prefix}{name}"] for row in rows]) for name in measured)
