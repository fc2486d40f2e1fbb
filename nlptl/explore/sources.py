"""Which other data to learn first: ranked by how near their texts lie to the task's, before any training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from nlptl.checkpoints import is_run
from nlptl.config.run import RunConfig
from nlptl.data.text_corpus.corpus import read_texts
from nlptl.data.tokens.encoding import encode
from nlptl.errors import ConfigError
from nlptl.explore.material import Reader, frozen_classifier, load_material
from nlptl.runs.lineage import open_checkpoint
from nlptl.storage.paths import user_path
from nlptl.training.forward import forward_all
from nlptl.training.runtime import local_runtime

MOST_READ = 100_000
"""Texts of a source among which those that are used are drawn; files may be sorted by label."""


def rank_sources(
    config: RunConfig, sources: Sequence[str], given: Any = None, most: int = 2000
) -> list[dict[str, Any]]:
    """Order data sets by the nearness of their texts to the task's training texts (TextEmb of Vu et al. 2020).

    A data set's texts are embedded by the task's frozen checkpoint; its nearness is the cosine between the mean of
    their vectors and that of the task's. Labels are not read. Vu et al. found that near texts help most often; whether
    these do, `nlptl train --via` tests.

    Args:
        config: says task, data, seed and `model.max_length`.
        sources: files and folders of texts or tables, named once each.
        given: Python data of the task, instead of `config.data.source`.
        most: the largest number of texts of each that are used.

    Returns:
        A row per source, the nearest first: source, nearness (-1 to 1), texts, and seconds.

    Raises:
        ConfigError: a source named twice, or a finished run.
        NlptlError: data or the checkpoint cannot be used.
    """
    twice = sorted({name for name in sources if list(sources).count(name) > 1})
    if twice:
        raise ConfigError(f"Named twice: {', '.join(twice)}. Name each source once.")
    runs = [name for name in sources if is_run(user_path(name))]
    if runs:
        raise ConfigError(
            f"{runs[0]} is a finished run, whose encoder is ranked as a checkpoint: --checkpoints {runs[0]}"
        )
    texts = {name: _drawn(name, config.seed, most) for name in sources}  # a missing one is told before any work
    runtime = local_runtime(config.runtime.precision, config.runtime.progress)
    material = load_material(config, given, most)
    checkpoint = open_checkpoint(material.task.checkpoint)
    pooling = "unit_mean" if checkpoint.pooling == "mean" else checkpoint.pooling
    classifier = frozen_classifier(checkpoint, material, pooling, runtime, config)
    reader = Reader.of(checkpoint, classifier, config, runtime, material)

    def mean_of(frame: pd.DataFrame, what: str) -> np.ndarray:
        encoded = encode(frame, reader.tokenizer, reader.max_length, normaliser=reader.normaliser)
        width, pad = classifier.head.in_features, int(reader.tokenizer.pad_token_id)
        vector = forward_all(runtime, classifier.features, encoded, pad, width, what).mean(0)
        return np.asarray(vector / np.linalg.norm(vector))

    task, rows = mean_of(material.frames["train"], material.task.name), []
    for name, frame in texts.items():
        started = time.perf_counter()
        near = float(mean_of(frame, name) @ task)
        rows.append({"source": name, "nearness": near, "texts": len(frame), "seconds": _since(started)})
    return sorted(rows, key=lambda row: -row["nearness"])


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 2)


def _drawn(source: str, seed: int, most: int) -> pd.DataFrame:
    """Some texts of a source, as a frame with the column `text`."""
    texts = list(islice((text for chunk in read_texts([source]) for text in chunk), MOST_READ))
    order = np.random.default_rng([seed, 13]).permutation(len(texts))[:most]
    return pd.DataFrame({"text": [texts[i] for i in order]})
