"""What the methods of domain adaptation are made of, whether the encoder learns or stays frozen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nlptl.config.strategies import AdaptationConfig
from nlptl.objectives.alignment import coral_distance, mmd_distance
from nlptl.training.examples.paired import Distance


@dataclass(frozen=True)
class Alignment:
    """A loss that draws source and target features together."""

    distance: Distance | None
    """None: a discriminator's losses, its gradient reversed."""
    weight: float
    """Where the encoder learns and the configuration gives none."""
    map_weight: float
    """The same for a linear map on frozen features."""


ALIGNMENTS = {
    "coral": Alignment(coral_distance, 10.0, 10.0),
    "mmd": Alignment(mmd_distance, 1.0, 100.0),
    "dann": Alignment(None, 0.1, 0.1),
}


def pseudo_label_shares(config: AdaptationConfig, rounds: int) -> list[float]:
    """Share of the target's rows that each round of self-training believes: from the first to the last, evenly.

    Args:
        config: shares, and rounds where it names them.
        rounds: where it does not.
    """
    count = config.rounds or rounds
    if count == 1:
        return [config.last_share]
    return [float(share) for share in np.linspace(config.first_share, config.last_share, count)]
