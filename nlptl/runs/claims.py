"""Whose a run folder is: a new run's, an unfinished one's to go on with, or one that must be left alone."""

from __future__ import annotations

from pathlib import Path

from nlptl.config.records import read_record, write_yaml
from nlptl.config.run import RunConfig
from nlptl.errors import ArtifactError


def prepare_folder(folder: Path, config: RunConfig) -> bool:
    """Make a run folder, or take up an unfinished one of the same settings.

    Returns:
        Whether the folder holds an unfinished run to go on with.

    Raises:
        ArtifactError: the folder holds a finished run, another run, or something else.
    """
    if (folder / "manifest.json").exists():
        raise ArtifactError(f"{folder} holds a finished run. Choose another --output, or remove that folder.")
    noted = folder / "run.yaml"
    if noted.exists():
        before = read_record(RunConfig, noted)
        if before.model_dump() != config.model_dump():
            raise ArtifactError(
                f"{folder} holds an unfinished run with other settings ({_differences(before, config)}). "
                "Choose another --output, or remove that folder."
            )
        return True
    # A run that was killed while it wrote its very first file has left that file's beginning.
    if folder.exists() and (not folder.is_dir() or any(path.name != "run.yaml.part" for path in folder.iterdir())):
        raise ArtifactError(f"{folder} exists and is not a run folder. Choose another --output.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_yaml(noted, config)
    except OSError as error:
        raise ArtifactError(f"The run folder {folder} cannot be written: {error.strerror or error}.") from error
    return False


def is_unfinished(folder: Path, config: RunConfig) -> bool:
    """Whether the folder holds an unfinished run of these settings."""
    return not (folder / "manifest.json").exists() and _has_settings(folder, config)


def is_finished(folder: Path, config: RunConfig) -> bool:
    """Whether the folder holds a finished run of these settings."""
    return (folder / "manifest.json").exists() and _has_settings(folder, config)


def _has_settings(folder: Path, config: RunConfig) -> bool:
    noted = folder / "run.yaml"
    return noted.is_file() and read_record(RunConfig, noted).model_dump() == config.model_dump()


def _differences(before: RunConfig, now: RunConfig) -> str:
    old, new = before.model_dump(), now.model_dump()
    changed = []
    for key, value in new.items():
        if isinstance(value, dict) and key != "label_map":
            changed += [
                f"{key}.{name}: {old[key][name]!r} -> {v!r}" for name, v in value.items() if old[key][name] != v
            ]
        elif old[key] != value:
            changed.append(f"{key}: {old[key]!r} -> {value!r}")
    return ", ".join(changed)
