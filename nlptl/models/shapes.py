"""Shapes of new encoders; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from nlptl.named import Registry


@dataclass(frozen=True)
class Shape:
    """Size of a BERT encoder; the inner layers are four times as wide as the states."""

    layers: int
    hidden: int
    heads: int

    @property
    def learning_rate(self) -> float:
        """A peak rate that leaves the plateau on which only words' frequencies are known: the wider, the lower."""
        return 3e-3 * 128 / self.hidden


# As in Turc et al. (2019), "Well-Read Students Learn Better".
SHAPES: Registry[Shape] = Registry(
    "shape",
    None,
    {
        "tiny": (Shape(2, 128, 2), "2 layers, 128 wide"),
        "mini": (Shape(4, 256, 4), "4 layers, 256 wide"),
        "small": (Shape(4, 512, 8), "4 layers, 512 wide"),
        "base": (Shape(12, 768, 12), "12 layers, 768 wide"),
    },
)
