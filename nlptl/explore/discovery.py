"""Intent discovery: unlabelled texts are clustered by their embeddings, and groups are named by typical words."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from nlptl.checkpoints import Checkpoint, resolve_checkpoint
from nlptl.config.data import DataConfig
from nlptl.config.keywords import suggests
from nlptl.config.records import validate
from nlptl.data.encoding import encode
from nlptl.data.files import OPTIONS, Dialect, TableWriter
from nlptl.data.given import is_path, list_of_texts
from nlptl.data.text_corpus.corpus import read_texts
from nlptl.errors import ArtifactError, ConfigError, DataError, unknown
from nlptl.explore.clusters import NOISE, Clustering, cluster, medoids
from nlptl.explore.typical_words import group_names, typical_words
from nlptl.kernels import KernelSettings, enable
from nlptl.models.opening import longest_input, open_tokenizer
from nlptl.models.sentence_encoder import SentenceEncoder, open_encoder
from nlptl.storage.json_files import write_json
from nlptl.storage.paths import user_path
from nlptl.training.forward import forward_all
from nlptl.training.runtime import Runtime, start_runtime

log = logging.getLogger("nlptl")
METHODS = ("hdbscan", "kmeans")
MOST_GROUPS = 300
"""The largest number of groups that is tried, where none is given."""
NOISE_SHARE = 0.05
"""The share of the texts that kmeans leaves out of all groups, where none is given."""
WORDS, EXAMPLES = 8, 3
FEWEST_TEXTS = 10


@dataclass(frozen=True)
class Group:
    """A group of texts that belong together."""

    name: str
    size: int
    words: list[str]
    """Its typical words, the most typical first."""
    examples: list[str]
    """The texts nearest to the centre of the group."""


@dataclass(frozen=True)
class Discovery:
    """The groups that were found; the files in `folder` hold the same."""

    folder: Path
    groups: list[Group]
    """The groups, the largest first."""
    labels: list[str | None]
    """The label of each different text, in the order of `texts`; None for texts that belong to no group."""
    texts: list[str]
    """The different texts, in the order in which they were read."""
    criterion: str
    """How the number of groups was chosen."""
    tried: dict[int, float]
    """Number of groups -> mean silhouette, for the numbers that were tried."""


@suggests()
def discover(
    data: Any = None,
    output: str | Path = "discovered",
    *,
    texts: Sequence[str] | None = None,
    text_column: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    quotes: str | None = None,
    checkpoint: str | Path = "minilm",
    method: str = "kmeans",
    groups: int | None = None,
    most_groups: int | None = None,
    smallest_group: int = 5,
    noise: float | None = None,
    max_length: int = 128,
    limit: int | None = None,
    seed: int = 0,
    precision: str = "auto",
    progress: bool = True,
) -> Discovery:
    """Group unlabelled texts, and draft labels for them.

    Writes `draft.csv` (columns text, label, closeness) for `nlptl tasks new`, `unassigned.csv` with the texts that
    belong to no group, `groups.md`, a readable table, and `discovery.json`.

    Args:
        data: a file or folder of texts, or a list of them; or a pandas Series or DataFrame, or a `datasets` object.
        output: a folder that does not exist yet.
        texts: the texts themselves, instead of `data`.
        text_column: the column of a table that holds the texts. None: `text`, or the only column.
        encoding: of text and CSV files. None: UTF-8, or what a byte order mark says.
        delimiter: what separates the cells of CSV files. None: found out from the file.
        quotes: doubled, backslash or none, as `data.quotes`. None: found out from the file.
        checkpoint: the encoder whose embeddings are clustered; best is one trained for sentences, such as minilm.
        method: kmeans, or hdbscan, which leaves many more texts in no group.
        groups: the number of groups. None: the number with the best silhouette (kmeans), or the groups that persist
            over densities (hdbscan).
        most_groups: the largest number of groups that kmeans tries. None: 300.
        smallest_group: the smallest number of texts in a group; smaller groups are dissolved.
        noise: for kmeans, the share of the texts, the least certain ones, that are left out of all groups. None: 0.05.
        max_length: tokens kept per text.
        limit: the largest number of texts that are read.
        seed: decides everything that is random.
        precision: auto, bf16, fp16 or fp32.
        progress: whether progress bars are shown.

    Raises:
        NlptlError: a name is not known, there are too few texts, or the output exists.
    """
    folder = user_path(output)
    _check(folder, method, groups, most_groups, noise)
    found = resolve_checkpoint(str(checkpoint))
    written = {"encoding": encoding, "delimiter": delimiter, "quotes": quotes}
    asked = validate(DataConfig, written, "How the files are written")
    dialect = Dialect(asked.encoding, asked.delimiter, asked.quotes, OPTIONS)
    unique = list(dict.fromkeys(_texts(data, texts, text_column, dialect, limit)))
    least = max(FEWEST_TEXTS, groups or 0)
    if len(unique) < least:
        raise DataError(f"There are {len(unique)} different texts; at least {least} are needed.")
    runtime = start_runtime(precision, progress=progress)
    vectors = _embed(runtime, found, unique, max_length)
    result = cluster(
        vectors,
        method,
        groups,
        MOST_GROUPS if most_groups is None else most_groups,
        smallest_group,
        NOISE_SHARE if noise is None else noise,
        seed,
        lambda counts: runtime.track(list(counts), "trying numbers of groups", unit="number"),
    )
    discovery = _name(folder, unique, vectors, result)
    if runtime.is_main:
        _write(discovery, result, found, len(unique))
        aside = discovery.labels.count(None)
        log.info(f"{len(discovery.groups)} groups in {len(unique)} different texts, {aside} in none: {folder}")
    runtime.barrier()
    return discovery


def _texts(
    data: Any, texts: Sequence[str] | None, text_column: str | None, dialect: Dialect, limit: int | None
) -> Iterator[str]:
    if data is None and texts is None:
        raise ConfigError("There is nothing to group. Give files of texts as data, or the texts themselves.")
    given = list_of_texts(data, text_column) if texts is None else [str(text) for text in texts]
    if given is not None:
        return islice((text for text in given if text.strip()), limit)
    paths = [data] if is_path(data) else data
    return chain.from_iterable(read_texts([str(path) for path in paths], text_column, dialect, limit))


def _check(folder: Path, method: str, groups: int | None, most_groups: int | None, noise: float | None) -> None:
    if method not in METHODS:
        raise ConfigError(unknown("method", method, METHODS))
    searched = {"groups": groups, "most_groups": most_groups, "noise": noise}
    given = [name for name, value in searched.items() if value is not None]
    if method == "hdbscan" and given:
        raise ConfigError(
            f"hdbscan finds the number of groups and the texts of none by itself. Leave {', '.join(given)} out, or use "
            "method kmeans."
        )
    if groups is not None and most_groups is not None:
        raise ConfigError("most_groups limits the search for a number of groups; groups gives that number. Give one.")
    if (groups is not None and groups < 2) or not 0 <= (noise or 0) < 1:
        raise ConfigError(f"groups must be at least 2 and noise from 0 to below 1 (given: {groups}, {noise}).")
    if folder.exists():
        raise ArtifactError(f"{folder} exists already. Choose another --output, or remove it.")


def _embed(runtime: Runtime, checkpoint: Checkpoint, texts: list[str], max_length: int) -> np.ndarray:
    """(texts, H) float32."""
    torch.manual_seed(0)
    encoder = SentenceEncoder(open_encoder(checkpoint.path), checkpoint.pooling)
    enable(encoder, KernelSettings())
    encoder.to(runtime.device).eval()
    tokenizer = open_tokenizer(checkpoint.path, encoder.config)
    length = longest_input(tokenizer, encoder.config, max_length)
    encoded = encode(pd.DataFrame({"text": texts}), tokenizer, length)
    width = int(encoder.config.hidden_size)
    return forward_all(runtime, encoder, encoded, int(tokenizer.pad_token_id), width, "embedding")


def _name(folder: Path, texts: list[str], vectors: np.ndarray, result: Clustering) -> Discovery:
    words = typical_words(texts, result.groups, WORDS)
    names = group_names(words)
    groups = [
        Group(
            name,
            int((result.groups == number).sum()),
            words[number],
            [texts[row] for row in medoids(vectors, result.groups, number, EXAMPLES)],
        )
        for number, name in enumerate(names)
    ]
    labels = [None if group == NOISE else names[group] for group in result.groups]
    return Discovery(folder, groups, labels, texts, result.criterion, result.tried)


def _write(discovery: Discovery, result: Clustering, checkpoint: Checkpoint, texts: int) -> None:
    """Write the folder under another name, and rename it when it is complete."""
    aside = discovery.folder.with_name(discovery.folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    frame = pd.DataFrame({"text": discovery.texts, "label": discovery.labels, "closeness": result.closeness.round(4)})
    order = {group.name: number for number, group in enumerate(discovery.groups)}
    frame["order"] = frame["label"].map(order)
    frame = frame.sort_values(["order", "closeness"], ascending=[True, False], kind="stable")
    has_group = frame["label"].notna()
    parts = {
        "draft": frame.loc[has_group, ["text", "label", "closeness"]],
        "unassigned": frame.loc[~has_group, ["text"]],
    }
    for name, part in parts.items():
        with TableWriter(aside / f"{name}.csv") as writer:
            writer.write(part)
    (aside / "groups.md").write_text(summary(discovery), encoding="utf-8")
    facts = {
        "checkpoint": checkpoint.record(),
        "texts": texts,
        "unassigned": discovery.labels.count(None),
        "criterion": discovery.criterion,
        "tried": {str(count): score for count, score in sorted(discovery.tried.items())},
        "groups": [group.__dict__ for group in discovery.groups],
    }
    write_json(aside / "discovery.json", facts)
    aside.rename(discovery.folder)


def summary(discovery: Discovery) -> str:
    """A Markdown table of the groups: name, size, typical words, typical text."""
    lines = [
        f"{len(discovery.groups)} groups, {len(discovery.texts)} different texts, "
        f"{discovery.labels.count(None)} in no group. Number of groups: {discovery.criterion}.",
        "",
        "| label | texts | typical words | typical text |",
        "|---|---|---|---|",
    ]
    for group in discovery.groups:
        cells = [group.name, str(group.size), ", ".join(group.words), group.examples[0] if group.examples else ""]
        lines.append("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
