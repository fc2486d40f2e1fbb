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
        list[str],
        typer.Option(
            metavar="FILE|DIR",
            help="Texts: .txt (one a line), CSV, TSV, JSONL, Parquet, or a folder of them; can be repeated.",
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for the draft and the table of groups.")],
    text_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with the texts. Default: text, or the only column.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of text and CSV files. Default: UTF-8, or what a byte order mark says.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of CSV files. Default: found out from the file.")] = None,
    quotes: Annotated[
        str | None, typer.Option(help="In CSV files: doubled, backslash or none. Default: found out from the file.")
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="NAME|ID|DIR", help="Whose embeddings tell which texts belong together.")
    ] = "minilm",
    method: Annotated[str, typer.Option(help="kmeans, or hdbscan, which leaves more texts aside.")] = "kmeans",
    groups: Annotated[
        int | None, typer.Option(help="How many. Default: the number with the best silhouette, up to --most-groups.")
    ] = None,
    most_groups: Annotated[
        int | None, typer.Option(help="The largest number of groups that kmeans tries. Default: 300.")
    ] = None,
    smallest_group: Annotated[int, typer.Option(help="Groups of fewer texts are dissolved.")] = 5,
    noise: Annotated[
        float | None,
        typer.Option(help="For kmeans: the share of the texts, the least certain, that joins no group. Default: 0.05."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Read no more texts than this.")] = None,
    max_length: Annotated[int, typer.Option(help="Tokens kept per text.")] = 128,
    precision: Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32.")] = "auto",
    seed: Annotated[int, typer.Option(help="Decides everything that is random.")] = 0,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Show no progress bars.")] = False,
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
        encoding=encoding,
        delimiter=delimiter,
        quotes=quotes,
        checkpoint=checkpoint,
        method=method,
        groups=groups,
        most_groups=most_groups,
        smallest_group=smallest_group,
        noise=noise,
        limit=limit,
        max_length=max_length,
        precision=precision,
        seed=seed,
        progress=not no_progress,
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
