"""What learns in each mode: every weight, adapters and head, or the head alone; for the bundled checkpoint."""

from __future__ import annotations

from typing import Any

from drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LIGHT_GREEN,
    LIGHT_ORANGE,
    ORANGE,
    PALE,
    arrow,
    box,
    canvas,
    main,
)

WIDTH, LEFT, LAYERS = 2.75, 1.0, 6
BLOCK = 1.5
# Of the bundled checkpoint (6 layers, hidden size 384) with two labels, as metrics.json of such a run counts them.
MODES = (
    ("full", "22.6 million", "encoder and head, 90 MB"),
    ("lora", "664 thousand", "adapters and head, 2.7 MB"),
    ("feature_extraction", "770", "head, 3 kB"),
)


def draw() -> Any:
    figure, axes = canvas(LEFT + 3 * WIDTH, 5.4)
    for column, (mode, trainable, saved) in enumerate(MODES):
        _stack(axes, LEFT + (column + 0.5) * WIDTH, mode)
        x = LEFT + (column + 0.5) * WIDTH
        axes.text(x, 5.2, mode, ha="center", va="center", fontsize=11, fontweight="bold", family="monospace")
        axes.text(x, 0.78, trainable, ha="center", va="center", fontsize=9.5)
        axes.text(x, 0.43, saved, ha="center", va="center", fontsize=9.5)
    for y, words in ((0.78, "trainable\nparameters"), (0.43, "saved")):
        axes.text(0.12, y, words, ha="left", va="center", fontsize=8.5, color=GREY, linespacing=1.1)
    for y, words in ((1.27, "token ids"), (1.63, "embeddings"), (2.88, "6 layers"), (4.08, "pooling"), (4.5, "head")):
        axes.text(0.12, y, words, ha="left", va="center", fontsize=8.5, color=GREY)
    for x, fill, edge, words, dashed in (
        (1.9, LIGHT_GREEN, GREEN, "learns", False),
        (3.1, PALE, GREY, "stays as it is", False),
        (4.9, LIGHT_ORANGE, ORANGE, "added, and learns", False),
    ):
        box(axes, (x, 0.1), (0.3, 0.15), "", fill, edge, dashed=dashed)
        axes.text(x + 0.22, 0.1, words, ha="left", va="center", fontsize=8.5)
    return figure


def _stack(axes: Any, x: float, mode: str) -> None:
    """One model from token ids to logits, coloured by what learns."""
    fill, edge = (LIGHT_GREEN, GREEN) if mode == "full" else (PALE, GREY)
    arrow(axes, (x, 1.2), (x, 1.48), color=GREY)
    box(axes, (x, 1.63), (BLOCK, 0.26), "", fill, edge)
    for layer in range(LAYERS):
        y = 2.03 + layer * 0.34
        box(axes, (x, y), (BLOCK, 0.26), f"layer {layer + 1}", fill, edge, fontsize=8)
        if mode == "lora":
            box(axes, (x + BLOCK / 2 + 0.2, y), (0.28, 0.2), "", LIGHT_ORANGE, ORANGE)
    box(
        axes,
        (x, 4.08),
        (BLOCK, 0.22),
        "mean" if mode != "feature_extraction" else "mean, length 1",
        "white",
        GREY,
        fontsize=8,
    )
    box(axes, (x, 4.5), (0.9, 0.26), "linear", LIGHT_GREEN, GREEN, fontsize=8)
    for start, end in ((1.76, 1.9), (3.86, 3.97), (4.19, 4.37)):
        axes.plot([x, x], [start, end], color=GREY, linewidth=1.1)
    arrow(axes, (x, 4.63), (x, 4.84), color=GREY)
    axes.text(x, 4.92, "logits", ha="center", va="center", fontsize=8, color=INK)
    if mode == "feature_extraction":
        axes.plot([x - 1.1, x + 1.1], [4.28, 4.28], color=BLUE, linestyle="--", linewidth=1.2)
        axes.text(
            x + 1.14, 4.48, "features\non disk", ha="right", va="center", fontsize=7.5, color=BLUE, linespacing=1.1
        )


if __name__ == "__main__":
    main(draw, __file__)
