"""`nlptl export`: a run as a file for other engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from nlptl.cli.help import HOW, WHERE
from nlptl.cli.options import RunArgument, option, out
from nlptl.errors import ConfigError


def export(
    run: RunArgument,
    output: Annotated[Path | None, option(panel=WHERE, metavar="DIR", help="The new folder.")] = None,
    format: Annotated[str, option(panel=HOW, among="exports", help="<exports>.")] = "onnx",
    precision: Annotated[str, option(panel=HOW, among="export-precisions", help="onnx: <export-precisions>.")] = "fp32",
    flips: Annotated[
        float | None,
        option(panel=HOW, metavar="SHARE", help="Test rows that may get another answer; 0 for fp32, 0.01 for int8."),
    ] = None,
    worst_label: Annotated[
        float | None,
        option(panel=HOW, metavar="SHARE", help="Recall that the label which loses most may lose; 0 and 0.025."),
    ] = None,
    probability: Annotated[
        float | None, option(panel=HOW, metavar="P", help="Largest change of a probability; 0.001 and 0.3.")
    ] = None,
    verify: Annotated[
        bool,
        option("--verify", panel=HOW, help="Compare an export that is there with its run's answers, on this machine."),
    ] = False,
) -> None:
    """Write a run for another engine, if it answers there as it does here.

    An ONNX export is compared with the run on the run's test rows: labels, probabilities, decisions, and the label that
    loses most. It is a folder that `nlptl predict` and `evaluate` take like a run.

    Examples:

      nlptl export RUN --output small --precision int8

      nlptl export small --verify

      nlptl predict small "Not half as bad as I feared."
    """
    from nlptl.verbs import export as verbs

    if verify:
        if output is not None:
            raise ConfigError("--verify compares an export that is there; it writes nothing, so leave --output out.")
        _tell(verbs.verify_export(run, flips, worst_label, probability))
        out.print(f"{run} answers on this machine as its run does.", highlight=False)
        return
    if output is None:
        raise ConfigError("Say where the export goes: --output DIR.")
    folder = verbs.export(run, output, format, precision, flips, worst_label, probability)  # type: ignore[arg-type]
    gate = folder / "gate.json"
    if gate.is_file():
        from nlptl.storage.json_files import read_json

        facts = read_json(gate)
        _tell(facts["tasks"])
        if facts["left_out"]:
            out.print(f"{len(facts['left_out'])} layers keep their 32 bits, for their answers would differ.")
    size = sum(path.stat().st_size for path in folder.rglob("model/*") if path.is_file()) or sum(
        path.stat().st_size for path in folder.rglob("*") if path.is_file()
    )
    out.print(f"Written to {folder} ({size / 1e6:.0f} MB of model)", highlight=False)


def _tell(tasks: dict[str, Any]) -> None:
    for name, facts in tasks.items():
        out.print(
            f"{name}: {facts['rows']} test rows; another label {facts['flips']:.2%}, another decision "
            f"{facts['decided_flips']:.2%}; largest change of a probability {facts['probability']:.4f}; accuracy "
            f"{-100 * facts['accuracy_loss']:+.2f} points; worst label {facts['worst_label']!r} "
            f"{-100 * facts['worst_label_loss']:+.1f} points",
            highlight=False,
        )
