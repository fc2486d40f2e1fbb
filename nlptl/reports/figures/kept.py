"""The figures of one report: in the page, each under ids of its own, and in files of their own where asked for."""

from __future__ import annotations

from pathlib import Path

from nlptl.errors import ConfigError
from nlptl.reports.figures.style import inlined


class Drawings:
    """What has been drawn so far."""

    def __init__(self) -> None:
        self._documents: dict[str, str] = {}

    def inline(self, name: str, svg: str, description: str) -> str:
        """Keep a figure, and give it as an element for the page.

        Args:
            name: of its file, without an ending; no two figures of a report have the same.
            svg: a document.
            description: what it shows, in words.
        """
        assert name not in self._documents, f"two figures {name}"
        self._documents[name] = svg
        return inlined(svg, f"figure-{len(self._documents)}", description)

    def save(self, folder: Path) -> list[Path]:
        """Write each to a file of its own.

        Args:
            folder: made where it is not there yet.

        Raises:
            ConfigError: it is a file, or cannot be made or written.
        """
        paths = [folder / f"{name}.svg" for name in self._documents]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path, svg in zip(paths, self._documents.values(), strict=True):
                path.write_text(svg, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"The figures cannot be written to {folder}: {error.strerror or error}.") from error
        return paths
