"""A run as a file for other engines."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from nlptl.errors import ConfigError, unknown
from nlptl.inference.export.folder import export_onnx
from nlptl.inference.export.folder import verify as compared
from nlptl.inference.export.gate import EXACT, INT8, Budget
from nlptl.inference.export.names import FORMATS, PRECISIONS
from nlptl.inference.predictor import Run
from nlptl.models.modes import ADAPTER
from nlptl.runs.artifact import load_artifact
from nlptl.runs.card import write_card
from nlptl.runs.manifest import MODEL
from nlptl.runs.saving import merge_artifact
from nlptl.storage.paths import user_path


def export(
    run: str | Path | Run,
    output: str | Path,
    format: Literal["onnx", "transformers", "adapter"] = "onnx",
    precision: Literal["fp32", "int8"] = "fp32",
    flips: float | None = None,
    worst_label: float | None = None,
    probability: float | None = None,
) -> Path:
    """Write a run for another engine.

    An ONNX export is a folder that `nlptl.load`, `nlptl predict` and `evaluate` take like a run: the graph, tokenizer,
    calibration, decision policy, scorer and normaliser. It is kept only if it answers as the run does on the run's test
    rows; `gate.json` says how near it came.

    Args:
        run: a run folder, or the opened run.
        output: the new folder.
        format: onnx, transformers or adapter.
        precision: onnx: fp32, or int8: eight bits for all layers; where the comparison fails, the layers that change
            answers most are left as they are, more and more of them, until it holds.
        flips: share of test rows that may get another answer; 0 for fp32, 0.01 for int8.
        worst_label: recall that the label which loses most may lose; 0 and 0.025.
        probability: the largest change of a probability; 0.001 and 0.3.

    Returns:
        The folder.

    Raises:
        NlptlError: the run cannot be exported so, the output exists, or the export does not answer as the run does;
            then nothing is left of it.
    """
    folder, target = run.folder if isinstance(run, Run) else user_path(run), user_path(output)
    if format not in FORMATS:
        raise ConfigError(unknown("export format", format, FORMATS))
    if precision not in PRECISIONS:
        raise ConfigError(unknown("precision of an export", precision, PRECISIONS))
    if format == "onnx":
        export_onnx(folder, target, precision, budget_of(precision, flips, worst_label, probability))
    elif precision != "fp32" or (flips, worst_label, probability) != (None, None, None):
        raise ConfigError(f"precision and budgets are for format onnx; format {format} keeps the weights as they are.")
    elif format == "transformers":
        merge_artifact(folder, target)
        write_card(target)
    else:
        _copy_adapter(folder, target)
    return target


def verify_export(
    export: str | Path,
    flips: float | None = None,
    worst_label: float | None = None,
    probability: float | None = None,
) -> dict[str, Any]:
    """Compare an ONNX export with what its run answered, on this machine: 8-bit arithmetic differs among processors.

    Args:
        export: the folder.
        flips, worst_label, probability: as `export`.

    Returns:
        Task by task what `gate.json` says of the machine that wrote it.

    Raises:
        NlptlError: the folder is no export, or does not answer as its run did.
    """
    folder = user_path(export)
    given = (flips, worst_label, probability)
    return compared(folder, None if given == (None, None, None) else budget_of("int8", *given))


def budget_of(precision: str, flips: float | None, worst_label: float | None, probability: float | None) -> Budget:
    """The usual budget of a precision, with what is asked for otherwise."""
    usual = INT8 if precision == "int8" else EXACT
    return Budget(
        flips=usual.flips if flips is None else flips,
        worst_label=usual.worst_label if worst_label is None else worst_label,
        accuracy=usual.accuracy,
        probability=usual.probability if probability is None else probability,
    )


def _copy_adapter(folder: Path, target: Path) -> None:
    artifact = load_artifact(folder)
    source = folder / MODEL / ADAPTER
    if not source.is_dir():
        raise ConfigError(f"{folder} has no adapter: it was trained in mode {artifact.config.mode}, or was merged.")
    if target.exists():
        raise ConfigError(f"{target} exists already. Choose another --output.")
    aside = target.with_name(target.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(source, aside)
    artifact.tokenizer.save_pretrained(aside)
    for file in (folder / MODEL).glob("head*"):
        shutil.copy(file, aside / file.name)
    aside.rename(target)
