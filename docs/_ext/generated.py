"""Parts of the reference that are made from the code: a page's line `<!-- generated: NAME -->` is replaced by them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import cli_reference
import registry_reference
import settings_reference
from sphinx.application import Sphinx

SOURCES: Mapping[str, Callable[[], str]] = {
    "cli": cli_reference.markdown,
    "settings": settings_reference.markdown,
    "registries": registry_reference.markdown,
}
MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = MARK.sub(lambda found: SOURCES[found[1]](), source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
