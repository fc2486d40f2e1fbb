"""What runs lose to texts written to get past them, and what a normaliser or attacked copies of rows give back.

Recall of spam where 1 % of ham is flagged (`nlptl robustness`), on sms_spam without its duplicates. Attacks are drawn
with each seed; the normaliser was written without looking at these rows' scores.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from studies import Comparison, compared, mean_and_spread

TITLE = "Robustness: points of spam recall at 1 % of ham flagged, lost per attack"
Row = dict[str, Any]
METHODS = ("feature_extraction", "logistic_regression", "full")
ANSWERS: dict[str, Row] = {
    "as it is": {},
    "normaliser": {"data.normaliser": "confusables"},
    "copies": {"data.attacked_copies": 1.0},
    "both": {"data.normaliser": "confusables", "data.attacked_copies": 1.0},
}
SEEDS, BAR, CLEAN_BAR = 3, 1.0, 0.1
TEST_SHARE = 0.3


def cases(quick: bool) -> list[Row]:
    """Method x answer to attacks, seed by seed; quick: one seed of the baseline as it is."""
    if quick:
        return [{"method": "logistic_regression", "answer": "as it is", "seed": 0}]
    return [
        {"method": method, "answer": answer, "seed": seed}
        for method in METHODS
        for seed in range(SEEDS)
        for answer in ANSWERS
    ]


def measure(root: Path, case: Row) -> Row:
    """Recall on texts as written and under each attack, with the half widths of paired intervals over rows."""
    import nlptl

    settings = {
        "data.duplicates": "drop",
        "data.test_fraction": TEST_SHARE,
        "runtime.progress": False,
        **ANSWERS[case["answer"]],
    }
    with tempfile.TemporaryDirectory() as folder:
        shared: Row = {
            "data": root / "sms_spam" / "all.csv",
            "label_map": {"ham": "legitimate", "spam": "fraud"},
            "seed": case["seed"],
            "output": Path(folder) / "run",
            "settings": settings,
        }
        if case["method"] == "logistic_regression":
            settings["baseline.features"] = ["words_characters"]
            run = nlptl.train_baseline("fraud-text", model=case["method"], **shared)
        else:
            run = nlptl.train("fraud-text", mode=case["method"], **shared)
        report = nlptl.robustness(run, normaliser="none", rows=None, seed=case["seed"])
        metrics = run.metrics
    found = {row["attack"]: row["recall_at_1_percent"] for row in report.rows}
    return {
        "rows": report.rows_measured,
        "spam": report.rows_attacked,
        "recall": {attack: value["value"] for attack, value in found.items()},
        "margin": {attack: value["margin"] for attack, value in found.items()},
        "macro_f1": metrics["test"]["macro_f1"],
        "average_precision": metrics["test"]["average_precision"],
        "seconds": metrics["time"]["total_seconds"],
    }


def table(rows: list[Row]) -> str:
    """A table per method: recall as written, points lost per attack, and whether the bars are met."""
    parts = []
    for method in dict.fromkeys(row["method"] for row in rows):
        parts.append(_of_method(method, [row for row in rows if row["method"] == method]))
    return "\n\n".join(parts)


def _of_method(method: str, rows: list[Row]) -> str:
    answers = [answer for answer in ANSWERS if any(row["answer"] == answer for row in rows)]
    by = {answer: {row["seed"]: row for row in rows if row["answer"] == answer} for answer in answers}
    clean = "as written"
    attacks = [attack for attack in rows[0]["recall"] if attack != clean]
    head = [f"`{method}`", *answers]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    recalls = [mean_and_spread([row["recall"][clean] for row in by[a].values()]) for a in answers]
    lines.append(f"| recall as written | {' | '.join(recalls)} |")
    for attack in attacks:
        lost = [
            mean_and_spread([row["recall"][clean] - row["recall"][attack] for row in by[a].values()]) for a in answers
        ]
        lines.append(f"| {attack.replace('_', ' ')} | {' | '.join(lost)} |")
    spam = ", ".join(str(row["spam"]) for row in by[answers[0]].values())
    said = [
        f"\nRecall in percent, then points lost per attack against the same run's recall as written, mean ± sample "
        f"standard deviation over seeds; {spam} spam rows.\n"
    ]
    comparisons = []
    for answer in answers[1:]:
        seeds = sorted(by[answer].keys() & by[answers[0]].keys())
        first, second = ([by[a][seed]["recall"][clean] for seed in seeds] for a in (answer, answers[0]))
        comparisons.append(Comparison(f"as written, {answer}", first, answers[0], second))
    said += [f"- {sentence}" for sentence in compared(comparisons)] if comparisons else []
    said += [f"- {_verdict(answer, by[answer], by[answers[0]], attacks)}" for answer in answers]
    return "\n".join([*lines, *said])


def _verdict(answer: str, here: dict[int, Row], plain: dict[int, Row], attacks: list[str]) -> str:
    lost = {
        attack: 100 * statistics.mean(row["recall"]["as written"] - row["recall"][attack] for row in here.values())
        for attack in attacks
    }
    beyond = [f"{attack.replace('_', ' ')} ({points:.1f})" for attack, points in lost.items() if points > BAR]
    said = f"{answer}: {len(attacks) - len(beyond)} of {len(attacks)} attacks cost at most {BAR:g} point"
    said += f"; more: {', '.join(beyond)}" if beyond else ""
    seeds = here.keys() & plain.keys()
    if here is plain or not seeds:
        return f"{said}."
    costs = 100 * statistics.mean(plain[s]["recall"]["as written"] - here[s]["recall"]["as written"] for s in seeds)
    met = "at most" if costs <= CLEAN_BAR else "more than"
    return f"{said}. Texts as written lose {costs + 0.0:.2f} points by it, {met} the {CLEAN_BAR:g} that was aimed at."
