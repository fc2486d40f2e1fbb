"""Whose a run folder is: a new run's, an unfinished one's to go on with, or one that must be left alone.

Two runs are the same where every setting that decides a result is the same (`Record.deciding`), and so is what they are
made from: rows, task and checkpoint, noted as digests in `inputs.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from nlptl.config.records import Record, read_yaml, validate, write_yaml
from nlptl.config.run import RunConfig
from nlptl.data.digest import rows_digest
from nlptl.data.loading import Splits
from nlptl.errors import ArtifactError, ConfigError
from nlptl.storage.identity import identity
from nlptl.storage.json_files import read_json, write_json

R = TypeVar("R", bound=Record)
S = TypeVar("S", bound=Record)
INPUTS = "inputs.json"
"""Name -> digest of what a run is made from besides its settings: `Inputs`."""
Inputs = Mapping[str, str]


def inputs_of(revision: str | None, *all_splits: Splits) -> dict[str, str]:
    """Digests of what a run is made from besides its settings: the checkpoint, and each task with its rows.

    Args:
        revision: of the checkpoint; None for a baseline.
        all_splits: of each task.
    """
    found = {} if revision is None else {"checkpoint": revision}
    for splits in all_splits:
        name = splits.task.name
        found[f"task {name}"] = identity(**splits.task.deciding("run"))
        found |= {f"{split} rows of {name}": rows_digest(frame) for split, frame in splits.frames().items()}
    return found


def same_run(before: Record, now: Record, made_from: Inputs | None = None, makes_from: Inputs | None = None) -> str:
    """What tells two runs apart, in words; empty where they are the same run.

    Args:
        before: its settings; one that it does not state, because it is older, has its default.
        now: the other one's.
        made_from: digests of what it was made from; what an older run has not noted counts as the same.
        makes_from: the other one's.
    """
    changed = _changed_settings(before, now)
    noted, wanted = made_from or {}, makes_from or {}
    other = sorted(name for name in noted.keys() & wanted.keys() if noted[name] != wanted[name])
    # A split, or a task, that only one of them has; unless the older one has noted nothing at all.
    other += sorted(noted.keys() ^ wanted.keys()) if noted and wanted else []
    said = [f"with other settings ({', '.join(changed)})"] if changed else []
    return " and ".join([*said, f"made from other data ({', '.join(other)})"] if other else said)


def prepare_folder(folder: Path, config: RunConfig, inputs: Inputs | None = None) -> bool:
    """Make a run folder, or take up an unfinished one of the same run.

    Args:
        folder: of the run.
        config: its settings, resolved.
        inputs: digests of what it is made from.

    Returns:
        Whether the folder holds an unfinished run to go on with.

    Raises:
        ArtifactError: the folder holds a finished run, another run, or something else.
    """
    noted = folder / "run.yaml"
    if (folder / "manifest.json").exists():
        other = _difference(folder, config, inputs) if noted.is_file() else ""
        what = f"a finished run {other}".strip()
        raise ArtifactError(f"{folder} holds {what}. Choose another --output, or remove that folder.")
    return claim_folder(folder, noted, config, RunConfig, inputs, "run")


def claim_folder(
    folder: Path, noted: Path, config: Record, asked: type[Record], inputs: Inputs | None, what: str
) -> bool:
    """Make a folder for something that takes time, or take up the unfinished one of the same settings and inputs.

    Args:
        folder: for it.
        noted: the YAML file in it that holds the settings.
        config: the settings, resolved.
        asked: the record of settings as they are asked for.
        inputs: digests of what it is made from.
        what: what it is called in messages.

    Returns:
        Whether there is unfinished work to go on with.

    Raises:
        ArtifactError: the folder holds something else, or cannot be written.
    """
    if noted.exists():
        other = same_run(read_settings(noted, type(config), asked), config, read_inputs(folder), inputs)
        if other:
            raise ArtifactError(
                f"{folder} holds an unfinished {what} {other}. Choose another --output, or remove that folder."
            )
        write_inputs(folder, inputs)
        return True
    # One that was killed while it wrote its very first file has left that file's beginning.
    beginning = f"{noted.name}.part"
    if folder.exists() and (not folder.is_dir() or any(path.name != beginning for path in folder.iterdir())):
        raise ArtifactError(f"{folder} exists and is not a {what} folder. Choose another --output.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_yaml(noted, config)
        write_inputs(folder, inputs)
    except OSError as error:
        raise ArtifactError(f"The {what} folder {folder} cannot be written: {error.strerror or error}.") from error
    return False


def is_unfinished(folder: Path, config: RunConfig, inputs: Inputs | None = None) -> bool:
    """Whether the folder holds this run, unfinished."""
    return not (folder / "manifest.json").exists() and _difference(folder, config, inputs) == ""


def is_finished(folder: Path, config: RunConfig, inputs: Inputs | None = None) -> bool:
    """Whether the folder holds this run, finished."""
    return (folder / "manifest.json").exists() and _difference(folder, config, inputs) == ""


def _difference(folder: Path, config: RunConfig, inputs: Inputs | None) -> str:
    """What tells the run in a folder from this one; empty where it is the same."""
    try:
        before = read_settings(folder / "run.yaml", type(config), RunConfig)
    except ConfigError:
        return "whose settings cannot be read"
    return same_run(before, config, read_inputs(folder), inputs)


def read_settings(file: Path, resolved: type[R], asked: type[S]) -> R | S:
    """The settings of an earlier run, as the type of resolved settings where they fit it.

    Older versions left some settings open (null) that resolved ones state.

    Args:
        file: run.yaml, or its like.
        resolved: the type with every setting stated.
        asked: the type that takes open ones.

    Raises:
        ConfigError: the file cannot be read as either.
    """
    values = read_yaml(file)
    try:
        return validate(resolved, _without_open(values), str(file))
    except ConfigError:
        return validate(asked, values, str(file))


def _without_open(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_open(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def read_inputs(folder: Path) -> Inputs:
    """What an earlier run has noted in a folder; nothing where it is older than that."""
    file = folder / INPUTS
    return {name: str(digest) for name, digest in read_json(file).items()} if file.is_file() else {}


def write_inputs(folder: Path, inputs: Inputs | None) -> None:
    """Note in a folder what a run is made from, unless that was done before."""
    if inputs and not (folder / INPUTS).exists():
        write_json(folder / INPUTS, dict(inputs))


def _changed_settings(before: Record, now: Record) -> list[str]:
    """`section.key: old -> new` of each setting that decides a result."""
    old, new = before.deciding("run"), now.deciding("run")
    changed = []
    for key in {**old, **new}:
        was, is_now = old.get(key), new.get(key)
        if was == is_now:
            continue
        if isinstance(getattr(now, key, None), Record) and isinstance(was, dict) and isinstance(is_now, dict):
            names = [name for name in {**was, **is_now} if was.get(name) != is_now.get(name)]
            changed += [f"{key}.{name}: {was.get(name)!r} -> {is_now.get(name)!r}" for name in names]
        else:
            changed.append(f"{key}: {was!r} -> {is_now!r}")
    return changed
