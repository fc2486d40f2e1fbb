"""Commands around the cache of tokens, features and heads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from nlptl.cli.help import OTHER, Command, Group
from nlptl.cli.options import option, out

cache_app = typer.Typer(cls=Group, invoke_without_command=True)


@cache_app.callback()
def show(context: typer.Context) -> None:
    """Show the cache of tokens, features and heads, or clear it.

    Of each kind: how many entries there are, how large they are, and when one was last used.

    The cache lies in the folder that the variable NLPTL_CACHE names, else in ~/.cache/nlptl. It never holds more than
    the variable NLPTL_CACHE_LIMIT allows (default 10GB; 0: nothing): what was used least recently is evicted first.
    """
    if context.invoked_subcommand is not None:
        return
    from nlptl.storage.cache import open_cache
    from nlptl.storage.sizes import show_size

    cache = open_cache()
    entries = cache.entries()
    table = Table("kind", "entries", "size", "last used")
    for kind in sorted({entry.kind for entry in entries}):
        some = [entry for entry in entries if entry.kind == kind]
        used = datetime.fromtimestamp(max(entry.used for entry in some))
        table.add_row(kind, str(len(some)), show_size(sum(entry.size for entry in some)), f"{used:%Y-%m-%d %H:%M}")
    if entries:
        out.print(table)
    total = show_size(sum(entry.size for entry in entries))
    out.print(f"{cache.root}: {total} of at most {show_size(cache.limit)}", highlight=False)


@cache_app.command(cls=Command)
def clear(
    older_than: Annotated[
        str | None, option(panel=OTHER, metavar="AGE", help="Only what was not used for so long: 30m, 12h, 7d, 2w.")
    ] = None,
    kind: Annotated[str | None, option(panel=OTHER, among="cache-kinds", help="Only this kind.")] = None,
) -> None:
    """Remove what is in the cache; whatever a run still needs, it computes again.

    Examples:

      nlptl cache clear

      nlptl cache clear --older-than 7d --kind features
    """
    from nlptl.storage.cache import open_cache
    from nlptl.storage.sizes import parse_age, show_size

    removed = open_cache().clear(None if older_than is None else parse_age(older_than), kind)
    out.print(f"Removed {len(removed)} entries, {show_size(sum(entry.size for entry in removed))}", highlight=False)
