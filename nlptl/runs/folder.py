"""The run folder before there is an artifact in it: its name, whose it is, and its log."""

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
from nlptl.runs.claims import Inputs, is_finished, is_unfinished, prepare_folder
from nlptl.storage.paths import user_path
from nlptl.storage.secrets import RedactSecrets
from nlptl.training.runtime import Runtime

log = logging.getLogger("nlptl")


@contextmanager
def run_folder(
    runtime: Runtime, config: RunConfig, inputs: Inputs, resume: bool, messages: logging.handlers.MemoryHandler
) -> Iterator[Path]:
    """Agree on the run folder and make it, or take up the unfinished run in it; see `claimed`."""
    noted = _noted(config)
    folder = _agree_on_folder(runtime, config, noted, inputs, resume)
    with claimed(runtime, folder, lambda: prepare_folder(folder, noted, inputs), messages):
        yield folder


@contextmanager
def claimed(
    runtime: Runtime, folder: Path, prepare: Callable[[], bool], messages: logging.handlers.MemoryHandler
) -> Iterator[None]:
    """Work in a folder that is this run's alone, its log in it.

    From here on only the main process writes; a failure of its own stops it, and the launcher stops the others. A new
    folder is taken away again if the work fails before there is anything to go on from: it notes settings that cannot
    be trained, and would refuse the corrected command. What is saved after training is outside of this.

    Args:
        runtime: the processes.
        folder: the same on each of them.
        prepare: makes the folder, or refuses it; says whether there was unfinished work in it to go on with.
        messages: of the log so far.
    """
    taken_up = True
    if runtime.is_main:
        taken_up = prepare()
        if taken_up:
            log.info(f"Going on with the unfinished run in {folder}")
        _keep_log(messages, folder)
    runtime.barrier()
    try:
        yield
    except (LostProcessError, Preempted):  # nothing wrong with the settings: the same command goes on here
        raise
    except (NlptlError, OSError):
        if not taken_up and not _holds_something_to_go_on_from(folder):
            shutil.rmtree(folder, ignore_errors=True)
            if folder.parent == Path("runs"):
                with suppress(OSError):  # holds other runs
                    folder.parent.rmdir()
        raise


def _holds_something_to_go_on_from(folder: Path) -> bool:
    """A saved state, a finished run (its own, or that of one of several tasks alone), or a collected corpus."""
    return any(any(folder.rglob(name)) for name in ("progress.json", "manifest.json", "facts.json"))


def agree_on_folder(
    runtime: Runtime, output: str | None, parent: str, name: str, unfinished: str | None = None
) -> Path:
    """The folder of a result, the same on every process.

    Args:
        runtime: the processes.
        output: where the user wants it; None: `parent`/`name`-DATE-TIME.
        parent: folder of results.
        name: what the result is called there.
        unfinished: name of the folder to go on in instead; the main process's word counts.
    """
    if output is not None:
        return user_path(output)
    return Path(parent) / runtime.agree(unfinished or f"{name}-{datetime.now():%Y%m%d-%H%M%S}")


def finished_folder(runtime: Runtime, config: RunConfig, inputs: Inputs) -> Path | None:
    """The folder that the configuration names, where this very run is finished in it already.

    A scheduler that repeats its command then has nothing left to train.
    """
    if config.output is None:
        return None
    folder = user_path(config.output)
    finished = runtime.any(runtime.is_main and is_finished(folder, _noted(config), inputs))
    if finished and runtime.is_main:
        log.info(f"The run in {folder} is finished already")
    return folder if finished else None


def _noted(config: RunConfig) -> RunConfig:
    """What `run.yaml` says: all settings, but not where the run lies."""
    return config.model_copy(update={"output": None})


def _agree_on_folder(runtime: Runtime, config: RunConfig, noted: RunConfig, inputs: Inputs, resume: bool) -> Path:
    """The run folder: as asked for, or the newest unfinished one of these settings, or a new one."""
    # A launcher that starts the group again (--max_restarts) repeats the command as it was given.
    restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
    unfinished = _newest_unfinished(noted, inputs) if config.output is None and (resume or restarted) else None
    return agree_on_folder(runtime, config.output, "runs", f"{config.task}-{config.method}", unfinished)


def _newest_unfinished(noted: RunConfig, inputs: Inputs) -> str | None:
    for folder in sorted(Path("runs").glob(f"{noted.task}-{noted.method}-*"), reverse=True):
        if is_unfinished(folder, noted, inputs):
            return folder.name
    log.info("There is no unfinished run of these settings and data under runs/; starting a new one")
    return None


@contextmanager
def told_as_details() -> Iterator[None]:
    """Messages of work on the side, up to warnings, are details (DEBUG) while this lasts; its own log has them all."""

    def lowered(record: logging.LogRecord) -> bool:
        if record.levelno <= logging.WARNING:
            record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        return True

    log.addFilter(lowered)
    try:
        yield
    finally:
        log.removeFilter(lowered)


@contextmanager
def buffered_log() -> Iterator[logging.handlers.MemoryHandler]:
    """Keep what is said until there is a run folder to write it to; let go of it, whatever happens."""
    messages = logging.handlers.MemoryHandler(10_000, flushLevel=logging.CRITICAL + 1)
    if log.level == logging.NOTSET:
        # Details as well, but for programs that keep a log of their own.
        log.setLevel(logging.INFO if logging.root.handlers else logging.DEBUG)
    log.addHandler(messages)
    try:
        yield messages
    finally:
        log.removeHandler(messages)
        target = messages.target
        messages.close()
        if target is not None:
            target.close()


def _keep_log(messages: logging.handlers.MemoryHandler, folder: Path) -> None:
    file = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    file.addFilter(RedactSecrets())
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    messages.setTarget(file)
    messages.flushLevel = logging.NOTSET  # from here on nothing waits: a run that is killed has its log
    messages.flush()
