"""Inductive transfer: a checkpoint becomes a classifier for one task. The straight path of `nlptl train`."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from nlptl.artifacts import environment, is_unfinished, prepare_folder, save_artifact, write_json
from nlptl.checkpoints import Checkpoint, resolve_checkpoint
from nlptl.config import RunConfig
from nlptl.data.encoding import Encoded, encode
from nlptl.data.files import TableWriter
from nlptl.data.loading import Splits, label_targets, load_splits
from nlptl.evaluation.decisions import Decision, fit_decision
from nlptl.evaluation.evaluator import check_metrics, full_report, probabilities_of, quick_metrics
from nlptl.models.classifier import Classifier, build_classifier, load_tokenizer, longest_input
from nlptl.models.features import FeatureStore
from nlptl.models.modes import MODES, Mode
from nlptl.models.probe import LinearHead, fit_probe
from nlptl.objectives.classification import Classification, balanced_weights
from nlptl.resources import cache_dir
from nlptl.tasks import TaskSpec, load_task
from nlptl.training.checkpointing import Progress, StateFolder
from nlptl.training.forward import concatenate, features_of, logits_of, subset
from nlptl.training.loop import TrainingRows, fit, measure_padding
from nlptl.training.runtime import Runtime, start_runtime
from nlptl.training.timing import Clock

log = logging.getLogger("nlptl")
VERIFIED_ROWS = 16


@dataclass
class _Job:
    """What the steps of one run share."""

    config: RunConfig
    task: TaskSpec
    mode: Mode
    checkpoint: Checkpoint
    runtime: Runtime
    clock: Clock
    splits: Splits
    encoded: dict[str, Encoded]
    targets: dict[str, np.ndarray]
    tokenizer: Any
    max_length: int
    pooling: str

    @property
    def pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id)


@dataclass
class _Trained:
    """The outcome of training: the model and what it says of the held-out splits."""

    classifier: Classifier
    mode: Mode
    validation_logits: np.ndarray
    test_logits: np.ndarray
    progress: Progress
    notes: dict[str, Any]


def fine_tune(
    config: RunConfig, given: Any = None, resume: bool = False, publish: Callable[[Path], object] | None = None
) -> Path:
    """Train a classifier and save it as a run.

    Args:
        config: what to train; unset settings take the task's and the mode's defaults.
        given: Python data instead of `config.data.source`.
        resume: go on with the newest unfinished run of these settings (an unfinished run in `config.output` is
            always taken up).
        publish: called once with the finished run folder, by the process that writes.

    Returns:
        The run folder.

    Raises:
        NlptlError: the configuration, the data or the checkpoint cannot be used; nothing is left half-written.
    """
    clock = Clock()
    with _noted() as notes:
        task = load_task(config.task, config.tasks_dir)
        check_metrics(task)
        mode_class = MODES.get(config.mode)
        checkpoint = resolve_checkpoint(config.checkpoint or task.checkpoint)
        defaults = {"checkpoint": task.checkpoint, "model.pooling": checkpoint.pooling, **mode_class.defaults}
        if config.data.shots:  # few rows: those of validation are needed too
            defaults["training.refit"] = True
        config = config.filled(task.training_defaults(config.mode), defaults)
        noted = config.model_copy(update={"output": None})
        with clock.measure("data"):
            splits = load_splits(task, config.data, config.seed, given)
        for warning in splits.audit.warnings:
            log.warning(warning)
        runtime = start_runtime(
            config.runtime.precision,
            config.runtime.trackers,
            config.runtime.deterministic,
            config.runtime.progress,
        )
        folder = _agree_on_folder(runtime, config, noted, resume)
        # From here on only the main process writes; a failure of its own stops it, and the launcher stops the others.
        if runtime.is_main:
            taken_up = prepare_folder(folder, noted)
            if taken_up:
                log.info(f"Going on with the unfinished run in {folder}")
            _keep_log(notes, folder)
        runtime.barrier()
        job = _encode(noted, task=splits.task, checkpoint=checkpoint, runtime=runtime, clock=clock, splits=splits)
        _describe(job)
        _start_trackers(job, folder)
        trained = _train(job, StateFolder(folder / "state"))
        if runtime.is_main:
            _save(job, trained, folder)
            if publish is not None:
                publish(folder)
        runtime.barrier()
        if runtime.accelerator.trackers:
            runtime.accelerator.end_training()
        return folder


def _encode(
    config: RunConfig, task: TaskSpec, checkpoint: Checkpoint, runtime: Runtime, clock: Clock, splits: Splits
) -> _Job:
    from transformers import AutoConfig

    tokenizer = load_tokenizer(checkpoint.path)
    encoder_config = AutoConfig.from_pretrained(checkpoint.path, trust_remote_code=False)
    max_length = longest_input(tokenizer, encoder_config, config.model.max_length)
    frames = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    with clock.measure("data"):
        encoded = {name: encode(frame, tokenizer, max_length, _bar(runtime, name)) for name, frame in frames.items()}
    targets = {name: label_targets(frame, task.label_list()) for name, frame in frames.items()}
    mode = MODES.get(config.mode)()
    pooling = str(config.model.pooling)
    return _Job(
        config, task, mode, checkpoint, runtime, clock, splits, encoded, targets, tokenizer, max_length, pooling
    )


def _bar(runtime: Runtime, split: str) -> Callable[[Iterable[int]], Iterable[int]]:
    return lambda chunks: runtime.track(chunks, f"tokenising {split}")


def _train(job: _Job, state: StateFolder) -> _Trained:
    """Probe, then (unless the encoder stays frozen) train from it; refit on all labelled rows where asked."""
    classifier = _fresh_classifier(job)
    head, features = None, {}
    if job.config.model.head_start == "probe" or not job.mode.trains_encoder:
        features = _features(job, classifier)
        probe = job.config.probe
        head = _probe(job, features, [probe.start] if job.mode.trains_encoder else probe.regularisation)
    if not job.mode.trains_encoder:
        assert head is not None
        return _finish_frozen(job, classifier, features, head)
    _start(job, classifier, head, job.mode)
    progress = _fit(job, classifier, _rows(job, "train"), state, evaluate=True)
    validation = _logits(job, classifier, "validation")
    mode = job.mode
    if job.config.training.refit:
        log.info(f"Training again on train + validation together, for {progress.best_epoch} epochs")
        classifier, mode = _fresh_classifier(job), MODES.get(job.config.mode)()
        if head is not None:
            head = _refit_probe(job, features, head)
        _start(job, classifier, head, mode)
        if progress.best_epoch:
            _fit(job, classifier, _rows(job, "both"), None, evaluate=False, stop_after=progress.best_epoch)
    notes = {"probe_regularisation": head.regularisation} if head else {}
    return _Trained(classifier, mode, validation, _logits(job, classifier, "test"), progress, notes)


def _finish_frozen(job: _Job, classifier: Classifier, features: dict[str, np.ndarray], head: LinearHead) -> _Trained:
    job.mode.apply(classifier, job.config.lora)
    validation = head.logits(features["validation"])
    if job.config.training.refit:
        head = _refit_probe(job, features, head)
    _set_head(classifier, head)
    with job.clock.measure("features"):
        test, _ = features_of(job.runtime, classifier, job.encoded["test"], job.pad_id, _store(job))
    notes = {"probe_regularisation": head.regularisation}
    return _Trained(classifier, job.mode, validation, head.logits(test), Progress(), notes)


def _fresh_classifier(job: _Job) -> Classifier:
    torch.manual_seed(job.config.seed)
    several = job.task.kind == "multi_label"
    labels = job.task.label_list()
    dropout = job.config.model.dropout
    return build_classifier(job.checkpoint.path, job.pooling, labels, several, dropout).to(job.runtime.device)


def _start(job: _Job, classifier: Classifier, head: LinearHead | None, mode: Mode) -> None:
    """Give the head its start and the mode its say over what is trainable."""
    if head is not None:
        _set_head(classifier, head)
    torch.manual_seed(job.config.seed)
    mode.apply(classifier, job.config.lora)
    if job.config.runtime.gradient_checkpointing:
        classifier.encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _set_head(classifier: Classifier, head: LinearHead) -> None:
    with torch.no_grad():
        classifier.head.weight.copy_(head.weight)
        classifier.head.bias.copy_(head.bias)


def _store(job: _Job) -> FeatureStore | None:
    if not job.config.probe.cache:
        return None
    identity = f"{job.checkpoint.revision}/{job.checkpoint.path.name}/{job.pooling}/{job.runtime.precision}"
    return FeatureStore(
        cache_dir(), f"{identity}/{job.runtime.device.type}/{job.config.seed if job.pooling == 'cls' else ''}"
    )


def _features(job: _Job, classifier: Classifier) -> dict[str, np.ndarray]:
    features = {}
    with job.clock.measure("features"):
        for split in ("train", "validation"):
            features[split], computed = features_of(
                job.runtime, classifier, job.encoded[split], job.pad_id, _store(job)
            )
            known = len(features[split]) - computed
            log.info(f"Features of {split}: {computed} texts encoded, {known} from the cache")
    return features


def _probe(job: _Job, features: dict[str, np.ndarray], path: list[float]) -> LinearHead:
    with job.clock.measure("head"):
        head = fit_probe(
            features["train"],
            job.targets["train"],
            len(job.task.label_list()),
            path,
            (features["validation"], job.targets["validation"]),
            _class_weights(job),
        )
    accuracy = quick_metrics(job.task, head.logits(features["validation"]), job.targets["validation"])[job.task.metric]
    log.info(f"Linear probe: {job.task.metric} {accuracy:.4f} on validation (regularisation C={head.regularisation:g})")
    return head


def _refit_probe(job: _Job, features: dict[str, np.ndarray], head: LinearHead) -> LinearHead:
    together = np.concatenate([features["train"], features["validation"]])
    targets = np.concatenate([job.targets["train"], job.targets["validation"]])
    with job.clock.measure("head"):
        return fit_probe(
            together, targets, len(job.task.label_list()), [head.regularisation], None, _class_weights(job)
        )


def _rows(job: _Job, which: str) -> TrainingRows:
    if which == "train":
        return TrainingRows(job.encoded["train"], job.targets["train"], job.pad_id)
    both = concatenate(job.encoded["train"], job.encoded["validation"])
    return TrainingRows(both, np.concatenate([job.targets["train"], job.targets["validation"]]), job.pad_id)


def _fit(
    job: _Job,
    classifier: Classifier,
    rows: TrainingRows,
    state: StateFolder | None,
    evaluate: bool,
    stop_after: int | None = None,
) -> Progress:
    training = job.config.training
    objective = Classification(training.label_smoothing or 0.0, _class_weights(job))

    def judge(model: Any) -> dict[str, float]:
        with job.clock.measure("evaluation"):
            logits = logits_of(
                job.runtime,
                model if job.runtime.is_sharded else classifier,
                job.encoded["validation"],
                job.pad_id,
                len(job.task.label_list()),
                "validating",
            )
        return quick_metrics(job.task, logits, job.targets["validation"])

    before = job.clock.seconds.get("evaluation", 0.0)
    with job.clock.measure("training"):
        progress = fit(
            job.runtime,
            classifier,
            objective,
            rows,
            training,
            job.config.seed,
            judge if evaluate else None,
            job.task.metric,
            state,
            stop_after,
        )
    job.clock.seconds["training"] -= job.clock.seconds.get("evaluation", 0.0) - before
    return progress


def _class_weights(job: _Job) -> torch.Tensor | None:
    if job.config.training.class_weights == "none":
        return None
    return balanced_weights(job.targets["train"], len(job.task.label_list()))


def _logits(job: _Job, classifier: Classifier, split: str) -> np.ndarray:
    with job.clock.measure("evaluation"):
        return logits_of(
            job.runtime, classifier, job.encoded[split], job.pad_id, len(job.task.label_list()), f"evaluating {split}"
        )


def _save(job: _Job, trained: _Trained, folder: Path) -> None:
    several = job.task.kind == "multi_label"
    probabilities = probabilities_of(trained.validation_logits, several)
    decision = fit_decision(job.task, probabilities, job.targets["validation"])
    with job.clock.measure("saving"):
        classifier = trained.classifier.to("cpu")
        sample = subset(job.encoded["test"], np.arange(min(VERIFIED_ROWS, len(job.encoded["test"]))))
        _write_predictions(job, trained.test_logits, decision, folder / "predictions.csv")
        write_json(folder / "metrics.json", _metrics(job, trained, decision))
        save_artifact(
            folder,
            job.config,
            job.task,
            job.checkpoint,
            classifier,
            trained.mode,
            job.tokenizer,
            decision,
            job.max_length,
            sample,
        )
    StateFolder(folder / "state").remove()


def _metrics(job: _Job, trained: _Trained, decision: Decision) -> dict[str, Any]:
    seconds = job.clock.seconds
    busy = seconds.get("training", 0.0) if job.mode.trains_encoder else seconds["features"] + seconds["head"]
    parameters = list(trained.classifier.parameters())
    trainable = [p for p in parameters if p.requires_grad] or list(trained.classifier.head.parameters())
    rows = _rows(job, "train")
    seen = len(trained.progress.losses) / max(-(-len(rows.targets) // (job.config.training.batch_size or 1)), 1)
    examples = seen * len(rows.targets) if job.mode.trains_encoder else len(rows.targets)
    padding = measure_padding(rows, job.config.training.batch_size or 1, job.runtime.processes, job.config.seed)
    return {
        "test": full_report(job.task, trained.test_logits, job.targets["test"], decision),
        "validation": full_report(job.task, trained.validation_logits, job.targets["validation"], decision),
        "time": {
            **job.clock.report(),
            "train_examples_per_second": examples / busy if busy else None,
            "padding_share": padding if job.mode.trains_encoder else None,
        },
        "training": {
            "best_epoch": trained.progress.best_epoch,
            "steps": trained.progress.step,
            "epochs": trained.progress.epochs,
            "losses": trained.progress.losses,
            **trained.notes,
        },
        "model": {
            "parameters": sum(p.numel() for p in parameters),
            "trainable_parameters": sum(p.numel() for p in trainable),
            "checkpoint": job.checkpoint.record(),
            "pooling": job.pooling,
        },
        "data": {**job.splits.sizes(), "labels": len(job.task.label_list()), "audit": job.splits.audit.counts},
        "runtime": {
            "device": job.runtime.device.type,
            "precision": job.runtime.precision,
            "processes": job.runtime.processes,
            "threads": torch.get_num_threads(),
        },
        "versions": environment(),
    }


def _write_predictions(job: _Job, logits: np.ndarray, decision: Decision, path: Path) -> None:
    labels = job.task.label_list()
    probabilities = probabilities_of(logits, job.task.kind == "multi_label")
    decided, scores = decision.apply(probabilities, labels)
    test = job.splits.test
    separator = job.task.label_separator
    table = pd.DataFrame(
        {
            **{column: test[column] for column in ("file", "row", "text", "text_pair") if column in test},
            "label": [separator.join(name) if isinstance(name, list) else name for name in test["label"]],
            "predicted": [separator.join(name) if isinstance(name, list) else name for name in decided],
            "most_probable": [labels[i] for i in probabilities.argmax(1)],
            "score": np.round(scores.astype(float), 6),
        }
    )
    with TableWriter(path) as writer:
        writer.write(table)


def _describe(job: _Job) -> None:
    if not job.runtime.is_main:
        return
    sizes = ", ".join(f"{name} {rows}" for name, rows in job.splits.sizes().items())
    log.info(f"Task {job.task.name}: {len(job.task.label_list())} labels; rows: {sizes}")
    log.info(
        f"Checkpoint {job.checkpoint.name} ({job.checkpoint.source}), {job.pooling} pooling, mode {job.config.mode}"
    )
    log.info(f"Device {job.runtime.device.type}, precision {job.runtime.precision}, processes {job.runtime.processes}")


def _start_trackers(job: _Job, folder: Path) -> None:
    if not job.config.runtime.trackers:
        return
    job.runtime.accelerator.project_configuration.logging_dir = str(folder / "trackers")
    settings = job.config.model_dump(mode="json")
    flat = {f"{s}.{k}": str(v) for s, inner in settings.items() if isinstance(inner, dict) for k, v in inner.items()}
    job.runtime.accelerator.init_trackers("nlptl", config=flat)


def _agree_on_folder(runtime: Runtime, config: RunConfig, noted: RunConfig, resume: bool) -> Path:
    """The run folder, the same on every process."""
    if config.output:
        return Path(config.output).expanduser()
    unfinished = _newest_unfinished(noted) if resume else None
    name = unfinished or f"{config.task}-{config.mode}-{datetime.now():%Y%m%d-%H%M%S}"
    return Path("runs") / runtime.agree(name)


@contextmanager
def _noted() -> Iterator[logging.handlers.MemoryHandler]:
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


def _keep_log(notes: logging.handlers.MemoryHandler, folder: Path) -> None:
    file = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    notes.setTarget(file)
    notes.flushLevel = logging.NOTSET  # from here on nothing waits: a run that is killed has its log
    notes.flush()


def _newest_unfinished(noted: RunConfig) -> str | None:
    for folder in sorted(Path("runs").glob(f"{noted.task}-{noted.mode}-*"), reverse=True):
        if is_unfinished(folder, noted):
            return folder.name
    log.info("There is no unfinished run of these settings under runs/; starting a new one")
    return None
