"""Atomic folders, whole or not there: written aside, flushed, listed with digests in a manifest, renamed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from nlptl.errors import ArtifactError
from nlptl.storage.identity import file_digest

MANIFEST = "manifest.json"
PART = ".part-"


def write_atomic(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder aside, then give it its name.

    Args:
        folder: must not exist yet.
        write: gets the folder to write files into; folders inside it are not in the manifest.

    Raises:
        ArtifactError: the disk is full or cannot be written; nothing is left of the attempt.
    """
    aside = folder.with_name(PART + folder.name)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        write(aside)
        digests = {path.name: file_digest(path) for path in sorted(aside.iterdir())}
        (aside / MANIFEST).write_text(json.dumps({"sha256": digests}, indent=2) + "\n")
        for path in aside.iterdir():
            _flush(path)
        _flush(aside)
        aside.rename(folder)
        _flush(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise ArtifactError(
            f"The training state could not be written to {folder.parent} ({error}). What was saved before is intact: "
            "make room there, then give the same command again to go on."
        ) from error


def check_digests(folder: Path) -> None:
    """Compare every file with its digest.

    Raises:
        ArtifactError: what is wrong with the folder.
    """
    try:
        digests = json.loads((folder / MANIFEST).read_text())["sha256"]
        for name, digest in sorted(digests.items()):
            if file_digest(folder / name) != digest:
                raise ArtifactError(f"{name} differs from its digest")
    except FileNotFoundError as error:
        raise ArtifactError(f"{Path(error.filename).name} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{MANIFEST} cannot be read") from error


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
