"""JSON objects on disk: written aside and renamed, read with an error that names the file."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

from nlptl.errors import ArtifactError


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ArtifactError: missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} is damaged: expected a JSON object.")
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object aside and rename it; NaN, which JSON has not, becomes null."""
    aside = path.with_name(path.name + ".part")
    try:
        aside.write_text(json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise ArtifactError(f"Cannot write {path}: {error.strerror or error}.") from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
