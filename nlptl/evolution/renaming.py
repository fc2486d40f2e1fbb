"""Labels of a finished run under other names: nothing is trained, and no number changes.

The new run folder holds the same weights; its task, decision, predictions, metrics and how its data are read speak of
the new names, its settings stay those of the training. It is opened again and compared before its manifest is written,
as every run is.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.files import read_frame
from nlptl.errors import ArtifactError
from nlptl.evaluation.decisions import Decision, open_decision
from nlptl.evolution.changes import Changes, of_costs
from nlptl.runs.answers import FILE, SplitAnswers, read_answers
from nlptl.runs.artifact import Artifact, load_artifact
from nlptl.runs.claims import INPUTS
from nlptl.runs.lineage import find_checkpoint
from nlptl.runs.manifest import MODEL, kind_of
from nlptl.runs.reread import ROWS, SINCE, renamed_since
from nlptl.runs.saving import logit_difference, save_artifact
from nlptl.storage.json_files import write_json
from nlptl.strategies.saving import reports_of, write_predictions
from nlptl.tasks import TaskSpec
from nlptl.training.runtime import local_runtime

VERIFIED_ROWS = 8
OF_A_MODEL = ("format", "nlptl", "kind", "files", "packages")
"""Entries of a manifest that are made anew."""
ABOUT_OTHERS = ("forgetting", "comparison", "via", "evolution")
"""Sections of metrics.json that compare with runs of the old names; they stay in the old run."""


@dataclass(frozen=True)
class RenamedModel:
    """The model of a run as another run folder keeps it: its files, but for names of labels in its configuration."""

    artifact: Artifact
    labels: list[str]
    """All of them, in id order."""
    sample: pd.DataFrame
    """A few texts whose logits must be the same after reloading."""
    kind: str
    """What predicts with it."""

    def facts(self, folder: Path) -> dict[str, Any]:
        manifest, home = self.artifact.manifest, self.artifact.folder
        facts = {name: value for name, value in manifest.items() if name not in OF_A_MODEL}
        if "checkpoint" in manifest and not manifest["whole"]:
            # It needs its checkpoint, and looks for it as seen from its own folder.
            facts["checkpoint"] = find_checkpoint(manifest["checkpoint"], home).record(folder)
        return facts

    def write(self, folder: Path) -> None:
        shutil.copytree(self.artifact.folder / MODEL, folder, dirs_exist_ok=True)
        for file in folder.rglob("config.json"):
            values = json.loads(file.read_text(encoding="utf-8"))
            if "id2label" in values:
                values["id2label"] = {str(i): label for i, label in enumerate(self.labels)}
                values["label2id"] = {label: i for i, label in enumerate(self.labels)}
                write_json(file, values)

    def compare(self, reopened: Artifact) -> str | None:
        known = [label for head in reopened.heads for label in head.task.label_list()]
        if known != self.labels:
            return f"labels {known} instead of {self.labels}"
        runtime = local_runtime("fp32", False)
        here, there = (
            each.predictor.logits(each.predictor.prepare(self.sample), runtime) for each in (self.artifact, reopened)
        )
        return logit_difference(here, there)


def rename_labels(home: Path, changes: Changes, output: Path) -> Path:
    """Write a run whose labels have other names.

    Args:
        home: folder of a run of one task.
        changes: of names alone.
        output: the new run folder.

    Raises:
        ArtifactError: the run does not hold its answers, the output exists or cannot be written, or what was read back
            differs.
    """
    if output.exists():
        raise ArtifactError(f"{output} exists already. Choose another --output.")
    artifact = load_artifact(home)  # one that predicts may compute in less than float32
    before, known, names = artifact.head(), read_answers(home), dict(changes.names)
    task, aside = changes.of(before.task), output.with_name(f"{output.name}.part")
    head = replace(before, task=task, decision=_decision(before.decision, before.task, names))
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        # What it was trained with, and from: under the old names, by which the rows were drawn.
        for name in ("run.yaml", INPUTS, FILE):
            if (home / name).is_file():
                shutil.copy(home / name, aside / name)
        if (home / ROWS).is_dir():
            shutil.copytree(home / ROWS, aside / ROWS)
        write_json(aside / "metrics.json", _metrics(artifact, reports_of(head, known), names))
        rows = _test_rows(home, known["test"], task)
        write_predictions(head, rows, known["test"], aside / "predictions.csv")
        sample = rows[[name for name in ("text", "text_pair") if name in rows]].head(VERIFIED_ROWS).map(str)
        model = RenamedModel(artifact, task.label_list(), sample, kind_of(artifact.manifest))
        save_artifact(aside, artifact.config, [head], model)
        aside.rename(output)
    except OSError as error:
        raise ArtifactError(f"The renamed run {output} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return output


def _test_rows(home: Path, known: SplitAnswers, task: TaskSpec) -> pd.DataFrame:
    """The test rows of predictions.csv, each label under its new name."""
    labels = task.label_list()
    if known.targets.ndim == 1:
        gold: list[Any] = [labels[i] for i in known.targets]
    else:
        gold = [[labels[i] for i in np.flatnonzero(row)] for row in known.targets]
    table = read_frame(home / "predictions.csv")
    return table.assign(label=pd.Series(gold, index=table.index, dtype=object))


def _metrics(artifact: Artifact, reports: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The numbers of the run under the new names."""
    before = artifact.metrics
    metrics = {name: value for name, value in before.items() if name not in ABOUT_OTHERS}
    metrics |= {split: {**before[split], **report} for split, report in reports.items()}
    data = dict(before.get("data", {}))
    if isinstance(read_as := data.get("read_as"), dict):
        mapped = dict(read_as.get("label_map", {}))
        renamed = {cell: names.get(label, label) for cell, label in mapped.items()}
        data["read_as"] = {**read_as, "label_map": renamed | {o: n for o, n in names.items() if o not in mapped}}
    earlier = renamed_since(before)
    since = {old: names.get(new, new) for old, new in earlier.items()}
    since |= {old: new for old, new in names.items() if old not in earlier.values()}
    return {**metrics, "data": data, "evolution": {"run": str(artifact.folder), "renamed": dict(names), SINCE: since}}


def _decision(decision: Decision, task: TaskSpec, names: Mapping[str, str]) -> Decision:
    """The fitted policy, its numbers as they are."""
    known, values = set(task.label_list()), decision.to_json()
    for name, value in values.items():
        if name == "label" and value in names:
            values[name] = names[value]
        elif name == "costs" and isinstance(value, dict):
            values[name] = of_costs(value, names)
        elif isinstance(value, dict) and value and set(value) <= known:
            values[name] = {names.get(label, label): each for label, each in value.items()}
        elif name == "note" and isinstance(value, str):
            quoted = re.compile("|".join(re.escape(repr(old)) for old in names))
            values[name] = quoted.sub(lambda found: repr(names[found[0][1:-1]]), value)
    return open_decision(values)
