"""Intent discovery: unlabelled texts are clustered by their embeddings, and groups are named by typical words."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nlptl.checkpoints import Checkpoint
from nlptl.config.records import write_yaml
from nlptl.data.files import OPTIONS, Dialect, TableWriter
from nlptl.data.text_corpus.corpus import read_texts
from nlptl.data.tokens.encoding import encode
from nlptl.errors import ArtifactError, ConfigError, DataError
from nlptl.explore.clusters import NOISE, Clustering, cluster, medoids
from nlptl.explore.config import DiscoverConfig
from nlptl.explore.typical_words import group_names, typical_words
from nlptl.kernels import KernelSettings, enable
from nlptl.models.opening import longest_input, open_tokenizer
from nlptl.models.sentence_encoder import SentenceEncoder, open_encoder
from nlptl.runs.lineage import open_checkpoint
from nlptl.storage.json_files import write_json
from nlptl.storage.paths import user_path
from nlptl.training.forward import forward_all
from nlptl.training.runtime import Runtime, start_runtime

log = logging.getLogger("nlptl")
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


def discover_config(config: DiscoverConfig, given: Sequence[str] | None = None) -> Discovery:
    """Group the texts that a DiscoverConfig names; see `nlptl.discover`.

    Args:
        config: the settings.
        given: the texts themselves.

    Raises:
        NlptlError: there are too few texts, the checkpoint cannot be had, or the output exists.
    """
    folder = user_path(config.output or "discovered")
    if folder.exists():
        raise ArtifactError(f"{folder} exists already. Choose another --output, or remove it.")
    groups = config.groups
    found = open_checkpoint(config.checkpoint)
    unique = list(dict.fromkeys(_texts(config, given)))
    least = max(FEWEST_TEXTS, groups.number or 0)
    if len(unique) < least:
        raise DataError(f"There are {len(unique)} different texts; at least {least} are needed.")
    runtime = start_runtime(config.runtime.precision, progress=config.runtime.progress)
    vectors = _embed(runtime, found, unique, config.texts.max_length)
    result = cluster(
        vectors,
        groups.method,
        groups.number,
        groups.most,
        groups.smallest,
        groups.noise,
        config.seed,
        lambda counts: runtime.track(list(counts), "trying numbers of groups", unit="number"),
    )
    discovery = _name(folder, unique, vectors, result)
    if runtime.is_main:
        _write(discovery, result, found, config)
        aside = discovery.labels.count(None)
        log.info(f"{len(discovery.groups)} groups in {len(unique)} different texts, {aside} in none: {folder}")
    runtime.barrier()
    return discovery


def _texts(config: DiscoverConfig, given: Sequence[str] | None) -> Iterator[str]:
    texts = config.texts
    if given is not None:
        return islice((text for text in given if text.strip()), texts.limit)
    if not texts.sources:
        raise ConfigError("There is nothing to group. Give --data with files of texts.")
    dialect = Dialect(texts.encoding, texts.delimiter, texts.quotes, OPTIONS)
    return chain.from_iterable(read_texts(texts.sources, texts.text_column, dialect, texts.limit))


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


def _write(discovery: Discovery, result: Clustering, checkpoint: Checkpoint, config: DiscoverConfig) -> None:
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
    write_yaml(aside / "discover.yaml", config.model_copy(update={"output": None}))
    (aside / "groups.md").write_text(summary(discovery), encoding="utf-8")
    facts = {
        "checkpoint": checkpoint.record(),
        "texts": len(discovery.texts),
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
