"""`nlptl discover`: labels for texts that have none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from rich.table import Table

from nlptl.cli.help import DATA, HOW, WHERE
from nlptl.cli.options import CheckpointOption, Delimiter, Encoding, Quotes, Seed, Settings, assigned, option, out
from nlptl.explore.config import DiscoverConfig

SHOWN = 20


def discover(
    data: Annotated[
        list[str] | None,
        option(
            panel=DATA,
            metavar="FILE|DIR",
            help="Texts: .txt (one a line), CSV, TSV, JSONL, Parquet, or a folder of them; can be repeated.",
        ),
    ] = None,
    text_column: Annotated[
        str | None,
        option(panel=DATA, metavar="COLUMN", help="Column with the texts. Default: text, or the only column."),
    ] = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quotes: Quotes = None,
    limit: Annotated[int | None, option(panel=DATA, metavar="N", help="Read no more texts than this.")] = None,
    checkpoint: CheckpointOption = None,
    method: Annotated[
        str | None,
        option(panel=HOW, among="groupings", help="hdbscan leaves more texts aside. Default: kmeans."),
    ] = None,
    groups: Annotated[
        int | None,
        option(
            panel=HOW,
            metavar="N",
            help="How many. Default: the number with the best silhouette, up to --most-groups.",
        ),
    ] = None,
    most_groups: Annotated[
        int | None,
        option(panel=HOW, metavar="N", help="The largest number of groups that kmeans tries. Default 300."),
    ] = None,
    smallest_group: Annotated[
        int | None, option(panel=HOW, metavar="N", help="Groups of fewer texts are dissolved. Default 5.")
    ] = None,
    noise: Annotated[
        float | None,
        option(
            panel=HOW,
            metavar="SHARE",
            help="For kmeans: the share of the texts, the least certain, that joins no group. Default 0.05.",
        ),
    ] = None,
    max_length: Annotated[int | None, option(panel=HOW, metavar="N", help="Tokens kept per text. Default 128.")] = None,
    precision: Annotated[str | None, option(panel=HOW, among="precisions", help="Default: auto.")] = None,
    seed: Seed = None,
    no_progress: Annotated[bool, option("--no-progress", panel=HOW, help="Show no progress bars.")] = False,
    config: Annotated[
        Path | None, option(panel=HOW, metavar="YAML", help="Start from a file, such as FOLDER/discover.yaml.")
    ] = None,
    settings: Settings = None,
    output: Annotated[
        str | None,
        option(
            panel=WHERE, metavar="DIR", help="A new folder for the draft and the table of groups. Default: discovered."
        ),
    ] = None,
) -> None:
    """Group unlabelled texts, name the groups, and draft a labelled file from them.

    Examples:

      nlptl discover --data chats.csv --text-column message --output intents

      nlptl tasks new intents --data intents/draft.csv
    """
    chosen = {
        "texts.sources": data or None,
        "texts.text_column": text_column,
        "texts.encoding": encoding,
        "texts.delimiter": delimiter,
        "texts.quotes": quotes,
        "texts.limit": limit,
        "texts.max_length": max_length,
        "checkpoint": checkpoint,
        "groups.method": method,
        "groups.number": groups,
        "groups.most": most_groups,
        "groups.smallest": smallest_group,
        "groups.noise": noise,
        "runtime.precision": precision,
        "runtime.progress": False if no_progress else None,
        "seed": seed,
        "output": output,
    }
    from nlptl.verbs.unlabelled_request import checked_discovery

    values, faults = assigned(settings, DiscoverConfig)
    flags = {key: value for key, value in chosen.items() if value is not None}
    resolved = checked_discovery(config, {**values, **flags}, faults)
    from nlptl.explore.discovery import discover_config

    found = discover_config(resolved)
    if int(os.environ.get("RANK", "0")) != 0:
        return
    table = Table("label", "texts", "typical text")
    for group in found.groups[:SHOWN]:
        table.add_row(group.name, str(group.size), group.examples[0][:100])
    out.print(table)
    if len(found.groups) > SHOWN:
        out.print(f"and {len(found.groups) - SHOWN} more in {found.folder}/groups.md", highlight=False)
    draft = found.folder / "draft.csv"
    out.print(f"Read {draft}, correct it, and make it a task: nlptl tasks new NAME --data {draft}", highlight=False)
