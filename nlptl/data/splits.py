"""Cutting splits and few-shot samples: stratified, seeded, and never through a repeated text."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nlptl.data.text_keys import keys_of


def cut(frame: pd.DataFrame, fraction: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut a share of the rows off, label by label (for several labels a row: by the rarest of them).

    Rows with the same text (see `text_key`) stay together. A label with two or more texts has at least one on each
    side; a label with a single text stays whole in the larger part.

    Args:
        frame: the rows; index order does not matter to the draw, only row order and seed do.
        fraction: share of the texts of each label that is cut off.
        seed: draws the same rows for the same frame.

    Returns:
        (the rest, the part cut off), both in the frame's order.
    """
    keys = keys_of(frame).to_numpy()
    labels = strata(frame["label"])
    rng = np.random.default_rng([seed, 1])
    first_rows = pd.DataFrame({"key": keys, "label": labels}).drop_duplicates("key")
    chosen = [np.zeros(0, np.int64)]
    for _, group in first_rows.groupby("label", sort=True):
        texts = group["key"].to_numpy()
        if len(texts) < 2:
            continue
        count = min(max(1, round(fraction * len(texts))), len(texts) - 1)
        chosen.append(rng.permutation(texts)[:count])
    off = np.isin(keys, np.concatenate(chosen))
    return frame[~off], frame[off]


def draw_shots(frame: pd.DataFrame, shots: int, seed: int) -> pd.DataFrame:
    """At most `shots` rows of each label (each rarest label of a row), drawn with the seed, in the frame's order."""
    rng = np.random.default_rng([seed, 2])
    labels = strata(frame["label"])
    keep: list[int] = []
    for label in sorted(set(labels)):
        keep.extend(rng.permutation(np.flatnonzero(labels == label))[:shots])
    return frame.iloc[sorted(keep)]


def strata(labels: pd.Series) -> np.ndarray:
    """Each row's label; of several, the rarest, so that combinations that occur once are cut like all others."""
    if not len(labels) or not isinstance(labels.iloc[0], list):
        return np.asarray(labels.map(str))
    count = labels.explode().value_counts()
    return np.array([min(names, key=lambda name: (count[name], name), default="") for names in labels], dtype=object)
