"""The map: from what is at hand to the kind of transfer."""

from __future__ import annotations

from typing import Any

from drawing import BLUE, GREEN, GREY, INK, LIGHT_BLUE, LIGHT_GREEN, PALE, arrow, box, canvas, main

ROWS = (
    # What is at hand, the kind, the command.
    ("labels for the task", "inductive", "nlptl train TASK"),
    ("labels for several tasks", "multi-task", "nlptl train A+B"),
    ("labels in one domain,\nonly texts in the one you need", "transductive\n(domain adaptation)", "nlptl adapt TASK"),
    (
        "some labels, and many\nmore texts of the same sort",
        "self-taught,\nfurther pre-training",
        "nlptl pretrain, then\nnlptl train --checkpoint",
    ),
    ("texts only", "unsupervised", "nlptl discover, or\nnlptl pretrain --objective"),
    ("a finished run, and\nlabels for a related task", "sequential", "nlptl train --checkpoint"),
)
COLUMNS = (1.45, 4.15, 6.6)
WIDTHS = (2.5, 1.8, 2.3)
STEP = 0.66


def draw() -> Any:
    height = STEP * (len(ROWS) + 1) + 0.95
    figure, axes = canvas(8.0, height)
    for x, head in zip(COLUMNS, ("What is at hand?", "Kind of transfer", "In nlptl"), strict=True):
        axes.text(x, height - 0.28, head, ha="center", va="center", fontsize=11, fontweight="bold", color=INK)
    for place, (at_hand, kind, command) in enumerate(ROWS):
        y = height - 0.82 - place * STEP
        box(axes, (COLUMNS[0], y), (WIDTHS[0], 0.52), at_hand, PALE, GREY)
        box(axes, (COLUMNS[1], y), (WIDTHS[1], 0.52), kind, LIGHT_BLUE, BLUE)
        box(axes, (COLUMNS[2], y), (WIDTHS[2], 0.52), command, LIGHT_GREEN, GREEN, family="monospace", fontsize=8.2)
        for left, right in ((0, 1), (1, 2)):
            arrow(axes, (COLUMNS[left] + WIDTHS[left] / 2, y), (COLUMNS[right] - WIDTHS[right] / 2, y))
    y = 0.42
    box(axes, (COLUMNS[0], y), (WIDTHS[0], 0.52), "a doubt that any of it pays", PALE, GREY, dashed=True)
    box(axes, (COLUMNS[1], y), (WIDTHS[1], 0.52), "none: the controls", "white", GREY, dashed=True)
    box(
        axes,
        (COLUMNS[2], y),
        (WIDTHS[2], 0.52),
        "nlptl baseline TASK\n--set model.weights=random",
        "white",
        GREY,
        dashed=True,
        family="monospace",
        fontsize=8.2,
    )
    for left, right in ((0, 1), (1, 2)):
        start, end = COLUMNS[left] + WIDTHS[left] / 2, COLUMNS[right] - WIDTHS[right] / 2
        arrow(axes, (start, y), (end, y), color=GREY, linestyle="--")
    return figure


if __name__ == "__main__":
    main(draw, __file__)
