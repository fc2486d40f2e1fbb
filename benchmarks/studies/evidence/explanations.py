"""Do the words decide that an explanation names? They are removed from test rows, and random words beside them.

Integrated gradients, which nlptl explains by, stand beside gradient x input, which costs one pass. Both name words of
the same texts for the same label of the same model, and as many random words of these texts are the control.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from studies import mean_and_spread

TITLE = "Explanations: faithfulness by deletion, and how complete the shares are"
Row = dict[str, Any]
TASKS = {"sst2": "sentiment", "banking77": "chatbot-intent"}
FROZEN, FULL = "feature_extraction", "full"
TRAINING = 2000
"""Training rows, drawn with the seed."""
TEXTS, QUICK_TEXTS = 80, 12
"""Test rows that are explained, the same for every seed."""
REMOVED = 3
METHODS = {"integrated_gradients": "integrated gradients", "gradient_x_input": "gradient x input"}


def cases(quick: bool) -> list[Row]:
    """Data set x mode, seed by seed; quick: one seed of sst2 on the frozen encoder."""
    if quick:
        return [{"dataset": "sst2", "mode": FROZEN, "texts": QUICK_TEXTS, "seed": 0}]
    return [
        {"dataset": dataset, "mode": mode, "texts": TEXTS, "seed": seed}
        for seed in range(3)
        for mode in (FROZEN, FULL)
        for dataset in TASKS
    ]


def measure(root: Path, case: Row) -> Row:
    """Falls of the explained label's probability, text by text, and the completeness gaps."""
    import nlptl
    from nlptl.explore.attribution import IntegratedGradients
    from nlptl.explore.faithfulness import falls_of
    from nlptl.inference.explanation import explain_text
    from nlptl.training.runtime import local_runtime

    with tempfile.TemporaryDirectory() as folder:
        texts = _write_rows(root / case["dataset"], case, Path(folder))
        run = nlptl.train(
            TASKS[case["dataset"]],
            data=folder,
            mode=case["mode"],
            seed=case["seed"],
            output=Path(folder) / "run",
            settings={"runtime.progress": False},
        )
        found: Row = {"accuracy": run.metrics["test"]["accuracy"]}
        runtime = local_runtime("fp32", False)
        kinds = {"integrated_gradients": IntegratedGradients, "gradient_x_input": _gradient_times_input()}
        for name, kind in kinds.items():
            explainer = kind(run.artifact, runtime)
            made = [explain_text(run, explainer, run.head, text) for text in texts]
            top, random = falls_of(run, made, REMOVED)
            found[name] = [round(float(fall), 5) for fall in top]
            found["random"] = [round(float(fall), 5) for fall in random]
            if name == "integrated_gradients":
                found["gaps"] = [round(one.relative_gap, 5) for one in made]
                found["steps"] = [one.steps for one in made]
    return found


def _gradient_times_input() -> Any:
    """An explainer that takes the gradient at the text, times its embeddings: no path, and nothing adds up."""
    import torch

    from nlptl.explore.attribution import IntegratedGradients

    class GradientTimesInput(IntegratedGradients):
        def _shares(self, forward: Any, given: Any, difference: float) -> Any:
            embedded = given.embedded.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(forward(embedded).sum(), embedded)
            return (gradient * embedded).detach()[0].double().sum(-1).cpu().numpy(), 1

    return GradientTimesInput


def _write_rows(source: Path, case: Row, folder: Path) -> list[str]:
    """Training rows of the seed, and the test split; the texts to explain."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    every = pd.read_csv(source / "train.csv", keep_default_na=False).drop_duplicates("text")
    test = pd.read_csv(source / "test.csv", keep_default_na=False)
    train, _ = train_test_split(every, train_size=TRAINING, random_state=case["seed"], stratify=every["label"])
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    return list(test.sample(case["texts"], random_state=7)["text"])


def table(rows: list[Row]) -> str:
    """A line per data set and mode; each method tested against random words, and against the other method."""
    from nlptl.evaluation.significance import corrected, over_rows, over_seeds_and_rows, sentence

    head = ("data", "mode", "accuracy", *METHODS.values(), "random words", "median gap", "largest gap", "seeds")
    lines, tests, names = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"], [], []
    for place in dict.fromkeys((row["dataset"], row["mode"]) for row in rows):
        here = sorted((row for row in rows if (row["dataset"], row["mode"]) == place), key=lambda row: row["seed"])
        falls = {name: [row[name] for row in here] for name in (*METHODS, "random")}
        gaps = [gap for row in here for gap in row["gaps"] if gap is not None]
        cells = [
            place[0],
            f"`{place[1]}`",
            mean_and_spread([row["accuracy"] for row in here]),
            *(mean_and_spread([statistics.mean(each) for each in falls[name]]) for name in (*METHODS, "random")),
            f"{statistics.median(gaps):.2%}",
            f"{max(gaps):.1%}",
            str(len(here)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
        for first, second in (
            ("integrated_gradients", "random"),
            ("gradient_x_input", "random"),
            ("integrated_gradients", "gradient_x_input"),
        ):
            enough = len(here) > 2
            compared = over_seeds_and_rows if enough else over_rows
            one, other = (falls[name] if enough else falls[name][0] for name in (first, second))
            tests.append(compared(one, other))
            names.append((f"{place[0]}, {place[1]}: {METHODS[first]}", METHODS.get(second, "random words")))
    lines.append(
        f"\nFall of the decided label's probability in points when the {REMOVED} words with the largest shares are "
        f"removed from {rows[0]['texts']} test rows, mean ± sample standard deviation over seeds; {TRAINING} training "
        "rows. The gap is what the shares of integrated gradients miss of the difference that they explain, of any "
        "text. With fewer than three seeds the tests are over the rows of one.\n"
    )
    said = (sentence(name, control, each) for (name, control), each in zip(names, corrected(tests), strict=True))
    return "\n".join([*lines, *(f"- {each}" for each in said)])
