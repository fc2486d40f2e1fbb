"""What a run folder's manifest.json may say, checked before anything in it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, StrictInt, ValidationError

from nlptl.errors import ArtifactError
from nlptl.tasks import Name

FORMAT = 1
"""Raised whenever a run folder can no longer be read as before."""
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
    checkpoint: _Checkpoint | None = None
    packages: list[_Part] = []
    files: dict[str, str] = {}


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
