"""An exported run: written beside its run, compared with it, and compared again where it is to be used."""

from __future__ import annotations

import logging
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.files import read_frame
from nlptl.data.tokens.encoding import Encoded
from nlptl.errors import ArtifactError, ConfigError, DataError
from nlptl.inference.export.gate import EXACT, INT8, Budget, Comparison, compare
from nlptl.inference.export.names import GATE, GRAPH, KIND, REFERENCE
from nlptl.inference.export.predictor import OnnxPredictor, open_session
from nlptl.inference.opened import OpenRun
from nlptl.runs.answers import SplitAnswers, read_answers
from nlptl.runs.artifact import ALONE, BASELINE_RUNS, STRAIGHT, Artifact, head_folder
from nlptl.runs.lineage import VIA, long_text_of, open_classifier
from nlptl.runs.manifest import FORMAT, MODEL, digests_of
from nlptl.runs.reread import ROWS, reread
from nlptl.storage.json_files import read_json, write_json

log = logging.getLogger("nlptl")
LEFT_OUT = {MODEL, "manifest.json", "state", ALONE, BASELINE_RUNS, STRAIGHT, VIA, ROWS}
"""Of the run folder: what belongs to its own model, and runs inside it."""
SAMPLE = 256
"""Training texts that the sensitivity of layers is measured on."""


def export_onnx(folder: Path, output: Path, precision: str, budget: Budget | None) -> dict[str, Any]:
    """Write a run as an ONNX graph with its tokenizer, decision and numbers, if it answers as the run does.

    Args:
        folder: of a finished run.
        output: the new folder.
        precision: fp32, or int8: then layers are left out until the comparison holds.
        budget: how far answers may be from the run's; None: rounding alone for fp32, `gate.INT8` for int8.

    Returns:
        What `gate.json` says, task by task.

    Raises:
        ArtifactError: the run cannot be exported, or the export does not answer as it does.
        ConfigError: the output exists, or the run reads texts in windows.
        MissingExtraError: the extra `onnx` is not installed.
    """
    if output.exists():
        raise ConfigError(f"{output} exists already. Choose another --output.")
    run = OpenRun(folder, "fp32", progress=False)
    artifact = run.artifact
    if artifact.encoder.long_text.in_windows:
        raise ConfigError(f"{folder} reads long texts in windows, which an exported graph cannot. Export another run.")
    aside = output.with_name(output.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        shutil.copytree(folder, aside, ignore=lambda at, _: LEFT_OUT if Path(at) == folder else set())
        (aside / MODEL).mkdir()
        _write_graph(artifact, aside / MODEL)
        _write_reference(run, aside)
        facts = {"precision": precision, "left_out": []}
        if precision == "int8":
            found, facts["left_out"] = _quantise(artifact, aside, budget or INT8)
        else:
            found = _gate(artifact, aside, aside / MODEL / GRAPH, budget or EXACT)
        _refuse(found, f"{folder} cannot be exported in {precision}")
        write_json(aside / GATE, {**facts, "tasks": {name: each.noted() for name, each in found.items()}})
        write_json(aside / "manifest.json", _manifest(artifact, aside, precision))
        aside.rename(output)
    except OSError as error:
        raise ArtifactError(f"The export {output} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return read_json(output / GATE)


def verify(folder: Path, budget: Budget | None = None) -> dict[str, Any]:
    """Compare an exported folder with what its run answered, on this machine: processors differ in 8-bit arithmetic.

    Args:
        folder: of an export.
        budget: as `export_onnx`.

    Returns:
        The comparison of each task.

    Raises:
        ArtifactError: it is no export, or does not answer as its run did.
    """
    run = OpenRun(folder, progress=False)
    if run.artifact.manifest["kind"] != KIND:
        raise ArtifactError(f"{folder} is no exported run. nlptl export RUN --output DIR writes one.")
    precision = str(run.artifact.manifest["precision"])
    found = _compared(run.artifact, folder, run.artifact.predictor, budget or (INT8 if precision == "int8" else EXACT))
    _refuse(found, f"{folder} does not answer on this machine as its run does")
    return {name: each.noted() for name, each in found.items()}


def _write_graph(artifact: Artifact, folder: Path) -> None:
    from nlptl.inference.export.graph import write_graph

    tasks = [head.task for head in artifact.heads]
    classifier, mode = open_classifier(artifact.folder, artifact.config, tasks, artifact.manifest)
    mode.merge(classifier)
    tokenizer = artifact.tokenizer
    write_graph(classifier, "token_type_ids" in tokenizer.model_input_names, artifact.max_length, folder)
    tokenizer.save_pretrained(folder)


def _write_reference(run: OpenRun, aside: Path) -> None:
    """What the run answers in float32 on its test rows."""
    from safetensors.numpy import save_file

    for head in run.artifact.heads:
        home = head_folder(aside, head.task.name, len(run.artifact.heads))
        texts = [row if len(row) > 1 else row[0] for row in _texts(home).itertuples(index=False, name=None)]
        alone = run.task(head.task.name)
        scope = {} if head.scorer is None else {"scope": alone.scope(texts)}
        save_file({"logits": alone.logits(texts), **scope}, home / REFERENCE)


def _texts(home: Path) -> pd.DataFrame:
    """The test rows of a run."""
    path = home / "predictions.csv"
    if not path.is_file():
        raise ArtifactError(f"{home} holds no predictions.csv: without test rows an export cannot be compared.")
    frame = read_frame(path)
    return frame[[name for name in ("text", "text_pair") if name in frame]].map(str)


def _gate(artifact: Artifact, aside: Path, graph: Path, budget: Budget) -> dict[str, Comparison]:
    """A graph beside the run, on the test rows that lie in `aside`."""
    encoder, classes = artifact.encoder, artifact.heads[-1].columns.stop
    session = open_session(graph)
    predictor = OnnxPredictor(
        session, encoder.tokenizer, encoder.max_length, encoder.long_text, encoder.normaliser, classes, ""
    )
    return _compared(artifact, aside, predictor, budget)


def _compared(artifact: Artifact, folder: Path, predictor: Any, budget: Budget) -> dict[str, Comparison]:
    from nlptl.training.runtime import local_runtime

    runtime, found = local_runtime("fp32", progress=False), {}
    for head in artifact.heads:
        home = head_folder(folder, head.task.name, len(artifact.heads))
        features, logits = predictor.outputs(predictor.prepare(_texts(home)), runtime)
        logits = logits[:, head.columns]
        answers = SplitAnswers(logits, _targets(home), head.scope(features, logits))
        found[head.task.name] = compare(head, _reference(home, answers.targets), answers, budget)
    return found


def _reference(home: Path, targets: np.ndarray) -> SplitAnswers:
    from safetensors.numpy import load_file

    tensors = load_file(home / REFERENCE)
    return SplitAnswers(tensors["logits"], targets, tensors.get("scope"))


def _targets(home: Path) -> np.ndarray:
    return read_answers(home)["test"].targets


def _quantise(artifact: Artifact, aside: Path, budget: Budget) -> tuple[dict[str, Comparison], list[str]]:
    """Eight bits where they do no harm; the comparison of the last attempt, and the layers that it left out."""
    from nlptl.inference.export.quantising import quantised

    attempt = aside / "attempt"
    attempt.mkdir()
    sample, pad_id = _sample(artifact), int(artifact.tokenizer.pad_token_id)
    found: dict[str, Comparison] = {}
    left_out: list[str] = []
    for graph, left_out in quantised(aside / MODEL, sample, pad_id, attempt):
        found = _gate(artifact, aside, graph, budget)
        faults = [fault for each in found.values() for fault in each.faults]
        log.info(f"int8 without {len(left_out)} layers: {'; '.join(faults) or 'answers as the run does'}")
        if not faults:
            graph.replace(aside / MODEL / graph.name)
            break
    shutil.rmtree(attempt)
    return found, left_out


def _sample(artifact: Artifact) -> Encoded:
    """Training texts, where they can still be read; else test texts, whose labels are not looked at."""
    try:
        frame = reread(artifact.folder).train
    except DataError as error:
        log.warning(f"Layers are ranked on test texts, without their labels: the training texts are not here ({error})")
        frame = _texts(head_folder(artifact.folder, artifact.heads[0].task.name, len(artifact.heads)))
    encoder = artifact.encoder
    rows = frame.sample(min(SAMPLE, len(frame)), random_state=0)
    return encoder.prepare(rows)


def _refuse(found: dict[str, Comparison], what: str) -> None:
    faults = [f"{name}: {fault}" for name, each in found.items() for fault in each.faults]
    if faults:
        raise ArtifactError(f"{what}, for on its test rows " + "; ".join(faults) + ".")


def _manifest(artifact: Artifact, aside: Path, precision: str) -> dict[str, Any]:
    kept = ("heads", "packages", "lineage", "normaliser", "max_length")
    return {
        "format": FORMAT,
        "nlptl": version("nlptl"),
        "kind": KIND,
        "precision": precision,
        **{name: artifact.manifest[name] for name in kept if name in artifact.manifest},
        "long_text": long_text_of(artifact.manifest).way,
        "packages_of_export": {name: version(name) for name in ("torch", "onnx", "onnxruntime")},
        "files": digests_of(aside / MODEL),
    }
