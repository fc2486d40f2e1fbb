"""Training rows once more as they look under an attack, so that a run has seen what people do to get past it."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from nlptl.registry import ATTACKS

log = logging.getLogger("nlptl")
ORIGIN = "attacked copies"
"""Stands in the column `file` of rows that no file holds."""


def attacked(texts: Sequence[str], name: str, seed: int) -> list[str]:
    """Texts under an attack.

    Args:
        texts: as they were written.
        name: of the attack, a key of the registry ATTACKS.
        seed: with the place of a text it decides what is drawn for it.

    Raises:
        ConfigError: there is no such attack.
    """
    attack, number = ATTACKS.get(name), zlib.crc32(name.encode())
    return [attack(text, np.random.default_rng([seed, number, place])) for place, text in enumerate(texts)]


def with_attacked_copies(train: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """The training rows, and behind them copies of some, each under one attack; equally many of each attack.

    Rows of all labels are copied alike, so that no attack is a sign of a label.

    Args:
        train: the split that is learned from.
        share: of its rows that have a copy.
        seed: draws rows and attacks.
    """
    count = round(share * len(train))
    if not count:
        return train
    rng = np.random.default_rng([seed, 6])
    copies = train.iloc[np.sort(rng.permutation(len(train))[:count])].assign(file=ORIGIN)
    names = sorted(ATTACKS)
    drawn = np.array(names)[rng.permutation(count) % len(names)]
    for column in ("text", "text_pair"):
        if column in copies:
            texts = copies[column].to_numpy(dtype=object, copy=True)
            for name in names:
                mine = np.flatnonzero(drawn == name)
                texts[mine] = attacked(list(texts[mine]), name, seed)
            copies[column] = texts
    log.info(f"Learned from as well: {count} training rows once more, under attacks (data.attacked_copies)")
    return pd.concat([train, copies])
