"""Drift checks on public data: how often nothing is called drift, and from how many rows on a change is seen.

A draw takes reference and new rows out of held-out rows of one run, whose features and answers are computed once. In
`same` both come from the same rows, so that every sign is a false alarm; `trained` does that too, but its reference is
what the run learned from, as it must not be. In `change` a share of the new rows is of another domain.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

TITLE = "Drift: false alarms, and power by rows"
Row = dict[str, Any]
REFERENCE = 500
"""Reference rows; as many as new ones where those are more."""
SAME, TRAINED, CHANGE = "same", "trained", "change"
DRAWS = {SAME: 200, TRAINED: 200, CHANGE: 100}
PERMUTATIONS, LOGISTIC_DRAWS = 199, 10
LEARNED = {"banking77": 3000, "sst2": 1000, "books": 1000}
"""Rows that the run learns from, validation included."""
HELD_OUT = {"banking77": 10_000, "sst2": 2000, "books": 1000}
"""At most so many of the others are held out."""
MODE = {"banking77": "feature_extraction", "sst2": "full", "books": "feature_extraction"}
NAMES = ("classifier", "mmd", "scores", "labels")


class Answers(NamedTuple):
    """Rows of a run."""

    features: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def at(self, rows: np.ndarray) -> Answers:
        return Answers(*(part[rows] for part in self))


def cases(quick: bool) -> list[Row]:
    """Kind x data x new rows x share of the other domain; quick: one each of no change and change, of few draws."""
    same = [{"kind": SAME, "data": "banking77", "rows": n} for n in (50, 500, 5000)]
    same += [{"kind": kind, "data": "sst2", "rows": n} for kind in (SAME, TRAINED) for n in (50, 500)]
    change = [
        {"kind": CHANGE, "data": "books", "share": share, "rows": n}
        for share in (1.0, 0.3, 0.1)
        for n in (20, 50, 100, 200, 500)
    ]
    chosen = [{"kind": SAME, "data": "books", "rows": 50}, change[1]] if quick else same + change
    return [{**case, "draws": 10 if quick else DRAWS[case["kind"]], "seed": 0} for case in chosen]


def measure(root: Path, case: Row) -> Row:
    """Over the draws: how often each test, the check after Holm's correction, and the verdict saw something."""
    from nlptl.monitoring.drift import Check, tests_of
    from nlptl.monitoring.verdict import BELOW, NO_SIGN, Floors, auc_facts, judged, verdict_of
    from nlptl.monitoring.views import View, Views

    held_out, labels = rows_of(root, case["data"], "held out")
    old = rows_of(root, case["data"], "learned")[0] if case["kind"] == TRAINED else held_out
    other = rows_of(root, case["data"], "kitchen")[0] if case["kind"] == CHANGE else None
    seen = dict.fromkeys((*NAMES, "any", "verdict", "interval"), 0)
    aucs, smallest, logistic = [], [], []
    for draw in range(case["draws"]):
        one, two = drawn(case, held_out, old, other, np.random.default_rng([case["seed"], draw]))
        sides = (View(each.features, each.scores, each.labels.tolist(), []) for each in (one, two))
        tests, told = tests_of(Views(*sides, ""), labels, None, Check(permutations=PERMUTATIONS, seed=draw))
        found, floors = judged(tests, Floors()), Floors()
        facts = auc_facts(told.test.effect, told.null, len(one.scores), len(two.scores), len(tests), floors)
        for each in found:
            seen[each.test.name] += each.test.p <= 0.05
        seen["any"] += any(each.p < 0.05 for each in found)
        seen["verdict"] += verdict_of(found) not in (NO_SIGN, BELOW)
        seen["interval"] += facts["interval"][0] <= 0.5 <= facts["interval"][1]
        aucs.append(facts["auc"])
        smallest.append(facts["smallest_seen"])
        if draw < LOGISTIC_DRAWS and case["rows"] <= 500:
            logistic.append(logistic_auc(one.features, two.features, draw))
    return {
        **{name: count / case["draws"] for name, count in seen.items()},
        "auc": float(np.mean(aucs)),
        "smallest_seen": float(np.mean(smallest)),
        "auc_first_draws": float(np.mean(aucs[:LOGISTIC_DRAWS])),
        "logistic_auc": float(np.mean(logistic)) if logistic else None,
    }


def drawn(
    case: Row, held_out: Answers, old: Answers, other: Answers | None, rng: np.random.Generator
) -> tuple[Answers, Answers]:
    """Reference and new rows of one draw; none is in both."""
    n, m = case["rows"], max(REFERENCE, case["rows"])
    order = rng.permutation(len(held_out.scores))
    if case["kind"] == TRAINED:
        return old.at(rng.permutation(len(old.scores))[:m]), held_out.at(order[:n])
    strange = round(case.get("share", 0.0) * n)
    reference, new = held_out.at(order[:m]), held_out.at(order[m : m + n - strange])
    if len(reference.scores) + len(new.scores) < m + n - strange:
        raise ValueError(f"{len(order)} rows are held out, fewer than a draw of {case} takes")
    if other is not None:
        more = other.at(rng.permutation(len(other.scores))[:strange])
        new = Answers(*(np.concatenate(parts) for parts in zip(new, more, strict=True)))
    return reference, new


@cache
def rows_of(root: Path, data: str, which: str) -> tuple[Answers, list[str]]:
    """A run's answers, and its labels.

    Args:
        root: of the data sets.
        data: that the run is trained on.
        which: `held out` from it, `learned`, or another domain.
    """
    held_out, learned = cut(root, data)
    if which == "held out":
        texts = held_out["text"]
    elif which == "learned":
        texts = learned["text"]
    else:
        texts = pd.read_csv(root / "amazon_multidomain" / f"{which}.csv", keep_default_na=False)["text"]
        texts = texts.drop_duplicates().sample(frac=1.0, random_state=0)[: HELD_OUT[data]]
    run = trained(root, data)
    return answers(run, texts), run.labels


@cache
def trained(root: Path, data: str) -> Any:
    """The run, on the rows to learn from; its own test split plays no part here."""
    import nlptl

    folder = Path(tempfile.mkdtemp())
    _, learned = cut(root, data)
    learned.to_csv(folder / "learned.csv", index=False)
    task = "chatbot-intent" if data == "banking77" else "sentiment"
    settings = {"runtime.progress": False, "data.validation_fraction": 0.1, "data.test_fraction": 0.05}
    output = folder / "run"
    return nlptl.train(
        task, data=folder / "learned.csv", mode=MODE[data], seed=0, output=output, max_length=128, settings=settings
    )


def cut(root: Path, data: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows held out, and rows to learn from: no text is in both, and none is there twice."""
    files = {
        "banking77": [root / "banking77" / name for name in ("train.csv", "test.csv")],
        "sst2": [root / "sst2" / name for name in ("train.csv", "test.csv")],
        "books": [root / "amazon_multidomain" / "books.csv"],
    }[data]
    every = pd.concat([pd.read_csv(file, keep_default_na=False) for file in files]).drop_duplicates("text")
    every = every.sample(frac=1.0, random_state=0).reset_index(drop=True)
    return every[LEARNED[data] :][: HELD_OUT[data]], every[: LEARNED[data]]


def answers(run: Any, texts: pd.Series) -> Answers:
    """Features, scores and decided labels."""
    decided = run.predict(texts)
    scores = np.array([prediction.score for prediction in decided])
    return Answers(run.features(texts), scores, np.array([prediction.label for prediction in decided]))


def logistic_auc(reference: np.ndarray, new: np.ndarray, seed: int) -> float:
    """What scikit-learn's logistic regression reaches in as many folds, beside the closed form."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    both, is_new = np.concatenate([reference, new]), np.repeat([0, 1], [len(reference), len(new)])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = LogisticRegression(max_iter=1000, class_weight="balanced")
    return float(cross_val_score(model, both, is_new, cv=folds, scoring="roc_auc").mean())


def table(rows: list[Row]) -> str:
    """False alarms, then power; shares of the draws in percent, two with their 95 % intervals, and what they say."""
    parts = []
    for kind, words in (
        (SAME, "Nothing differs: every sign is a false alarm."),
        (TRAINED, "Nothing differs, but the reference is what the run learned from: why it must be held out."),
        (CHANGE, "A share of the new rows is of another domain: reviews of kitchenware among reviews of books."),
    ):
        here = [row for row in rows if row["kind"] == kind]
        if here:
            parts.append(f"{words}\n\n{_lines(here)}\n\n{_said(here, kind)}")
    return "\n\n".join(parts)


def _lines(rows: list[Row]) -> str:
    head = ("data", "new rows", *NAMES, "any, after Holm", "verdict", "mean AUC", "smallest AUC seen")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        mode = MODE[row["data"]]
        share = f", {row['share']:.0%} kitchen" if "share" in row else ""
        shares = [f"{100 * row[name]:.1f}" for name in NAMES]
        shares += [_share(row[name], row["draws"]) for name in ("any", "verdict")]
        cells = (f"{row['data']} (`{mode}`){share}", str(row["rows"]), *shares)
        lines.append(f"| {' | '.join(cells)} | {row['auc']:.3f} | {row['smallest_seen']:.3f} |")
    return "\n".join(lines)


def _share(share: float, draws: int) -> str:
    low, high = _interval(share, draws)
    return f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _interval(share: float, draws: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    found = binomtest(round(share * draws), draws).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _said(rows: list[Row], kind: str) -> str:
    if kind == CHANGE:
        said = []
        for share in dict.fromkeys(row["share"] for row in rows):
            enough = [row["rows"] for row in rows if row["share"] == share and row["verdict"] >= 0.8]
            seen = f"from {min(enough)} new rows on" if enough else "with none of these numbers of rows"
            said.append(f"- {share:.0%} of another domain: called drift in at least 80 % of draws {seen}.")
        pairs = [row for row in rows if row["logistic_auc"] is not None]
        gaps = [row["logistic_auc"] - row["auc_first_draws"] for row in pairs]
        if gaps:
            said.append(
                f"- Logistic regression in place of the closed form: AUC {np.mean(gaps):+.3f} on average, "
                f"{min(gaps):+.3f} to {max(gaps):+.3f} over the lines (first {LOGISTIC_DRAWS} draws of each)."
            )
        return "\n".join(said)
    said = [_level(row) for row in rows]
    if kind == SAME:
        inside = np.mean([row["interval"] for row in rows])
        said.append(f"- The 95 % interval of the classifier's AUC holds 0.5 in {100 * inside:.1f} % of all draws.")
    return "\n".join(said)


def _level(row: Row) -> str:
    low, high = _interval(row["any"], row["draws"])
    words = "more than the stated 5 %" if low > 0.05 else "fewer" if high < 0.05 else "as stated, 5 %"
    return (
        f"- {row['data']}, {row['rows']} new rows: a test is significant after Holm's correction in "
        f"{100 * row['any']:.1f} % of {row['draws']} draws ({words}); called drift in {100 * row['verdict']:.1f} %."
    )
