"""A run or a comparison as one HTML file for people."""

from __future__ import annotations

from pathlib import Path

from nlptl.errors import ConfigError
from nlptl.inference.predictor import Run
from nlptl.reports.report import report_of, write_page
from nlptl.storage.paths import user_path

NAME = "report.html"
_ENDINGS = (".html", ".htm")


def report(
    source: str | Path | Run,
    output: str | Path | None = None,
    *,
    texts: bool = True,
    figures: str | Path | None = None,
) -> Path:
    """Write what a finished run, or a comparison, has to say into one HTML file of at most 2 MB.

    The file needs nothing else: no request is made when it is opened. It is made from the files of the run folder; the
    model is not opened.

    Args:
        source: a run folder, the opened run, or the folder or `comparison.json` of a comparison.
        output: the file; an older report of that name is replaced. Default: `report.html` in the folder of the source.
        texts: whether texts of test rows may stand in it.
        figures: a folder to which each figure is also written alone, as SVG.

    Returns:
        The file.

    Raises:
        ConfigError: the output is no HTML file, or its folder is not there.
        ArtifactError: the source is neither a finished run nor a comparison, or is damaged.
        MissingExtraError: matplotlib (extra `plots`) is not installed.
    """
    folder = source.folder if isinstance(source, Run) else user_path(source)
    path = _output(folder, output)
    content, drawings = report_of(folder, texts)
    if figures is not None:
        drawings.save(user_path(figures))
    write_page(content, path)
    return path


def _output(source: Path, output: str | Path | None) -> Path:
    if output is None:
        return (source.parent if source.is_file() else source) / NAME
    path = user_path(output)
    if path.suffix.lower() not in _ENDINGS:
        raise ConfigError(f"--output {path}: a report is an HTML file. Name it with .html at the end.")
    if not path.parent.is_dir():
        raise ConfigError(f"--output {path}: there is no folder {path.parent}. Make it first.")
    if path.is_dir():
        raise ConfigError(f"--output {path} is a folder. Choose another name.")
    return path
