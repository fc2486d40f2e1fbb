"""The run folder before there is an artifact in it: its name, its log, its trackers."""

from __future__ import annotations

import logging
import logging.handlers
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from nlptl.artifacts import is_unfinished
from nlptl.config import RunConfig
from nlptl.errors import NlptlError
from nlptl.redaction import RedactSecrets
from nlptl.resources import user_path
from nlptl.training.runtime import Runtime
from nlptl.transfer.job import Job

log = logging.getLogger("nlptl")


def agree_on_folder(runtime: Runtime, config: RunConfig, noted: RunConfig, resume: bool) -> Path:
    """The run folder, the same on every process."""
    if config.output:
        return user_path(config.output)
    unfinished = _newest_unfinished(noted) if resume else None
    name = unfinished or f"{config.task}-{config.mode}-{datetime.now():%Y%m%d-%H%M%S}"
    return Path("runs") / runtime.agree(name)


def _newest_unfinished(noted: RunConfig) -> str | None:
    for folder in sorted(Path("runs").glob(f"{noted.task}-{noted.mode}-*"), reverse=True):
        if is_unfinished(folder, noted):
            return folder.name
    log.info("There is no unfinished run of these settings under runs/; starting a new one")
    return None


@contextmanager
def noted_log() -> Iterator[logging.handlers.MemoryHandler]:
    """Keep what is said until there is a run folder to write it to; let go of it, whatever happens."""
    notes = logging.handlers.MemoryHandler(10_000, flushLevel=logging.CRITICAL + 1)
    if log.level == logging.NOTSET:
        log.setLevel(logging.INFO)
    log.addHandler(notes)
    try:
        yield notes
    finally:
        log.removeHandler(notes)
        target = notes.target
        notes.close()
        if target is not None:
            target.close()


def keep_log(notes: logging.handlers.MemoryHandler, folder: Path) -> None:
    file = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    file.addFilter(RedactSecrets())
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    notes.setTarget(file)
    notes.flushLevel = logging.NOTSET  # from here on nothing waits: a run that is killed has its log
    notes.flush()


@contextmanager
def removed_if_nothing_was_learned(folder: Path, taken_up: bool) -> Iterator[None]:
    """Take a new run folder away again if the run fails before it holds a state to go on from.

    Such a folder notes settings that cannot be trained, and would refuse the corrected command.
    """
    try:
        yield
    except (NlptlError, OSError):
        if not taken_up and not any(folder.glob("state*")):
            shutil.rmtree(folder, ignore_errors=True)
            if folder.parent == Path("runs"):
                with suppress(OSError):  # holds other runs
                    folder.parent.rmdir()
        raise


def describe(job: Job) -> None:
    if not job.runtime.is_main:
        return
    sizes = ", ".join(f"{name} {rows}" for name, rows in job.splits.sizes().items())
    log.info(f"Task {job.task.name}: {len(job.task.label_list())} labels; rows: {sizes}")
    log.info(
        f"Checkpoint {job.checkpoint.name} ({job.checkpoint.source}), {job.pooling} pooling, mode {job.config.mode}"
    )
    log.info(f"Device {job.runtime.device.type}, precision {job.runtime.precision}, processes {job.runtime.processes}")


def start_trackers(job: Job, folder: Path) -> None:
    if not job.config.runtime.trackers:
        return
    job.runtime.accelerator.project_configuration.logging_dir = str(folder / "trackers")
    settings = job.config.model_dump(mode="json")
    flat = {f"{s}.{k}": str(v) for s, inner in settings.items() if isinstance(inner, dict) for k, v in inner.items()}
    job.runtime.accelerator.init_trackers("nlptl", config=flat)
