"""Finding groups among unlabelled texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptl.config.keywords import settings_by_key, suggests
from nlptl.data.given import is_path, list_of_texts
from nlptl.explore.config import DiscoverConfig
from nlptl.explore.discovery import Discovery, discover_config
from nlptl.verbs.request import present
from nlptl.verbs.unlabelled_request import checked_discovery

SETTING_OF = {
    "encoding": "texts.encoding",
    "delimiter": "texts.delimiter",
    "quotes": "texts.quotes",
    "limit": "texts.limit",
    "max_length": "texts.max_length",
    "method": "groups.method",
    "groups": "groups.number",
    "most_groups": "groups.most",
    "smallest_group": "groups.smallest",
    "noise": "groups.noise",
    "precision": "runtime.precision",
    "progress": "runtime.progress",
}
"""Keyword -> the dotted setting of DiscoverConfig that it stands for; the others are called as the setting is."""


@suggests(DiscoverConfig)
def discover(
    data: Any = None,
    output: str | Path | None = None,
    *,
    texts: Sequence[str] | None = None,
    text_column: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    quotes: str | None = None,
    checkpoint: str | Path | None = None,
    method: str | None = None,
    groups: int | None = None,
    most_groups: int | None = None,
    smallest_group: int | None = None,
    noise: float | None = None,
    max_length: int | None = None,
    limit: int | None = None,
    seed: int | None = None,
    precision: str | None = None,
    progress: bool | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Discovery:
    """Group unlabelled texts, and draft labels for them.

    Writes `draft.csv` (columns text, label, closeness) for `nlptl tasks new`, `unassigned.csv` with the texts that
    belong to no group, `groups.md`, a readable table, `discovery.json`, and `discover.yaml` with the settings.

    Args:
        data: a file or folder of texts, or a list of them; or a pandas Series or DataFrame, or a `datasets` object.
        output: a folder that does not exist yet. None: `discovered`.
        texts: the texts themselves, instead of `data`.
        text_column: the column of a table that holds the texts. None: `text`, or the only column.
        encoding: of text and CSV files. None: UTF-8, or what a byte order mark says.
        delimiter: what separates the cells of CSV files. None: found out from the file.
        quotes: doubled, backslash or none, as `data.quotes`. None: found out from the file.
        checkpoint: the encoder whose embeddings are clustered; best is one trained for sentences. None: minilm.
        method: kmeans (default), or hdbscan, which leaves many more texts in no group.
        groups: the number of groups. None: the number with the best silhouette (kmeans), or the groups that persist
            over densities (hdbscan).
        most_groups: the largest number of groups that kmeans tries. None: 300.
        smallest_group: the smallest number of texts in a group; smaller groups are dissolved. None: 5.
        noise: for kmeans, the share of the texts, the least certain ones, that are left out of all groups. None: 0.05.
        max_length: tokens kept per text. None: 128.
        limit: the largest number of texts that are read.
        seed: decides everything that is random.
        precision: auto, bf16, fp16 or fp32.
        progress: whether progress bars are shown. None: yes.
        config: a YAML file to start from, such as an earlier folder's discover.yaml.
        settings: any other setting by dotted key, for example `{"groups.smallest": 10}`.

    Raises:
        NlptlError: something asked for cannot be done; the message says what, and what to do.
    """
    keywords = {
        "output": output,
        "encoding": encoding,
        "delimiter": delimiter,
        "quotes": quotes,
        "checkpoint": checkpoint,
        "method": method,
        "groups": groups,
        "most_groups": most_groups,
        "smallest_group": smallest_group,
        "noise": noise,
        "max_length": max_length,
        "limit": limit,
        "seed": seed,
        "precision": precision,
        "progress": progress,
    }
    values, faults = settings_by_key(keywords, settings, SETTING_OF)
    given = list_of_texts(data, text_column) if texts is None else [str(text) for text in texts]
    if given is None and data is not None:
        values["texts.sources"] = [str(path) for path in ([data] if is_path(data) else data)]
    values |= present({"texts.text_column": text_column})
    return discover_config(checked_discovery(config, values, faults), given)
