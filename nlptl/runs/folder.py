"""The run folder before there is an artifact in it: its name, its log, its trackers."""

from __future__ import annotations

import logging
import logging.handlers
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from nlptl.config.run import RunConfig
from nlptl.errors import LostProcessError, NlptlError, Preempted
from nlptl.runs.claims import is_finished, is_unfinished, prepare_folder
from nlptl.storage.paths import user_path
from nlptl.storage.secrets import RedactSecrets
from nlptl.training.runtime import Runtime, start_runtime

log = logging.getLogger("nlptl")


def join_processes(config: RunConfig) -> Runtime:
    """The runtime that the configuration asks for."""
    return start_runtime(
        config.runtime.precision,
        config.runtime.trackers,
        config.runtime.deterministic,
        config.runtime.progress,
        config.runtime.timeout_seconds,
    )


@contextmanager
def run_folder(
    runtime: Runtime, config: RunConfig, noted: RunConfig, resume: bool, notes: logging.handlers.MemoryHandler
) -> Iterator[Path]:
    """Agree on the run folder and make it, or take up the unfinished run in it.

    From here on only the main process writes; a failure of its own stops it, and the launcher stops the others. A new
    folder is taken away again if training fails before there is anything to go on from: it notes settings that cannot
    be trained, and would refuse the corrected command. What is saved after training is outside of this.
    """
    folder = _agree_on_folder(runtime, config, noted, resume)
    taken_up = True
    if runtime.is_main:
        taken_up = prepare_folder(folder, noted)
        if taken_up:
            log.info(f"Going on with the unfinished run in {folder}")
        keep_log(notes, folder)
    runtime.barrier()
    try:
        yield folder
    except (LostProcessError, Preempted):  # nothing wrong with the settings: the same command goes on here
        raise
    except (NlptlError, OSError):
        if not taken_up and not _holds_something_learned(folder):
            shutil.rmtree(folder, ignore_errors=True)
            if folder.parent == Path("runs"):
                with suppress(OSError):  # holds other runs
                    folder.parent.rmdir()
        raise


def _holds_something_learned(folder: Path) -> bool:
    """A state to go on from, or a finished run: its own, or that of one of several tasks alone."""
    return any(any(folder.rglob(name)) for name in ("progress.json", "manifest.json"))


def finished_before(runtime: Runtime, folder: Path, noted: RunConfig) -> bool:
    """Whether the run is finished, so that a scheduler's repeated command has nothing left to train."""
    finished = runtime.any(runtime.is_main and is_finished(folder, noted))
    if finished and runtime.is_main:
        log.info(f"The run in {folder} is finished already")
    return finished


def publish_run(
    runtime: Runtime, folder: Path, save: Callable[[], None], publish: Callable[[Path], object] | None
) -> None:
    """Write the finished run, once, and let go of the trackers."""
    if runtime.is_main:
        save()
        if publish is not None:
            publish(folder)
    runtime.barrier()
    if runtime.accelerator.trackers:
        runtime.accelerator.end_training()


def _agree_on_folder(runtime: Runtime, config: RunConfig, noted: RunConfig, resume: bool) -> Path:
    """The run folder, the same on every process."""
    if config.output:
        return user_path(config.output)
    # A launcher that starts the group again (--max_restarts) repeats the command as it was given.
    restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
    unfinished = _newest_unfinished(noted) if resume or restarted else None
    name = unfinished or f"{config.task}-{config.method}-{datetime.now():%Y%m%d-%H%M%S}"
    return Path("runs") / runtime.agree(name)


def _newest_unfinished(noted: RunConfig) -> str | None:
    for folder in sorted(Path("runs").glob(f"{noted.task}-{noted.method}-*"), reverse=True):
        if is_unfinished(folder, noted):
            return folder.name
    log.info("There is no unfinished run of these settings under runs/; starting a new one")
    return None


@contextmanager
def buffered_log() -> Iterator[logging.handlers.MemoryHandler]:
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
