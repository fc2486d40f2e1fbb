"""What each kind of transfer gave over its control, with intervals: the comparisons of benchmarks/transfer.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from drawing import GREEN, GREY, HERE, INK, RED, main
from matplotlib.figure import Figure

ROOT = HERE.parents[1]
TINY = "masked LM from scratch, 11000 steps,"
TFIDF, FROZEN, ALONE = "TF-IDF, best on validation", "feature_extraction", "alone"
FILMS, WIKI = (
    "film-review sentences (in domain), `feature_extraction`",
    "wikitext-2 paragraphs (out of domain), `feature_extraction`",
)
# Heading -> study, and (method, control) as the study names them -> as the figure does.
GROUPS: dict[str, tuple[str, dict[tuple[str, str], str]]] = {
    "the bundled checkpoint, full, over TF-IDF": (
        "controls",
        {
            ("banking77, 154 labels: full", TFIDF): "banking77, 2 rows per label",
            ("sst2, 100 labels: full", TFIDF): "sst2, 50 per label",
            ("sst2, 1000 labels: full", TFIDF): "sst2, 500 per label",
        },
    ),
    "... over the same architecture from random weights": (
        "controls",
        {("sst2, 1000 labels: full", "from scratch"): "sst2, 500 per label"},
    ),
    "full over the frozen encoder": (
        "controls",
        {
            ("banking77, 154 labels: full", FROZEN): "banking77, 2 per label",
            ("sst2, 100 labels: full", FROZEN): "sst2, 50 per label",
            ("sst2, 1000 labels: full", FROZEN): "sst2, 500 per label",
        },
    ),
    "contrastive over fine_tune": (
        "few_shot",
        {
            ("banking77: contrastive", "full fine-tuning"): "banking77, 10 per label",
            ("sst2: contrastive", "full fine-tuning"): "sst2, 8 per label",
        },
    ),
    "masked LM first, then sst2 on frozen features": (
        "tapt",
        {
            (f"{FILMS}, 100 labels", "none"): "film reviews, 100 labels",
            (f"{FILMS}, 1000 labels", "none"): "film reviews, 1000 labels",
            (f"{WIKI}, 100 labels", "none"): "wikitext-2, 100 labels",
            (f"{WIKI}, 1000 labels", "none"): "wikitext-2, 1000 labels",
        },
    ),
    "TSDAE or SimCSE first, then banking77, frozen": (
        "unsupervised",
        {
            ("tsdae", "the untouched encoder"): "tsdae",
            ("simcse", "the untouched encoder"): "simcse",
        },
    ),
    "a tiny encoder's masked LM, then sst2, over random weights": (
        "scratch_encoder",
        {
            (TINY, "random weights"): "its own start",
            (TINY, "random weights, deviation 0.02"): "a narrower start",
        },
    ),
    "domain adaptation over the source only": (
        "domain_adaptation",
        {
            (method, "source only"): method
            for method in ("coral_self_training", "self_training", "coral", "mmd", "dann")
        },
    ),
    "three tasks on one encoder over each alone, full": (
        "multi_task",
        {
            ("`full`, sentiment: together", ALONE): "sst2",
            ("`full`, chatbot-intent: together", ALONE): "clinc150",
            ("`full`, fraud-text: together", ALONE): "sms_spam, macro F1",
        },
    ),
}
COLOURS = {"better": GREEN, "worse": RED}


def comparisons(name: str) -> dict[tuple[str, str], Any]:
    """What a study compares: (method, control) -> the difference, p corrected as in the study's table."""
    if str(ROOT / "benchmarks") not in sys.path:
        sys.path.insert(0, str(ROOT / "benchmarks"))
    import studies
    from records import belongs, read
    from transfer import RESULTS, cases_of

    from nlptl.evaluation.significance import corrected, over_seeds

    found: dict[tuple[str, str], Any] = {}

    def note(asked: Any, unit: float = 100.0) -> list[str]:
        differences = corrected([over_seeds(one.first, one.second) for one in asked])
        found.update({(one.name, one.control): each for one, each in zip(asked, differences, strict=True)})
        return ["" for _ in asked]

    study = studies.load(name)
    rows = read(Path(RESULTS) / "transfer.json")
    with patch.object(study, "compared", note):
        study.table([row for case in cases_of(name, False) for row in rows if belongs(row, case)])
    return found


def draw() -> Any:
    sys.path.insert(0, str(ROOT))
    figure = Figure(figsize=(8.0, 8.0), layout="constrained")
    axes = figure.add_subplot()
    y, ticks, names = 0.0, [], []
    measured = {name: comparisons(name) for name in dict.fromkeys(name for name, _ in GROUPS.values())}
    for heading, (name, wanted) in GROUPS.items():
        axes.text(
            -0.01,
            y,
            heading,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=8.8,
            color=INK,
            fontweight="bold",
        )
        y -= 0.95
        for key, label in wanted.items():
            found = measured[name][key]
            colour = COLOURS.get(found.outcome, GREY)
            mean, margin = 100 * found.mean, 100 * (found.margin or 0.0)
            axes.errorbar([mean], [y], xerr=[margin], fmt="o", color=colour, markersize=4.5, capsize=2.5, linewidth=1.5)
            beside, side = (mean + margin + 0.4, "left") if mean > 0 else (mean - margin - 0.4, "right")
            axes.text(beside, y, f"{mean:+.1f}", ha=side, va="center", fontsize=8.2, color=colour)
            ticks.append(y)
            names.append(f"{label} ({found.seeds})")
            y -= 0.8
        y -= 0.35
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_yticks(ticks, names, fontsize=8.6)
    axes.tick_params(axis="y", length=0)
    axes.set(
        ylim=(y + 0.5, 0.9),
        xlim=(-10, 26),
        xlabel="points on test, mean and 95 % interval",
    )
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color="#e4e8ec", linewidth=0.8)
    axes.set_axisbelow(True)
    for place, (words, colour) in enumerate((("helps", GREEN), ("no clear difference", GREY), ("hurts", RED))):
        axes.text(0.99, 0.5 - 0.03 * place, words, transform=axes.transAxes, ha="right", fontsize=9.5, color=colour)
    return figure


if __name__ == "__main__":
    main(draw, __file__)
