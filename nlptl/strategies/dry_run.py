"""The checkpoint of a run is tried as the run will use it, before there is a run folder."""

from __future__ import annotations

import logging

import torch

from nlptl.checkpoints import Checkpoint
from nlptl.config.run import ResolvedRun
from nlptl.errors import CheckpointError
from nlptl.kernels import KernelSettings, enable
from nlptl.models.building import build_classifier
from nlptl.models.classifier import Classifier
from nlptl.models.opening import encoder_config, longest_input, open_tokenizer
from nlptl.models.trial import try_out
from nlptl.registry import MODES
from nlptl.tasks import TaskSpec, joint_labels
from nlptl.training.runtime import Runtime, join_processes

log = logging.getLogger("nlptl")


def try_checkpoint(config: ResolvedRun, checkpoint: Checkpoint, tasks: list[TaskSpec], runtime: Runtime) -> Runtime:
    """Compute a few texts, and a step's gradients where the encoder learns, with a classifier that is then let go.

    Args:
        config: of the run.
        checkpoint: that it starts from.
        tasks: with their labels.
        runtime: of the run.

    Returns:
        The runtime to go on with: that which was given or, where the run leaves the precision open and the checkpoint
        computes in float32 alone, one in float32.

    Raises:
        CheckpointError: the checkpoint cannot be used, in one sentence.
        ConfigError: settings that do not fit its architecture.
    """
    encoder = encoder_config(checkpoint.path)
    tokenizer = open_tokenizer(checkpoint.path, encoder)
    model, mode = config.model, MODES.get(config.mode)()
    several = len(tasks) == 1 and tasks[0].kind == "multi_label"
    labels, kernels = joint_labels(tasks), KernelSettings.of(config.runtime)

    def learn(classifier: Classifier) -> None:
        mode.apply(classifier, config.lora)
        enable(classifier, kernels)  # of adapters, if the mode added some
        if config.runtime.gradient_checkpointing:
            classifier.encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    # What is drawn here must not move what the run draws.
    with torch.random.fork_rng(devices=[]):
        random = model.weights == "random"
        classifier = build_classifier(checkpoint.path, model.pooling, labels, several, model.dropout, random)
        enable(classifier, kernels)
        if not random:
            _say_what_is_fresh(classifier)
        reason = try_out(
            classifier,
            tokenizer,
            longest_input(tokenizer, encoder, model.max_length),
            runtime.device,
            runtime.dtype,
            learn if mode.trains_encoder else None,
        )
    return _in_float32(config, checkpoint, reason, runtime)


def _say_what_is_fresh(classifier: Classifier) -> None:
    inside = {id(parameter) for parameter in classifier.encoder.parameters()}
    fresh = sorted(name for name, parameter in classifier.own.items() if id(parameter) in inside)
    if fresh:
        log.info(f"The checkpoint does not bring {', '.join(fresh)}; they start from random weights")


def _in_float32(config: ResolvedRun, checkpoint: Checkpoint, reason: str | None, runtime: Runtime) -> Runtime:
    precision = runtime.precision
    if not runtime.any(reason is not None):  # processes on different machines may differ
        return runtime
    said = f"The checkpoint {checkpoint.name} cannot be computed in {precision} ({reason or 'on another process'})"
    if config.runtime.precision != "auto":
        raise CheckpointError(f"{said}. Use --set runtime.precision=fp32.")
    log.warning(f"{said}; the run goes on in fp32")
    return join_processes(config.runtime, "fp32")
