"""nlptl's side of the speed benchmarks: one measurement, one JSON line.

steps    some steps of the training loop, timed one by one, as peers.hf_trainer does
target   train from the linear probe until validation is good enough, as peers.hf_trainer --target does
job      a whole `nlptl.train`, to a saved and verified run and its test accuracy
label    file to file with a finished run, as peers.labelling does
"""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers.steps import SKIP, now, steady
from peers.texts import say, threads

from nlptl.data.tokens.encoding import filler_lengths
from nlptl.training.examples.labelled import Examples

TASK = "chatbot-intent"
# What makes a step cheaper, and the setting of `nlptl.kernels.KernelSettings` that leaves it out.
# All of them are left out by --set runtime.kernels=off.
SAVINGS = {
    "used words": "used_words",
    "narrow activations": "bf16_activations",
    "short-text attention": "attention",
    "frozen weights rounded once": "rounded_weights",
    "shorter adapters": "fused_adapters",
}
Assignments = dict[str, Any]


@dataclass
class TimedRows:
    """The first steps of some rows' plan, and one more, with a note of when each began and what it held."""

    inner: Any
    """LabelledExamples, or what has their `encoded`, `plan` and `losses`; for a model that packs, without padding."""
    limit: int
    marks: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    real: list[int] = field(default_factory=list)
    fed: list[int] = field(default_factory=list)

    @property
    def tokens(self) -> np.ndarray | None:
        known: np.ndarray | None = self.inner.tokens
        return known

    def plan(self, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
        planned: list[np.ndarray] = self.inner.plan(batch_size, seed, epoch)
        return planned[: self.limit + 1]

    def lengths_of(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.inner.lengths_of(rows))

    def inputs_of(self, rows: np.ndarray) -> np.ndarray:
        return np.ones(len(rows), np.int64)

    def losses(self, model: Any, rows: np.ndarray, device: torch.device) -> torch.Tensor:
        lengths = self.inner.encoded.lengths[rows]
        real = int(lengths.sum())
        self.marks.append(now(device))
        self.rows.append(len(rows))
        self.real.append(real)
        packed = real + int(filler_lengths(real).sum()) if model.rounds_shapes else real
        self.fed.append(packed if model.packs else len(lengths) * int(lengths.max()))
        losses: torch.Tensor = self.inner.losses(model, rows, device)
        return losses

    def report(self, skip: int = SKIP) -> dict[str, float]:
        """Rates from step to step, without the first `skip`; what comes after the last is no step."""
        return steady(self.marks, self.rows[:-1], self.real[:-1], self.fed[:-1], skip)


class Reached(Exception):
    """Validation is good enough; leaves the training loop."""


@dataclass(frozen=True)
class Prepared:
    """What a training starts from."""

    config: Any
    runtime: Any
    task: Any
    encoded: dict[str, Any]
    targets: dict[str, np.ndarray]
    pad_id: int
    classifier: Any
    mode: Any

    @property
    def rows(self) -> Examples:
        """The training rows."""
        from nlptl.objectives.classification import Classification
        from nlptl.training.examples.labelled import LabelledExamples

        smoothing = self.config.training.label_smoothing or 0.0
        return LabelledExamples(self.encoded["train"], self.targets["train"], self.pad_id, Classification(smoothing))

    def apply_mode(self) -> None:
        """Choose what learns, as the strategies do."""
        from nlptl.kernels import enable

        self.mode.apply(self.classifier, self.config.lora)
        enable(self.classifier, self.classifier.kernels)


def main() -> None:
    """Measure what was asked for."""
    arguments = parse()
    torch.set_num_threads(threads())
    {"steps": steps, "target": target, "job": job, "label": label}[arguments.what](arguments)


def parse() -> argparse.Namespace:
    """The command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument("what", choices=("steps", "target", "job", "label"))
    made.add_argument("--data", type=Path, required=True, help="folder with train.csv, validation.csv, test.csv")
    made.add_argument("--mode", default="full")
    made.add_argument("--set", dest="settings", action="append", default=[], metavar="SECTION.KEY=VALUE")
    made.add_argument("--steps", type=int, default=60)
    made.add_argument("--without", choices=SAVINGS, help="steps, target: leave one of the savings out")
    made.add_argument("--target", type=float, default=0.925)
    made.add_argument("--limit", type=float, default=900, help="give the target up after so many seconds")
    made.add_argument("--output", type=Path, help="job: the run folder; label: the file with the labels")
    made.add_argument("--run", type=Path, help="label: the finished run")
    made.add_argument("--repeats", type=int, default=3, help="label: passes over the file")
    arguments = made.parse_args()
    if arguments.without and arguments.what not in ("steps", "target"):
        made.error("--without is for steps and target; leave all savings out with --set runtime.kernels=off")
    return arguments


def prepare(arguments: argparse.Namespace) -> Prepared:
    """Examples, classifier and runtime, with the defaults of task and mode."""
    from nlptl.checkpoints import resolve_checkpoint
    from nlptl.config.overrides import load_config, parse_assignments
    from nlptl.data.loading import label_targets, load_splits
    from nlptl.data.tokens.encoding import encode
    from nlptl.kernels import KernelSettings, enable
    from nlptl.models.building import build_classifier
    from nlptl.models.opening import load_tokenizer
    from nlptl.registry import MODES
    from nlptl.tasks import load_task
    from nlptl.training.runtime import start_runtime

    task, mode = load_task(TASK), MODES.get(arguments.mode)
    checkpoint = resolve_checkpoint(task.checkpoint)
    given = {"data.source": str(arguments.data), **parse_assignments(arguments.settings)}
    config = load_config(task=TASK, mode=arguments.mode, **given)
    pooling = mode.pools.get(checkpoint.pooling, checkpoint.pooling)
    chosen = {"strategy": "fine_tune", "checkpoint": task.checkpoint, "model.pooling": pooling}
    config = config.resolved(task.training_defaults(arguments.mode), {**chosen, **mode.defaults})
    splits = load_splits(task, config.data, config.seed)
    names = splits.task.label_list()
    tokenizer = load_tokenizer(checkpoint.path)
    frames = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    runtime = start_runtime(config.runtime.precision, progress=False)
    torch.manual_seed(config.seed)
    classifier = build_classifier(checkpoint.path, config.model.pooling, names, False, config.model.dropout)
    kernels = KernelSettings.of(config.runtime)
    enable(classifier, replace(kernels, **{SAVINGS[arguments.without]: False}) if arguments.without else kernels)
    return Prepared(
        config,
        runtime,
        splits.task,
        {name: encode(frame, tokenizer, config.model.max_length) for name, frame in frames.items()},
        {name: label_targets(frame, names) for name, frame in frames.items()},
        int(tokenizer.pad_token_id),
        classifier.to(runtime.device),
        mode(),
    )


def steps(arguments: argparse.Namespace) -> None:
    """Time the loop's steps; nothing is validated, and the head starts from noise, as the peers' does."""
    from nlptl.training.loop import fit

    begun = time.perf_counter()
    made = prepare(arguments)
    made.apply_mode()
    timed = TimedRows(made.rows, arguments.steps)
    training = made.config.training.model_copy(update={"epochs": 1})
    ready = time.perf_counter()
    fit(made.runtime, made.classifier, timed, training, made.config.seed)
    say(
        **timed.report(),
        start_up_seconds=timed.marks[0] - ready,
        ready_seconds=ready - begun,
        precision=made.runtime.precision,
    )


def target(arguments: argparse.Namespace) -> None:
    """Features, linear probe, then (unless the encoder stays frozen) epochs, until validation is good enough; test."""
    from nlptl.evaluation.evaluator import quick_metrics
    from nlptl.models.linear_probe import fit_probe
    from nlptl.training.forward import features_of, logits_of
    from nlptl.training.loop import fit

    begun = time.perf_counter()
    made = prepare(arguments)
    classes = len(made.task.label_list())

    def features(split: str) -> np.ndarray:
        return features_of(made.runtime, made.classifier, made.encoded[split], made.pad_id, None)[0]

    learned, targets, held_out = features("train"), made.targets["train"], None
    path = [made.config.probe.start]
    if not made.mode.trains_encoder:
        path, held_out = made.config.probe.regularisation, (features("validation"), made.targets["validation"])
    head = fit_probe(learned, targets, classes, path, held_out)
    with torch.no_grad():
        made.classifier.head.weight.copy_(head.weight)
        made.classifier.head.bias.copy_(head.bias)
    made.apply_mode()
    seen: list[float] = []

    def measured(model: Any, split: str) -> dict[str, float]:
        logits = logits_of(made.runtime, model, made.encoded[split], made.pad_id, classes, split)
        return quick_metrics(made.task, logits, made.targets[split])

    def judge(model: Any) -> dict[str, float]:
        metrics = measured(model, "validation")
        seen.append(metrics["accuracy"])
        if seen[-1] >= arguments.target or time.perf_counter() - begun > arguments.limit:
            raise Reached
        return metrics

    with suppress(Reached):  # then the classifier is as validation saw it
        if not made.mode.trains_encoder:
            judge(made.classifier)
            raise Reached
        fit(made.runtime, made.classifier, made.rows, made.config.training, made.config.seed, judge)
    seconds = time.perf_counter() - begun
    say(
        seconds_to_target=seconds if seen[-1] >= arguments.target else None,
        seconds=seconds,
        epoch=len(seen) - 1,
        best_validation_accuracy=max(seen),
        validation_accuracies=seen,
        test_accuracy=measured(made.classifier, "test")["accuracy"],
    )


def job(arguments: argparse.Namespace) -> None:
    """A whole run, libraries imported before as the peers' are; its own account of the time goes into the line."""
    import datasets  # noqa: F401
    import transformers  # noqa: F401

    import nlptl
    import nlptl.strategies.fine_tune
    from nlptl.config.overrides import parse_assignments

    begun = time.perf_counter()
    run = nlptl.train(
        TASK,
        data=arguments.data,
        mode=arguments.mode,
        output=arguments.output,
        settings={"runtime.progress": False, **parse_assignments(arguments.settings)},
    )
    seconds = time.perf_counter() - begun
    test = run.metrics["test"]["accuracy"]
    say(seconds=seconds, test_accuracy=test, **run.metrics["time"], losses=run.metrics["training"]["losses"])


def label(arguments: argparse.Namespace) -> None:
    """Label test.csv `--repeats` times; the first time is told apart."""
    import nlptl

    begun = time.perf_counter()
    run = nlptl.load(arguments.run)
    loaded, seconds, rows = time.perf_counter() - begun, [], 0
    for _ in range(arguments.repeats):
        begun = time.perf_counter()
        # The most probable label is what the peers answer with.
        rows = run.predict_file(arguments.data / "test.csv", arguments.output, decision="argmax")
        seconds.append(time.perf_counter() - begun)
    say(load_seconds=loaded, first_seconds=seconds[0], seconds=sorted(seconds)[len(seconds) // 2], texts=rows)


if __name__ == "__main__":
    main()
