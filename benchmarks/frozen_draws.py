"""Frozen features of a public data set, computed once, and draws of train, validation and test rows from them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

FRAUD = {"spam": "fraud", "smishing": "fraud", "ham": "legitimate"}


class Draw(NamedTuple):
    """Logits (rows, labels) and label ids (rows,) of rows that a probe of frozen features did not learn from."""

    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


class Pool(NamedTuple):
    """A data set without its repeated texts."""

    features: np.ndarray
    """(N, H) of the bundled checkpoint."""
    targets: np.ndarray
    """(N,) ids of the sorted labels."""
    labels: list[str]

    def draw(self, seed: int, train: int, validation: int, test: Pool | None = None) -> Draw:
        """So many rows to learn from and for validation, label by label, and the rest, or another pool, as test."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split

        every = np.arange(len(self.targets))
        learned, rest = train_test_split(every, train_size=train, random_state=seed, stratify=self.targets)
        held, new = train_test_split(rest, train_size=validation, random_state=seed, stratify=self.targets[rest])
        probe = LogisticRegression(C=3.0, max_iter=500).fit(self.features[learned], self.targets[learned])
        other = (self.features[new], self.targets[new]) if test is None else (test.features, test.targets)
        parts = ((self.features[held], self.targets[held]), other)
        return Draw(*((_logits(probe, features), targets) for features, targets in parts))


def pool_of(files: list[Path]) -> Pool:
    """The rows of files with the columns text and label.

    Args:
        files: of one data set.
    """
    import pandas as pd

    import nlptl

    frame = pd.concat([pd.read_csv(file, keep_default_na=False) for file in files]).drop_duplicates("text")
    names = frame["label"].astype(str).map(lambda name: FRAUD.get(name, name))
    labels = sorted(set(names))
    with tempfile.TemporaryDirectory() as folder:
        settings = {"runtime.progress": False}
        sample = frame.assign(label=names).groupby("label").head(20)
        run = nlptl.train(
            "chatbot-intent", data=sample, mode="feature_extraction", output=Path(folder) / "run", settings=settings
        )
        features = run.features(frame["text"].tolist())
    return Pool(features, names.map(labels.index).to_numpy(), labels)


def _logits(probe: object, features: np.ndarray) -> np.ndarray:
    decided = np.asarray(probe.decision_function(features), np.float32)  # type: ignore[attr-defined]
    return np.stack([np.zeros_like(decided), decided], 1) if decided.ndim == 1 else decided
