"""Labels where there are none yet: texts are grouped by their embeddings, and each group is named by its words."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nlptl.checkpoints import Checkpoint, resolve_checkpoint
from nlptl.data.encoding import encode
from nlptl.data.files import TableWriter
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
WORDS, EXAMPLES = 8, 3
FEWEST_TEXTS = 10


@dataclass(frozen=True)
class Group:
    """Texts that belong together."""

    name: str
    size: int
    words: list[str]
    """Most typical first."""
    examples: list[str]
    """The texts nearest to the group's centre."""


@dataclass(frozen=True)
class Discovery:
    """What was found; the same stands in `folder`."""

    folder: Path
    groups: list[Group]
    """Largest first."""
    labels: list[str | None]
    """Of each different text, in their order; None for texts that belong to no group."""
    texts: list[str]
    criterion: str
    tried: dict[int, float]
    """Number of groups -> mean silhouette, where it was searched."""


def discover(
    data: str | Path | Sequence[str | Path] | None = None,
    output: str | Path = "discovered",
    *,
    texts: Sequence[str] | None = None,
    text_column: str | None = None,
    checkpoint: str | Path = "minilm",
    method: str = "kmeans",
    groups: int | None = None,
    most_groups: int = 300,
    smallest_group: int = 5,
    noise: float = 0.05,
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
        data: files or folders of texts.
        output: a folder that does not exist yet.
        texts: the texts themselves, instead of `data`.
        text_column: of tables; None: `text`, or the only column.
        checkpoint: whose embeddings tell what lies together; best one trained for sentences, such as minilm.
        method: kmeans, or hdbscan, which leaves much more aside as noise.
        groups: how many; None: the number with the best silhouette (kmeans) or what persists over densities (hdbscan).
        most_groups: of the search.
        smallest_group: a smaller one is dissolved.
        noise: kmeans: share of the texts, the least sure ones, that are left out of all groups.
        max_length: tokens per text.
        limit: read no more texts than this.
        seed: of everything random.
        precision: auto, bf16, fp16 or fp32.
        progress: show bars.

    Raises:
        NlptlError: a name that is not known, too few texts, or an output that exists.
    """
    folder = user_path(output)
    _check(folder, method, groups, noise)
    found = resolve_checkpoint(str(checkpoint))
    paths = [data] if isinstance(data, str | Path) else list(data or [])
    chunks: Iterator[list[str]] = read_texts([str(path) for path in paths], text_column, None, limit)
    everything = chain.from_iterable(chunks) if texts is None else (str(text) for text in texts if str(text).strip())
    unique = list(dict.fromkeys(everything))
    least = max(FEWEST_TEXTS, groups or 0)
    if len(unique) < least:
        raise DataError(f"There are {len(unique)} different texts; at least {least} are needed.")
    runtime = start_runtime(precision, progress=progress)
    vectors = _embed(runtime, found, unique, max_length)
    result = cluster(
        vectors,
        method,
        groups,
        most_groups,
        smallest_group,
        noise,
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


def _check(folder: Path, method: str, groups: int | None, noise: float) -> None:
    if method not in METHODS:
        raise ConfigError(unknown("method", method, METHODS))
    if method == "hdbscan" and groups is not None:
        raise ConfigError("hdbscan finds the number of groups by itself. Leave --groups out, or use --method kmeans.")
    if (groups is not None and groups < 2) or not 0 <= noise < 1:
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
    """The whole folder aside, then renamed."""
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
