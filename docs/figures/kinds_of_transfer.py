"""Each kind of transfer as a small picture: which texts and labels meet which encoder, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LIGHT_BLUE,
    LIGHT_GREEN,
    LIGHT_ORANGE,
    ORANGE,
    PALE,
    arrow,
    box,
    canvas,
    main,
)

WIDTH, HEIGHT = 4.15, 1.75
Place = tuple[float, float]
DATA, ENCODER, HEAD = (1.05, 0.44), (0.95, 0.44), (0.85, 0.4)


class Panel:
    """One kind of transfer; places are in inches from its lower left corner."""

    def __init__(self, axes: Any, left: float, bottom: float, title: str) -> None:
        self.axes, self.left, self.bottom = axes, left, bottom
        self.text((0.08, HEIGHT - 0.24), title, fontsize=10.5, fontweight="bold", ha="left")

    def at(self, place: Place) -> Place:
        return self.left + place[0], self.bottom + place[1]

    def text(self, place: Place, words: str, **style: Any) -> None:
        self.axes.text(
            *self.at(place), words, **{"ha": "center", "va": "center", "fontsize": 8.5, "color": INK, **style}
        )

    def labelled(self, place: Place, words: str) -> None:
        box(self.axes, self.at(place), DATA, words, LIGHT_ORANGE, ORANGE, fontsize=8.5)

    def texts(self, place: Place, words: str = "texts") -> None:
        box(self.axes, self.at(place), DATA, words, PALE, GREY, fontsize=8.5)

    def encoder(self, place: Place, words: str = "encoder", **style: Any) -> None:
        box(self.axes, self.at(place), ENCODER, words, style.pop("fill", LIGHT_BLUE), BLUE, fontsize=8.5, **style)

    def head(self, place: Place, words: str = "head") -> None:
        box(self.axes, self.at(place), HEAD, words, LIGHT_GREEN, GREEN, fontsize=8.5)

    def arrow(self, start: Place, end: Place, **style: Any) -> None:
        arrow(self.axes, self.at(start), self.at(end), **style)


def inductive(panel: Panel) -> None:
    panel.labelled((0.65, 0.75), "texts + labels\nof the task")
    panel.encoder((2.15, 0.75), "pre-trained\nencoder")
    panel.head((3.5, 0.75))
    panel.arrow((1.18, 0.75), (1.67, 0.75))
    panel.arrow((2.63, 0.75), (3.07, 0.75))
    panel.text((2.05, 0.22), "labels train the head, and the encoder as the mode allows", fontsize=8, color=GREY)


def multi_task(panel: Panel) -> None:
    for y, name in ((1.1, "A"), (0.5, "B")):
        panel.labelled((0.65, y), f"texts + labels\nof task {name}")
        panel.head((3.5, y), f"head {name}")
        panel.arrow((1.18, y), (1.67, 0.8 + (y - 0.8) / 3))
        panel.arrow((2.63, 0.8 + (y - 0.8) / 3), (3.07, y))
    panel.encoder((2.15, 0.8), "one\nencoder")
    panel.text((2.05, 0.12), "mixed batches; each row trains its own task's head", fontsize=8, color=GREY)


def transductive(panel: Panel) -> None:
    panel.labelled((0.65, 1.1), "texts + labels\nsource")
    panel.texts((0.65, 0.5), "texts\ntarget")
    panel.encoder((2.15, 0.8), "pre-trained\nencoder")
    panel.head((3.5, 0.8), "head for\nthe target")
    panel.arrow((1.18, 1.1), (1.67, 0.9))
    panel.arrow((1.18, 0.5), (1.67, 0.7))
    panel.arrow((2.63, 0.8), (3.07, 0.8))
    panel.text((2.05, 0.12), "CORAL, MMD, DANN; or its own sure predictions as labels", fontsize=8, color=GREY)


def self_taught(panel: Panel) -> None:
    panel.texts((0.65, 1.1), "many texts")
    panel.encoder((2.15, 1.1), "encoder")
    panel.labelled((0.65, 0.5), "few texts\n+ labels")
    panel.encoder((2.15, 0.5), "the same\nencoder")
    panel.head((3.5, 0.5))
    panel.arrow((1.18, 1.1), (1.67, 1.1))
    panel.text((3.32, 1.1), "first: masked LM,\nTSDAE or SimCSE", fontsize=8, color=GREY)
    panel.arrow((2.15, 0.88), (2.15, 0.72))
    panel.arrow((1.18, 0.5), (1.67, 0.5))
    panel.arrow((2.63, 0.5), (3.07, 0.5))
    panel.text((2.05, 0.12), "then: the labels, as ever", fontsize=8, color=GREY)


def unsupervised(panel: Panel) -> None:
    panel.texts((0.65, 0.75), "texts")
    panel.encoder((2.15, 0.75), "pre-trained\nencoder")
    panel.arrow((1.18, 0.75), (1.67, 0.75))
    panel.arrow((2.63, 0.75), (3.0, 0.75))
    for x, y, colour in (
        (3.2, 0.95, ORANGE), (3.28, 1.04, ORANGE), (3.33, 0.93, ORANGE),
        (3.65, 0.8, BLUE), (3.74, 0.88, BLUE), (3.76, 0.75, BLUE), (3.66, 0.7, BLUE),
        (3.25, 0.55, GREEN), (3.35, 0.5, GREEN), (3.3, 0.62, GREEN),
    ):  # fmt: skip
        panel.axes.plot(*panel.at((x, y)), "o", color=colour, markersize=4)
    panel.text(
        (2.05, 0.22), "groups of like texts, named by their typical words, to be corrected", fontsize=8, color=GREY
    )


def sequential(panel: Panel) -> None:
    panel.labelled((0.65, 1.1), "texts + labels\nof task 1")
    panel.encoder((2.15, 1.1), "encoder")
    panel.head((3.5, 1.1), "head 1")
    panel.labelled((0.65, 0.5), "texts + labels\nof task 2")
    panel.encoder((2.15, 0.5), "the same\nencoder")
    panel.head((3.5, 0.5), "head 2")
    for y in (1.1, 0.5):
        panel.arrow((1.18, y), (1.67, y))
        panel.arrow((2.63, y), (3.07, y))
    panel.arrow((2.15, 0.88), (2.15, 0.72))
    panel.text((2.05, 0.12), "one after the other; the first head is left behind", fontsize=8, color=GREY)


def from_scratch(panel: Panel) -> None:
    panel.labelled((0.65, 0.75), "texts + labels\nof the task")
    panel.encoder((2.15, 0.75), "random\nweights", fill="white", dashed=True)
    panel.head((3.5, 0.75))
    panel.arrow((1.18, 0.75), (1.67, 0.75))
    panel.arrow((2.63, 0.75), (3.07, 0.75))
    panel.text((2.05, 0.22), "the same architecture, and nothing learned before", fontsize=8, color=GREY)


def legend(panel: Panel) -> None:
    for y, fill, edge, words in (
        (1.4, LIGHT_ORANGE, ORANGE, "texts with labels"),
        (1.02, PALE, GREY, "texts without labels"),
        (0.64, LIGHT_BLUE, BLUE, "encoder"),
        (0.26, LIGHT_GREEN, GREEN, "head, one for each task"),
    ):
        box(panel.axes, panel.at((0.9, y)), (0.6, 0.26), "", fill, edge)
        panel.text((1.35, y), words, ha="left", fontsize=9)


PANELS: tuple[tuple[str, Callable[[Panel], None]], ...] = (
    ("Inductive", inductive),
    ("Multi-task", multi_task),
    ("Transductive: domain adaptation", transductive),
    ("Self-taught, further pre-training", self_taught),
    ("Unsupervised", unsupervised),
    ("Sequential", sequential),
    ("From scratch: the control", from_scratch),
    ("", legend),
)


def draw() -> Any:
    rows = (len(PANELS) + 1) // 2
    figure, axes = canvas(2 * WIDTH + 0.3, rows * (HEIGHT + 0.12) + 0.1)
    for place, (title, fill) in enumerate(PANELS):
        row, column = divmod(place, 2)
        left, bottom = 0.1 + column * (WIDTH + 0.1), 0.1 + (rows - 1 - row) * (HEIGHT + 0.12)
        if title:
            box(axes, (left + WIDTH / 2, bottom + HEIGHT / 2), (WIDTH, HEIGHT), "", "white", "#d5dbe1")
        fill(Panel(axes, left, bottom, title))
    return figure


if __name__ == "__main__":
    main(draw, __file__)
