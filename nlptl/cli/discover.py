"""`nlptl discover`: labels for texts that have none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nlptl.cli.options import out

SHOWN = 20


def discover(
    data: Annotated[
        list[str], typer.Option(metavar="FILE|DIR", help="Texts: .txt (one a line), CSV, TSV, JSONL, Parquet.")
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for the draft and the table of groups.")],
    text_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="Default: text.")] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="NAME|ID|DIR", help="Whose embeddings tell which texts belong together.")
    ] = "minilm",
    method: Annotated[str, typer.Option(help="kmeans, or hdbscan, which leaves more texts aside.")] = "kmeans",
    groups: Annotated[
        int | None, typer.Option(help="How many. Default: the number with the best silhouette, up to --most-groups.")
    ] = None,
    most_groups: Annotated[int, typer.Option(help="Of the search.")] = 300,
    smallest_group: Annotated[int, typer.Option(help="A smaller group is dissolved.")] = 5,
    noise: Annotated[float, typer.Option(help="kmeans: share of the texts, the least sure ones, left aside.")] = 0.05,
    limit: Annotated[int | None, typer.Option(help="Read no more texts than this.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Group unlabelled texts, name the groups, and draft a labelled file from them.

    Examples:

      nlptl discover --data chats.csv --text-column message --output intents

      nlptl tasks new intents --data intents/draft.csv
    """
    from nlptl.explore.discovery import discover as find_groups

    found = find_groups(
        data,
        output,
        text_column=text_column,
        checkpoint=checkpoint,
        method=method,
        groups=groups,
        most_groups=most_groups,
        smallest_group=smallest_group,
        noise=noise,
        limit=limit,
        seed=seed,
    )
    if int(os.environ.get("RANK", "0")) != 0:
        return
    table = Table("label", "texts", "typical text")
    for group in found.groups[:SHOWN]:
        table.add_row(group.name, str(group.size), group.examples[0][:100])
    out.print(table)
    if len(found.groups) > SHOWN:
        out.print(f"and {len(found.groups) - SHOWN} more in {output}/groups.md", highlight=False)
    out.print(
        f"Read {output}/draft.csv, correct it, and make it a task: nlptl tasks new NAME --data {output}/draft.csv",
        highlight=False,
    )
