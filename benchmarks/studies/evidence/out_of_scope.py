"""Out of scope: how well scorers tell queries apart, which one validation chooses, and what is found at a stated loss.

Two settings, as in the literature:

- `oos`: all intents of clinc150 are learned; its own out-of-scope queries, 100 of them, stand in validation to choose
  by, and 1,000 in test (Larson et al. 2019). None is learned from.
- `open`: a share of the intents is known, drawn by seed; queries of the others stand in test alone (Zhang et al. 2021).
  Nothing can be chosen, so the usual scorer is taken, and cut where validation keeps 95 % of known intents.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studies import mean_and_spread

TITLE = "Out-of-scope queries"
Row = dict[str, Any]
FROZEN, FULL = "feature_extraction", "full"
LABEL = "out_of_scope"
KEEP = 0.95
SEEDS = 3
SHARES = (25, 50, 75)
PUBLISHED = {
    "clinc150": {25: (87.6, 91.8), 50: (86.5, 88.8), 75: (86.3, 88.5)},
    "banking77": {25: (78.9, 85.7), 50: (78.9, 83.8), 75: (81.1, 84.4)},
}
"""Accuracy with a share of intents known: ADB (BERT, Zhang et al. 2021) and LMCL (Lin & Xu 2019), both as repeated by
Gargiani's benchmark of open intents."""
BARS = {"auroc": 0.980, "fpr_at_95_in_scope": 0.08, "recall": 0.90}
"""What was to be reached in mode full by the scorer that validation chose."""


def cases(quick: bool) -> list[Row]:
    """Setting x data set x mode x seed; quick: one frozen draw of banking77 with a quarter known."""
    if quick:
        return [_case("open", "banking77", FROZEN, 0, 25)]
    seeds = range(SEEDS)
    found = [_case("oos", "clinc150", mode, seed, 100) for mode in (FROZEN, FULL) for seed in seeds]
    return found + [
        _case("open", name, mode, seed, share)
        for mode in (FROZEN, FULL)
        for seed in seeds
        for name in PUBLISHED
        for share in SHARES
    ]


def _case(setting: str, dataset: str, mode: str, seed: int, known: int) -> Row:
    return {"setting": setting, "dataset": dataset, "mode": mode, "seed": seed, "known": known}


def measure(root: Path, case: Row) -> Row:
    """One run; in the setting `oos`, every scorer on its features and logits besides."""
    import nlptl

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (_lay_oos if case["setting"] == "oos" else _lay_open)(root / case["dataset"], folder, case)
        run = nlptl.train(
            "chatbot-intent",
            data=folder,
            mode=case["mode"],
            seed=case["seed"],
            output=folder / "run",
            settings={
                "decision.scorer": "auto",
                "decision.reject": "always",
                "decision.keep": KEEP,
                "runtime.progress": False,
                # Every scorer is to be cut on logits of the very model that is measured on test.
                **({"training.refit": False} if case["setting"] == "oos" else {}),
            },
        )
        told = _told(run)
        return {**told, "scorers": _every_scorer(run, folder, case["seed"])} if case["setting"] == "oos" else told


def _lay_oos(source: Path, folder: Path, case: Row) -> None:
    import pandas as pd

    for split, more in (("train", None), ("validation", "oos_validation"), ("test", "oos_test")):
        parts = [pd.read_csv(source / f"{name}.csv", keep_default_na=False) for name in (split, more) if name]
        pd.concat(parts).replace({"label": {"oos": LABEL}}).to_csv(folder / f"{split}.csv", index=False)


def _lay_open(source: Path, folder: Path, case: Row) -> None:
    """Rows of known intents; in test, those of the others as out of scope. Validation is cut off train where the data
    set has none."""
    import numpy as np
    import pandas as pd

    frames = {
        file.stem: pd.read_csv(file, keep_default_na=False)
        for file in (source / f"{split}.csv" for split in ("train", "validation", "test"))
        if file.is_file()
    }
    labels = sorted(frames["train"]["label"].unique())
    number = round(len(labels) * case["known"] / 100)
    known = np.random.default_rng(case["seed"]).choice(labels, number, replace=False)
    for split, frame in frames.items():
        inside = frame["label"].isin(known)
        kept = frame.assign(label=frame["label"].where(inside, LABEL)) if split == "test" else frame[inside]
        kept.to_csv(folder / f"{split}.csv", index=False)


def _told(run: Any) -> Row:
    """The run's own numbers on test; those of the road that it answers by."""
    from nlptl.storage.json_files import read_json

    decision, report = read_json(run.folder / "decision.json"), run.metrics["test"]["out_of_scope"]
    numbers = ("in_scope_accuracy", "auroc", "aupr_in", "aupr_out", "fpr_at_95_in_scope")
    road = report["roads"]["both"]
    return {
        "scorer": decision["scorer"],
        **{name: report[name] for name in numbers},
        "kept": road["in_scope_kept"],
        "recall": road["out_of_scope_recall"],
        "accuracy": run.metrics["test"]["decided"]["accuracy"],
        "macro_f1": run.metrics["test"]["decided"]["macro_f1"],
        "seconds": run.metrics["time"]["total_seconds"],
        "scope_seconds": run.metrics["time"].get("scope_seconds", 0.0),
    }


def _every_scorer(run: Any, folder: Path, seed: int) -> dict[str, Row]:
    """Each scorer fitted on train and cut on validation as a run would do it, measured on test."""
    import numpy as np
    import pandas as pd

    from nlptl.data.loading import label_targets
    from nlptl.evaluation.out_of_scope.fitting import fit_scope
    from nlptl.evaluation.out_of_scope.measures import separation
    from nlptl.evaluation.out_of_scope.scorer import Rows
    from nlptl.registry import SCORERS

    frames = {split: pd.read_csv(folder / f"{split}.csv", keep_default_na=False) for split in ("train", "validation")}
    frames["test"] = pd.read_csv(run.folder / "predictions.csv", keep_default_na=False)
    for split, later in (("validation", ("test",)), ("train", ("validation", "test"))):  # as the run left them out
        texts = {text for name in later for text in frames[name]["text"]}
        frames[split] = frames[split][~frames[split]["text"].isin(texts)]
    outside, found = run.labels.index(LABEL), {}
    rows = {
        split: Rows(run.features(list(f["text"])), run.logits(list(f["text"])), label_targets(f, run.labels), outside)
        for split, f in frames.items()
    }
    for name in SCORERS:
        if not SCORERS.get(name).can_fit(rows["train"]):
            continue
        fitted = fit_scope(name, KEEP, rows["train"], rows["validation"], seed)
        if fitted is None:
            continue
        test = rows["test"]
        scope = fitted.scorer.scores(test.features, test.logits)
        below = scope < fitted.threshold
        found[name] = {
            **{measure: value.value for measure, value in separation(scope, test.in_scope, draws=1).items()},
            "kept": float(np.mean(~below[test.in_scope])),
            "recall": float(np.mean(below[~test.in_scope])),
        }
    return found


def table(rows: list[Row]) -> str:
    """The two settings, each with what it is compared with."""
    parts = [
        _oos_table(mode, [r for r in rows if r["setting"] == "oos" and r["mode"] == mode]) for mode in (FROZEN, FULL)
    ]
    return "\n\n".join(filter(None, [*parts, _open_table([r for r in rows if r["setting"] == "open"])]))


def _oos_table(mode: str, rows: list[Row]) -> str:
    if not rows:
        return ""
    head = ("scorer", "AUROC", "AUPR out", "FPR at 95 % in scope", "kept", "out-of-scope recall", "seeds")
    lines = [f"clinc150, mode `{mode}`:\n", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    names = ("auroc", "aupr_out", "fpr_at_95_in_scope", "kept", "recall")
    for scorer in sorted({name for row in rows for name in row["scorers"]}):
        values = [row["scorers"][scorer] for row in rows if scorer in row["scorers"]]
        cells = [mean_and_spread([value[name] for value in values]) for name in names]
        lines.append(f"| `{scorer}` | {' | '.join(cells)} | {len(values)} |")
    lines.append("")
    for row in sorted(rows, key=lambda row: row["seed"]):
        told = {name: row[name] for name in ("in_scope_accuracy", "auroc", "fpr_at_95_in_scope", "kept", "recall")}
        shown = ", ".join(f"{name.replace('_', ' ')} {_with_interval(value)}" for name, value in told.items())
        lines.append(f"- Seed {row['seed']}: validation chose `{row['scorer']}`: {shown}.{_verdict(mode, row)}")
    return "\n".join(lines)


def _with_interval(noted: Row) -> str:
    low, high = (100 * end for end in noted["interval"])
    return f"{100 * noted['value']:.1f} [{low:.1f}, {high:.1f}]"


def _verdict(mode: str, row: Row) -> str:
    """Which bars the chosen scorer reaches; they are those of mode full."""
    if mode != FULL:
        return ""
    reached = {
        "AUROC": row["auroc"]["value"] >= BARS["auroc"],
        "FPR": row["fpr_at_95_in_scope"]["value"] <= BARS["fpr_at_95_in_scope"],
        "recall": row["recall"]["value"] >= BARS["recall"],
    }
    missed = [name for name, there in reached.items() if not there]
    return f" Misses the bar of {', '.join(missed)}." if missed else " Reaches all three bars."


def _open_table(rows: list[Row]) -> str:
    if not rows:
        return ""
    head = ("data", "known", "mode", "accuracy", "AUROC", "kept", "found", "seeds", "ADB", "LMCL")
    lines = ["Open intents:\n", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for place in dict.fromkeys((row["dataset"], row["known"], row["mode"]) for row in rows):
        here = [row for row in rows if (row["dataset"], row["known"], row["mode"]) == place]
        cells = [mean_and_spread([row["accuracy"] for row in here])]
        cells += [mean_and_spread([row[name]["value"] for row in here]) for name in ("auroc", "kept", "recall")]
        published = [f"{value:.1f}" for value in PUBLISHED[place[0]][place[1]]]
        lines.append(
            f"| {place[0]} | {place[1]} % | `{place[2]}` | {' | '.join([*cells, str(len(here)), *published])} |"
        )
    lines.append(
        "\nIn percent, mean ± sample standard deviation over seeds, each of which draws the known intents. "
        "Accuracy counts out of scope as one more label. The published figures are of larger encoders, on draws of "
        "their own."
    )
    return "\n".join(lines)
