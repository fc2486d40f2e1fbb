"""DiscoverConfig: everything that a search for groups of texts is, in one record; imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nlptl.config.data import Delimiter, Quotes
from nlptl.config.records import NOTHING, Record
from nlptl.config.training import Positive


class TextsConfig(Record):
    """Which texts are read, and how."""

    sources: list[str] = []
    """Files, or folders of them: .txt (one text a line), CSV, TSV, JSONL, JSON, Parquet."""
    text_column: str | None = None
    """The column with the texts. None: `text`, or the only column."""
    encoding: str | None = None
    """Text encoding of .txt, CSV and JSONL files. None: UTF-8, or what a byte order mark says."""
    delimiter: Delimiter | None = None
    """What separates the cells of CSV files. None: found out from the file."""
    quotes: Quotes | None = None
    """How quote marks are used in CSV files, as `data.quotes`. None: found out from the file."""
    limit: Positive | None = None
    """Read no more texts than this."""
    max_length: Annotated[int, Field(ge=4)] = 128
    """Tokens kept per text."""


class GroupsConfig(Record):
    """How texts are grouped."""

    method: Literal["kmeans", "hdbscan"] = "kmeans"
    """hdbscan leaves many more texts in no group."""
    number: Annotated[int, Field(ge=2)] | None = None
    """kmeans: how many groups. None: the number with the best silhouette."""
    most: Annotated[int, Field(ge=2)] = 300
    """kmeans: the largest number of groups that is tried."""
    smallest: Positive = 5
    """Groups of fewer texts are dissolved."""
    noise: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """kmeans: the share of the texts, the least certain ones, that are left out of all groups."""


class DiscoverRuntimeConfig(Record):
    """Where and how it runs."""

    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """auto: what the accelerate config says, else bf16 where the hardware computes it fast, else fp32."""
    progress: bool = Field(default=True, json_schema_extra=NOTHING)
    """Progress bars, on a terminal or in a notebook. Elsewhere, or without, the log says how far long work is."""


class DiscoverConfig(Record):
    """All that a search for groups of texts is. `nlptl discover --config FOLDER/discover.yaml` repeats it."""

    checkpoint: str = "minilm"
    """The encoder whose embeddings are grouped: a name, a Hub id or a folder."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Decides everything that is random."""
    output: str | None = Field(default=None, json_schema_extra=NOTHING)
    """A folder that does not exist yet. None: `discovered`."""
    texts: TextsConfig = TextsConfig()
    groups: GroupsConfig = GroupsConfig()
    runtime: DiscoverRuntimeConfig = DiscoverRuntimeConfig()
