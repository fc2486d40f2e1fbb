"""What a run folder's manifest.json may say, checked before anything in it or in the model's folder is used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, StrictInt, ValidationError

from nlptl.checkpoints import is_run
from nlptl.config.records import read_record
from nlptl.errors import ArtifactError
from nlptl.registry import PREDICTORS
from nlptl.runs.packages import check_packages
from nlptl.storage.json_files import read_json
from nlptl.tasks import Name, TaskSpec

FORMAT = 1
"""Raised whenever a run folder can no longer be read as before."""
MODEL = "model"
"""Where a run folder keeps its weights."""
HEADS = "heads"
"""Where a run of several tasks keeps what belongs to each."""
# Formats that can run code when they are opened (pickles, or archives with code inside).
CODE_BEARING = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".keras", ".npz", ".joblib", ".dill", ".py")


class _Checkpoint(BaseModel):
    name: str
    revision: str
    relative: str = "."


class _Part(BaseModel):
    kind: str
    name: str
    package: str | None = None
    version: str | None = None


class _Manifest(BaseModel):
    """Types of the entries that are read; which of them must be there, the opener knows."""

    model_config = ConfigDict(extra="ignore", strict=True)

    format: StrictInt
    kind: str = "encoder"
    heads: list[Name] = []
    whole: bool = False
    pooling: str = "cls"
    max_length: StrictInt = 1
    long_text: Literal["truncate", "head_tail", "windows"] = "truncate"
    window_overlap: float = 0.0
    window_pooling: Literal["mean", "max", "attention", "max_logits"] = "mean"
    normaliser: Literal["none", "nfkc", "confusables"] = "none"
    checkpoint: _Checkpoint | None = None
    packages: list[_Part] = []
    files: dict[str, str] = {}
    lineage: list[dict[str, Any]] | None = None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished run, whose model's files are those that were saved.

    Raises:
        ArtifactError: not a run folder, unfinished, damaged, of a newer version, or of a package that is not here.
    """
    if not folder.is_dir():
        raise ArtifactError(f"There is no run folder {folder}.")
    if not is_run(folder):
        state = "an unfinished run" if (folder / "run.yaml").is_file() else "no run (manifest.json is missing)"
        raise ArtifactError(f"{folder} holds {state}. Finish it with: nlptl train ... --output {folder} --resume")
    manifest = read_json(folder / "manifest.json")
    if isinstance(manifest.get("format"), int) and manifest["format"] > FORMAT:
        raise ArtifactError(
            f"{folder} was written by a newer nlptl (format {manifest.get('format')}, known here: {FORMAT}). "
            "Upgrade nlptl."
        )
    check_manifest(folder / "manifest.json", manifest)
    check_packages(folder, manifest.get("packages", []))
    lacking = sorted(PREDICTORS.get(kind_of(manifest)).needs - manifest.keys())
    if lacking:
        raise ArtifactError(f"{folder / 'manifest.json'} is damaged: it lacks {', '.join(lacking)}.")
    refuse_code(folder / MODEL)
    found = digests_of(folder / MODEL)
    wrong = sorted(name for name, digest in manifest["files"].items() if found.get(name) != digest)
    if wrong:
        raise ArtifactError(f"{folder / MODEL} is damaged: {', '.join(wrong)} changed or missing since it was saved.")
    return manifest


def kind_of(manifest: Mapping[str, Any]) -> str:
    """What the run predicts with: a name in the registry `PREDICTORS`."""
    return str(manifest.get("kind", "encoder"))


def task_homes(folder: Path, manifest: Mapping[str, Any]) -> list[Path]:
    """The folder of each task's own files, in the order of the logits; the run folder itself for one task."""
    return [folder / HEADS / name for name in manifest.get("heads", [])] or [folder]


def tasks_of(folder: Path, manifest: Mapping[str, Any]) -> list[TaskSpec]:
    """The tasks of a run, in the order of the logits.

    Raises:
        ConfigError: a task.yaml cannot be read.
    """
    return [read_record(TaskSpec, home / "task.yaml") for home in task_homes(folder, manifest)]


def digests_of(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {}
    for path in files:
        with path.open("rb") as stream:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests


def check_manifest(file: Path, manifest: dict[str, Any]) -> None:
    """Refuse a manifest whose entries are not what they must be.

    Names of files in it are only ever compared with those found in the folder; none is opened by its name here. Names
    of tasks become folders, so they are names and no paths.

    Raises:
        ArtifactError: an entry of another type, or a file that could run code.
    """
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        faults = ", ".join(f"{'.'.join(map(str, e['loc']))} ({e['msg']})" for e in error.errors(include_url=False)[:5])
        raise ArtifactError(f"{file} is damaged: {faults}.") from error


def refuse_code(folder: Path) -> None:
    """Refuse a model folder that holds files of a format that can run code, whether or not they would be opened.

    Raises:
        ArtifactError: names them.
    """
    found = sorted(path.name for path in folder.rglob("*") if path.suffix.lower() in CODE_BEARING)
    if found:
        raise ArtifactError(
            f"{folder} holds {', '.join(found[:5])}, which can run code when opened and is refused. nlptl writes "
            "safetensors, npy and JSON only."
        )
