"""A finished run as a checkpoint: its encoder, opened like any other, and what has been learned before it.

The encoder of a run is written out as a checkpoint folder (weights, configuration, tokenizer, pooling) for as long as
the process lives: adapters are merged into it, and what a classifier has besides an encoder is left out. A run of a
frozen encoder has none of its own, so its checkpoint is opened instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nlptl.checkpoints import FOLDER, MANIFEST, Checkpoint, Place, checkpoint_at, is_run, locate
from nlptl.config.records import read_record
from nlptl.config.run import RunConfig
from nlptl.data.normalising.normaliser import NONE, check
from nlptl.data.tokens.long_texts import TRUNCATE, LongText
from nlptl.errors import ArtifactError, CheckpointError
from nlptl.evaluation.wording import lineage_sentence
from nlptl.models.building import build_classifier, load_classifier
from nlptl.models.classifier import Classifier
from nlptl.models.encoder import write_pooling
from nlptl.models.modes import Mode
from nlptl.models.opening import load_tokenizer, quiet
from nlptl.registry import MODES
from nlptl.runs.manifest import MODEL, read_manifest, tasks_of
from nlptl.storage.identity import identity
from nlptl.storage.json_files import read_json
from nlptl.tasks import TaskSpec, joint_labels

PRETRAINING = "pretraining.json"
"""What a checkpoint folder says of how it came to be."""
VIA = "via"
"""Its entry for an intermediate task."""
UNLIMITED = int(1e30)
"""transformers' model_max_length of a tokenizer that cuts nothing; the encoder's positions still count."""
_written: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""Digest of a run's model -> the folder of its encoder; removed when the process ends."""


def open_checkpoint(name: str, revision: str | None = None) -> Checkpoint:
    """Find a checkpoint, which may be a finished run, and bring it to a local folder.

    Args:
        name: a registered name; the folder of a checkpoint, of a pre-training or of a run; or a Hub id of one of these
            with an optional `@revision`.
        revision: the commit to take from the Hub, whatever the name says: that of the run that is opened.

    Raises:
        CheckpointError: it is not to be had, or a run without an encoder.
        ArtifactError: a run that is unfinished or damaged.
    """
    place = locate(name, revision)
    return _of_run(place) if is_run(place.folder) else checkpoint_at(place, name)


def find_checkpoint(recorded: Mapping[str, str], run: Path) -> Checkpoint:
    """The checkpoint that a run was trained on, at the revision that the run recorded.

    A folder is looked for where it was, then where it was as seen from the run folder, then beside the run folder.

    Args:
        recorded: `Checkpoint.record` of then: name, revision and, if it was a folder, where it was relative to the run.
        run: the run folder.

    Raises:
        ArtifactError: it is here, but at another revision.
        CheckpointError: it is not to be had.
    """
    name, revision = recorded["name"], recorded["revision"]
    if not Path(name).is_absolute():
        found = open_checkpoint(name, revision)
        if found.is_at(revision):
            return found
        raise _other_revision(run, name, revision, [found])
    places = [Path(name), run.resolve().parent / Path(name).name]
    if "relative" in recorded:
        places.insert(1, (run.resolve() / recorded["relative"]).resolve())
    others = []
    for place in dict.fromkeys(places):
        if place.is_dir() and ((place / "config.json").is_file() or is_run(place)):
            found = open_checkpoint(str(place))
            if found.is_at(revision):
                return found
            others.append(found)
    if others:
        raise _other_revision(run, name, revision, others)
    raise CheckpointError(
        f"{run} needs the checkpoint that it was trained on, which is in none of these folders: "
        f"{', '.join(map(str, dict.fromkeys(places)))}. Bring it to one of them, or merge the run where its checkpoint "
        "is (nlptl merge)."
    )


def open_classifier(
    folder: Path, config: RunConfig, tasks: list[TaskSpec], manifest: Mapping[str, Any], plain: bool = False
) -> tuple[Classifier, Mode]:
    """The classifier of a run on an encoder, and the mode that knows how to merge it.

    Args:
        folder: of the run.
        config: of the run.
        tasks: of the run, in the order of their logits.
        manifest: of the run.
        plain: for prediction alone, by `PlainBert` where that serves.

    Raises:
        ArtifactError: it is damaged, or its checkpoint is not here at the revision it was trained on.
        CheckpointError: the checkpoint that an adapter or head belongs to is not to be had.
    """
    several = len(tasks) == 1 and tasks[0].kind == "multi_label"
    labels, mode = joint_labels(tasks), MODES.get(config.mode)()
    windows = str(manifest.get("window_pooling", "mean")) if long_text_of(manifest).in_windows else None
    if manifest["whole"]:
        return load_classifier(folder / MODEL, manifest["pooling"], labels, several, windows, plain), mode
    checkpoint = find_checkpoint(manifest["checkpoint"], folder)
    plain = plain and not mode.has_adapters  # PEFT takes transformers' models
    classifier = build_classifier(checkpoint.path, manifest["pooling"], labels, several, 0.0, False, windows, plain)
    mode.load(classifier, folder / MODEL)
    return classifier, mode


def long_text_of(manifest: Mapping[str, Any]) -> LongText:
    """How a run reads long texts; those of before there was a choice were truncated, and say nothing of it."""
    return LongText(manifest.get("long_text", TRUNCATE.way), float(manifest.get("window_overlap", 0.0)))


def normaliser_of(manifest: Mapping[str, Any]) -> str:
    """The form in which a run reads texts, whose package is seen to be there.

    Raises:
        MissingExtraError: it is not.
    """
    name = str(manifest.get("normaliser", NONE))
    check(name)
    return name


def lineage_of(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """What had been learned before a training that begins with this checkpoint, the oldest first.

    Returns:
        One entry for each: `kind` (checkpoint, pre-training or task), `name`, `revision` (a commit or digest) and what
        else is known of it: the objective of a pre-training; mode, strategy and rows of a task.
    """
    if checkpoint.run is not None:
        return _lineage_through(checkpoint)
    noted = pretrainings_of(checkpoint.path)
    if not noted:
        return [_entry("checkpoint", checkpoint.name, checkpoint.revision)]
    before = noted[-1].get("lineage")
    if before is None:  # of a folder that did not note it yet
        begun = noted[0]["from"]
        before = [_entry("checkpoint", begun.get("name", "random weights"), begun.get("revision", ""))]
        before += [_entry("pre-training", entry["objective"], "") for entry in noted[:-1]]
    if VIA in noted[-1]:
        source = {name: value for name, value in noted[-1][VIA].items() if name != "source"}
        return [*before, _entry("intermediate task", noted[-1][VIA]["source"], checkpoint.revision, **source)]
    corpus = {name: noted[-1]["corpus"][name] for name in ("texts", "tokens")}
    return [*before, _entry("pre-training", noted[-1]["objective"], checkpoint.revision, **corpus)]


def lineage_line(folder: Path) -> str:
    """A line of a run's card: what was learned before it; nothing where that is a checkpoint's own pre-training."""
    lineage = read_json(folder / MANIFEST).get("lineage") or []
    return f"\n- Learned before: {lineage_sentence(lineage)}" if len(lineage) > 1 else ""


def pretrainings_of(checkpoint: Path) -> list[dict[str, Any]]:
    """The pre-trainings that a checkpoint folder tells of, oldest first; none for others."""
    if not (checkpoint / PRETRAINING).is_file():
        return []
    noted = read_json(checkpoint / PRETRAINING)
    earlier = noted.pop("history", [])
    return [*earlier, noted]


def _lineage_through(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    folder = checkpoint.run or checkpoint.path
    manifest, config = read_json(folder / MANIFEST), read_record(RunConfig, folder / "run.yaml")
    metrics = read_json(folder / "metrics.json")
    before = manifest.get("lineage")
    if before is None:  # of a run that did not note it yet
        before = [_entry("checkpoint", manifest["checkpoint"]["name"], manifest["checkpoint"]["revision"])]
    known = {"mode": config.mode, "strategy": config.strategy, "rows": metrics["data"]["train"], "run": folder.name}
    return [*before, _entry("task", config.task, _revision(manifest), **known)]


def _entry(kind: str, name: str, revision: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "revision": revision, **more}


def revision_of(checkpoint: Checkpoint) -> str:
    """Digest or commit of what a training begins with: of the whole run where the checkpoint is one, head included."""
    return checkpoint.revision if checkpoint.run is None else _revision(read_json(checkpoint.run / MANIFEST))


def _revision(manifest: Mapping[str, Any]) -> str:
    """Digest of all that decides how a run's model computes: its files and, if it needs one, its checkpoint."""
    checkpoint = None if manifest["whole"] else manifest["checkpoint"]["revision"]
    return f"run-blake2b:{identity(files=manifest['files'], checkpoint=checkpoint)}"


def _of_run(place: Place) -> Checkpoint:
    """The encoder of a run as a checkpoint."""
    folder = place.folder
    manifest = read_manifest(folder)
    if "checkpoint" not in manifest:
        raise CheckpointError(f"{place.name} is a baseline; it has no encoder. Choose a run of another mode.")
    config = read_record(RunConfig, folder / "run.yaml")
    if not manifest["whole"] and not MODES.get(config.mode).trains_encoder:
        return replace(find_checkpoint(manifest["checkpoint"], folder), run=folder)
    made_of = _revision(manifest)
    if made_of not in _written:
        _written[made_of] = _write_encoder(folder, config, manifest)
    revision = made_of if place.source == FOLDER else folder.name  # the Hub's cache names a snapshot by its commit
    pooling = "mean" if manifest["pooling"] == "unit_mean" else manifest["pooling"]
    return Checkpoint(place.name, Path(_written[made_of].name), place.source, revision, pooling, run=folder)


def _write_encoder(folder: Path, config: RunConfig, manifest: Mapping[str, Any]) -> tempfile.TemporaryDirectory[str]:
    """A run's encoder as a checkpoint folder, adapters merged."""
    classifier, mode = open_classifier(folder, config, tasks_of(folder, manifest), manifest)
    mode.merge(classifier)
    tokenizer = load_tokenizer(folder / MODEL)
    tokenizer.model_max_length = UNLIMITED  # the run's own length is no limit of the encoder
    try:
        home = tempfile.TemporaryDirectory(prefix="nlptl-encoder-", ignore_cleanup_errors=True)
        with quiet():
            classifier.encoder.save_pretrained(home.name)
        tokenizer.save_pretrained(home.name)
        write_pooling(Path(home.name), manifest["pooling"], classifier.config.hidden_size)
    except OSError as error:
        raise ArtifactError(f"The encoder of {folder} cannot be written out: {error.strerror or error}.") from error
    return home


def _other_revision(run: Path, name: str, revision: str, found: list[Checkpoint]) -> ArtifactError:
    there = "; ".join(f"{each.run or each.path} is at {_short(each.revision)}" for each in found)
    return ArtifactError(
        f"{run} was trained on {name} at {_short(revision)}, but {there}: its weights, config.json or tokenizer "
        "changed. Bring that revision, or merge the run where it was trained."
    )


def _short(revision: str) -> str:
    scheme, colon, digest = revision.rpartition(":")
    return f"{scheme}{colon}{digest[:12]}"
