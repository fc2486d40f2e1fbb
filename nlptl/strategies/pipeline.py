"""THE path of every run: load tasks, resolve settings, load and audit rows, learn, evaluate, save.

It is the same for one task or several, and for an encoder (`EncoderLearner`, below) or a classical model
(`nlptl.baselines.learner`); `nlptl train`, `adapt` and `baseline` are this function with other settings.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from nlptl.checkpoints import Checkpoint
from nlptl.config.run import ResolvedBaselineRun, ResolvedRun, RunConfig
from nlptl.data.domains import load_domains
from nlptl.data.loading import Splits
from nlptl.data.normalising.normaliser import check as check_normaliser
from nlptl.errors import ConfigError
from nlptl.evaluation.evaluator import check_metrics
from nlptl.imports import uncollected
from nlptl.kernels import packing
from nlptl.models.opening import encoder_config
from nlptl.registry import MODES, STRATEGIES
from nlptl.runs.card import write_card
from nlptl.runs.claims import inputs_of
from nlptl.runs.folder import buffered_log, finished_folder, run_folder
from nlptl.runs.lineage import open_checkpoint, revision_of
from nlptl.runs.saving import SavedEncoder
from nlptl.strategies import continued, long_texts, multi_task
from nlptl.strategies.catalogue import usual_strategy
from nlptl.strategies.dry_run import try_checkpoint
from nlptl.strategies.encoding import encode_rows
from nlptl.strategies.facts import facts_of
from nlptl.strategies.from_scratch import from_scratch_defaults
from nlptl.strategies.job import Job, Learned, RunContext, sample_of, task_rows, tell_rows
from nlptl.strategies.saving import save_run
from nlptl.strategies.scope import check_scorers, with_seen
from nlptl.tasks import TaskSpec, load_task, task_names
from nlptl.training.resume.states import StateFolder
from nlptl.training.runtime import Runtime, join_processes
from nlptl.training.timing import Clock

log = logging.getLogger("nlptl")


class Learner(Protocol):
    """What a run learns by; made of the settings as asked for, it holds them resolved."""

    @property
    def config(self) -> ResolvedRun | ResolvedBaselineRun:
        """The settings, none that it reads left open."""

    @property
    def revision(self) -> str | None:
        """Digest or commit of the checkpoint that it begins with; None where there is none."""

    def complete(self, loaded: list[Splits]) -> list[Splits]:
        """The splits of each task with what the learner knows of them already, such as further labels."""

    def start(self) -> Runtime:
        """Join the other processes, if there are any; choose device and precision."""

    def prepare(self, loaded: list[Splits], given: Any, folder: Path) -> Learner | None:
        """Trainings that come before this one, in its folder; the learner to go on with, None where there were none."""

    def try_out(self, tasks: list[TaskSpec], runtime: Runtime) -> Runtime:
        """See that learning can start, before there is a run folder; the runtime to go on with."""

    def learn(self, context: RunContext, folder: Path) -> Learned:
        """Learn from the rows; what an interrupted training goes on from is kept in `folder`/state."""


def train(
    config: RunConfig,
    given: Any = None,
    resume: bool = False,
    learner: Callable[[RunConfig, list[TaskSpec]], Learner] | None = None,
    tasks: list[TaskSpec] | None = None,
) -> Path:
    """Train what the configuration says and save it as a run.

    Args:
        config: what to train; open settings take the task's, the strategy's and the mode's defaults.
        given: Python data instead of `config.data.source`; for several tasks, a dict of them by task.
        resume: go on with the newest unfinished run of these settings (an unfinished run in `config.output` is
            always taken up). A run in `config.output` that is finished already stays as it is.
        learner: makes what the run learns by; None: an encoder.
        tasks: what the tasks of these names are here; None: as they are registered.

    Returns:
        The run folder.

    Raises:
        NlptlError: the configuration, the data or the checkpoint cannot be used; nothing is left half-written.
    """
    clock = Clock()
    with buffered_log() as messages:
        named = tasks or [load_task(name, config.tasks_dir) for name in task_names(config.task)]
        tasks = [task.deciding_as(config.decision) for task in named]
        with uncollected():  # scikit-learn is imported here, transformers' models are further below
            for task in tasks:
                check_metrics(task)
        if len(tasks) > 1:
            multi_task.check(config, tasks, given or {})
        plan = (learner or EncoderLearner.of)(config, tasks)
        with clock.measure("data"):
            loaded = plan.complete(_load(plan.config, tasks, given))
        inputs = inputs_of(plan.revision, *loaded)
        with uncollected():
            runtime = plan.start()
        finished = finished_folder(runtime, plan.config, inputs) if resume else None
        if finished is not None:
            _publish(runtime, finished)
            return finished
        labelled = [splits.task for splits in loaded]
        with uncollected():
            runtime = plan.try_out(labelled, runtime)
        with run_folder(runtime, plan.config, inputs, resume, messages) as folder:
            config, prepared = plan.config, plan.prepare(loaded, given, folder)
            if prepared is not None:
                plan = prepared
                runtime = plan.try_out(labelled, plan.start())  # each training has an accelerator of its own
            context = RunContext(config, task_rows(loaded), runtime, clock)
            learned = plan.learn(context, folder)
        if runtime.is_main:
            save_run(context, learned, folder)
        _publish(runtime, folder)
        return folder


def _load(config: RunConfig, tasks: list[TaskSpec], given: Any) -> list[Splits]:
    """The audited splits of each task; what the audit found odd is told."""
    several = len(tasks) > 1
    loaded = []
    for task in tasks:
        data = multi_task.data_of(config, task.name) if several else config.data
        rows = (given or {}).get(task.name) if several else given
        splits = load_domains(task, data, config.seed, rows)
        for warning in splits.audit.warnings:
            log.warning(f"{task.name}: {warning}" if several else warning)
        loaded.append(splits)
    return loaded


def _publish(runtime: Runtime, folder: Path) -> None:
    """What a finished run still needs: its model card, and no training state; once, by the process that writes."""
    if runtime.is_main:
        StateFolder(folder / "state").remove()
        write_card(folder)
    runtime.barrier()
    if runtime.accelerator is not None and runtime.accelerator.trackers:
        runtime.accelerator.end_training()


@dataclass(frozen=True)
class EncoderLearner:
    """An encoder in a mode, trained by a strategy."""

    config: ResolvedRun
    checkpoint: Checkpoint
    tells_forgetting: ClassVar[bool] = True
    """Of the run whose head is kept, if one is."""

    @classmethod
    def of(cls, config: RunConfig, tasks: list[TaskSpec]) -> Self:
        """Find the checkpoint and fill every open setting.

        Settings that the user left open take the value that training from random weights needs, else the task's, else
        the strategy's, else the mode's. Several tasks have no task's defaults, since they could differ.

        Raises:
            ConfigError: an unknown name, a mode that the strategy cannot take, a setting it needs that is missing, an
                architecture that cannot be packed where the run asks for it, or long texts that cannot be read so.
            CheckpointError: the checkpoint cannot be had.
            MissingExtraError: the normaliser needs a package that is not installed.
        """
        check_normaliser(config.data.normaliser)
        checkpoint = open_checkpoint(config.checkpoint or tasks[0].checkpoint)
        if continued.continues_adapter(config):
            config, checkpoint = continued.continue_adapter(config, checkpoint)
        kept = continued.defaults_of(config, checkpoint, tasks[0])
        if config.runtime.packing == "on":
            packing.check(encoder_config(checkpoint.path))
        mode = MODES.get(config.mode)
        alone = tasks[0] if len(tasks) == 1 else None
        plain = alone is None or kept
        name = config.strategy or (
            "fine_tune" if plain else usual_strategy(config.mode, config.data.shots, tasks[0].kind)
        )
        strategy = STRATEGIES.get(name)
        strategy.check_mode(name, config.mode)
        for key, message in strategy.needs.items():
            section, _, setting = key.partition(".")
            if getattr(getattr(config, section), setting) is None:
                raise ConfigError(message)
        few = {"training.refit": True} if config.data.shots else {}  # few rows: those of validation are needed too
        resolved = config.resolved(
            from_scratch_defaults(config) if config.model.weights == "random" else {},
            alone.training_defaults(config.mode) if alone is not None else {},
            strategy.defaults.get(config.mode, {}),
            {"strategy": name, "checkpoint": tasks[0].checkpoint, **few},
            kept,
            {"model.pooling": mode.pools.get(checkpoint.pooling, checkpoint.pooling)},
            mode.defaults,
        )
        long_texts.check(resolved, tasks, mode.trains_encoder)
        return cls(resolved, checkpoint)

    @property
    def revision(self) -> str:
        return revision_of(self.checkpoint)

    def complete(self, loaded: list[Splits]) -> list[Splits]:
        """Add the labels of the head that is kept."""
        if self.config.model.head_start != continued.KEEP:
            return loaded
        return [continued.with_kept_labels(splits, self.checkpoint) for splits in loaded]

    def start(self) -> Runtime:
        return join_processes(self.config.runtime)

    def prepare(self, loaded: list[Splits], given: Any, folder: Path) -> EncoderLearner | None:
        """Train each of several tasks alone, where they are to be compared."""
        if not self.config.multi_task.compare:
            return None
        multi_task.train_alone(self.config, given or {}, [splits.task for splits in loaded], folder, train)
        return self

    def try_out(self, tasks: list[TaskSpec], runtime: Runtime) -> Runtime:
        """Compute a few texts through the checkpoint as this run will use it.

        Raises:
            CheckpointError: it cannot be used; one sentence says why.
            ConfigError: sharded weights, and texts in windows.
        """
        long_texts.check_sharding(self.config, runtime.is_sharded)
        return try_checkpoint(self.config, self.checkpoint, tasks, runtime)

    def learn(self, context: RunContext, folder: Path) -> Learned:
        job = encode_rows(context, self.config, self.checkpoint)
        describe(job)
        check_scorers(job)
        _start_trackers(job, folder)
        trained = STRATEGIES.get(self.config.strategy).load()(job, StateFolder(folder / "state"))
        kept = self.tells_forgetting and self.config.model.head_start == continued.KEEP
        forgotten = continued.forgetting(job, trained) if kept else {}
        seen = with_seen(job, trained)
        if context.runtime.is_main:
            trained.classifier.to("cpu")
        model = SavedEncoder(
            trained.classifier,
            trained.mode,
            self.config.mode,
            job.tokenizer,
            job.max_length,
            long_texts.long_text_of(self.config),
            self.checkpoint,
            sample_of(job),
        )
        return Learned(model, seen, {**facts_of(job, trained), **forgotten})


def describe(job: Job) -> None:
    """Say what is about to be learned, by what, and where."""
    if not job.runtime.is_main:
        return
    tell_rows(job)
    processes = f", {job.runtime.processes} processes" if job.runtime.processes > 1 else ""
    start = ", random weights instead of its own" if job.config.model.weights == "random" else ""
    log.info(
        f"Checkpoint {job.checkpoint.name} ({job.checkpoint.source}){start}, {job.pooling} pooling, "
        f"mode {job.config.mode}; {job.runtime.device.type}, {job.runtime.precision}{processes}"
    )


def _start_trackers(job: Job, folder: Path) -> None:
    if not job.config.runtime.trackers:
        return
    job.runtime.accelerator.project_configuration.logging_dir = str(folder / "trackers")
    settings: Mapping[str, Any] = job.config.model_dump(mode="json")
    flat = {f"{s}.{k}": str(v) for s, inner in settings.items() if isinstance(inner, dict) for k, v in inner.items()}
    job.runtime.accelerator.init_trackers("nlptl", config=flat)
