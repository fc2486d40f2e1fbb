"""The table of settings that have an effect on some runs only, and why they have none on the others."""

from __future__ import annotations

from collections.abc import Callable

from nlptl.config.run import DecisionConfig
from nlptl.config.situation import Rule, Situation

LOOP = (
    "model.dropout",
    "training.epochs",
    "training.learning_rate",
    "training.head_learning_rate",
    "training.batch_size",
    "training.micro_batch_size",
    "training.schedule",
    "training.warmup",
    "training.clip",
    "training.patience",
    "training.save_every",
    "training.keep_states",
    "runtime.gradient_checkpointing",
    "runtime.compile",
    "runtime.cuda_graphs",
    "runtime.gradient_compression",
)
RUNTIME_OF_ENCODERS = (
    "runtime.precision",
    "runtime.trackers",
    "runtime.packing",
    "runtime.deterministic",
    "runtime.timeout_seconds",
    "runtime.measure_peak",
    "runtime.kernels",
    "runtime.cache_limit",
)
FROZEN = "mode {mode} keeps the encoder frozen and fits the head without a training loop"


def _decides_by(name: str) -> Callable[[Situation], bool]:
    return lambda situation: name in situation.decides_by


RULES = (
    # A classical model opens no checkpoint.
    Rule(
        (*LOOP, *RUNTIME_OF_ENCODERS),
        lambda s: not s.is_baseline,
        "the baseline {baseline} has no encoder and no training loop",
        harmless=True,
    ),
    Rule(
        (
            "mode",
            "strategy",
            "checkpoint",
            "model.*",
            "lora.*",
            "probe.*",
            "contrastive.*",
            "soup.*",
            "distillation.*",
            "adaptation.*",
        ),
        lambda s: not s.is_baseline,
        "the baseline {baseline} has no encoder",
    ),
    Rule(
        (
            "training.weight_decay",
            "training.layer_decay",
            "training.unfreeze",
            "training.label_smoothing",
            "training.loss",
            "training.focal_gamma",
            "training.sampling",
        ),
        lambda s: not s.is_baseline,
        "the baseline {baseline} has no encoder and no training loop",
    ),
    Rule(
        ("baseline.features",),
        lambda s: s.is_baseline or s.config.baseline.compare,
        "it belongs to baselines (baseline.model, baseline.compare)",
    ),
    Rule(
        ("baseline.compare",),
        lambda s: not s.is_baseline,
        "{baseline} is a baseline itself; nlptl baseline --model all compares all of them",
    ),
    Rule(
        ("baseline.compare",),
        lambda s: not s.several_tasks,
        "several tasks are compared with each one alone (multi_task.compare)",
    ),
    Rule(
        ("baseline.compare",),
        lambda s: not s.adapts,
        "strategy {strategy} is compared with the source alone; a baseline learns from one domain (nlptl baseline)",
    ),
    # Where the encoder is frozen there is no training loop.
    Rule(LOOP, lambda s: s.trains_encoder, FROZEN, harmless=True),
    Rule(("training.layer_decay", "training.unfreeze"), lambda s: s.trains_encoder, FROZEN),
    Rule(
        ("training.weight_decay",),
        lambda s: s.trains_encoder,
        FROZEN + ", whose strength is chosen from probe.regularisation",
    ),
    Rule(("training.label_smoothing",), lambda s: s.trains_encoder or s.method in ("mmd", "dann"), FROZEN),
    Rule(
        ("training.loss", "training.focal_gamma"),
        lambda s: s.trains_encoder or s.method in ("mmd", "dann"),
        FROZEN + " by cross-entropy",
    ),
    Rule(
        ("training.sampling",), lambda s: s.trains_encoder, FROZEN + "; training.class_weights=balanced weighs its rows"
    ),
    Rule(
        ("training.loss", "training.focal_gamma"),
        lambda s: "distillation" not in s.sections,
        "strategy {strategy} learns what its teachers say",
    ),
    Rule(("training.focal_gamma",), lambda s: s.config.training.loss == "focal", "it belongs to training.loss=focal"),
    Rule(
        ("training.sampling",),
        lambda s: not s.several_tasks,
        "of several tasks, multi_task.sampling says how many rows of each are drawn",
    ),
    Rule(
        ("training.sampling",),
        lambda s: not {"distillation", "adaptation"} & set(s.sections),
        "strategy {strategy} draws labelled rows together with others",
    ),
    Rule(
        ("training.sampling",),
        lambda s: s.config.training.class_weights == "none",
        "training.class_weights=balanced makes up for rare labels already",
    ),
    Rule(
        ("model.head_start",),
        lambda s: s.trains_encoder or s.config.model.head_start == "probe",
        FROZEN + "; the head is the probe",
    ),
    Rule(
        ("model.head_start",),
        lambda s: "contrastive" not in s.sections,
        "strategy {strategy}, the default for few shots in mode full, starts from prototypes of the labels",
    ),
    Rule(
        ("model.head_start",),
        lambda s: s.head_start != "keep" or (s.strategy == "fine_tune" and not s.several_tasks),
        "the head of an earlier run is kept by strategy fine_tune, for one task",
    ),
    Rule(
        ("model.weights",),
        lambda s: s.config.model.weights == "pretrained" or s.head_start != "keep",
        "model.head_start=keep goes on with what an earlier run learned",
    ),
    Rule(
        ("probe.regularisation",),
        lambda s: not s.trains_encoder,
        "mode {mode} trains the encoder, and the head it starts from is fitted with probe.start",
    ),
    Rule(
        ("probe.start",),
        lambda s: s.trains_encoder or s.adapts,
        "mode {mode} chooses the strength of its head from probe.regularisation",
    ),
    Rule(
        ("probe.start",),
        lambda s: s.starts_from_probe or s.head_start == "keep" or s.adapts or not s.trains_encoder,
        "no head is started from a probe in this run",
    ),
    # Long texts.
    Rule(
        ("model.window_overlap", "model.window_pooling", "model.max_windows"),
        lambda s: s.config.model.long_text == "windows",
        "it belongs to model.long_text=windows",
    ),
    Rule(
        ("model.max_windows",),
        lambda s: s.trains_encoder,
        "mode {mode} keeps the encoder frozen, and its features are computed from all windows",
        harmless=True,
    ),
    Rule(("lora.*",), lambda s: s.has_adapters, "mode {mode} has no adapters"),
    # Sections of one strategy.
    Rule(("contrastive.*",), lambda s: "contrastive" in s.sections, "it belongs to strategy contrastive"),
    Rule(("distillation.*",), lambda s: "distillation" in s.sections, "it belongs to strategy distillation"),
    Rule(
        ("distillation.members",),
        lambda s: not s.config.distillation.teachers,
        "the teachers are named (distillation.teachers)",
    ),
    Rule(
        ("distillation.layers",),
        lambda s: not s.has_adapters,
        "mode {mode} saves its adapters alone, and the checkpoint has all layers",
    ),
    Rule(("soup.*",), lambda s: "soup" in s.sections, "it belongs to strategy soup"),
    Rule(
        ("adaptation.*", "data.target", "data.target_test"),
        lambda s: s.adapts,
        "it belongs to strategy domain_adaptation (nlptl adapt)",
    ),
    Rule(
        ("adaptation.weight",),
        lambda s: s.aligns,
        "method {method} has no alignment loss in mode {mode}",
        harmless=True,
    ),
    Rule(
        ("adaptation.shrinkage",),
        lambda s: not s.trains_encoder and "coral" in s.method,
        "it belongs to coral on frozen features",
        harmless=True,
    ),
    Rule(
        ("adaptation.rounds", "adaptation.first_share", "adaptation.last_share"),
        lambda s: "self_training" in s.method,
        "method {method} does not train on its own predictions",
        harmless=True,
    ),
    Rule(
        ("adaptation.oracle",),
        lambda s: not s.crosses_domains,
        "of several domains, the runs inside each one are the oracles",
    ),
    Rule(
        ("adaptation.first_share",),
        lambda s: s.config.adaptation.rounds != 1,
        "with one round only adaptation.last_share counts",
    ),
    # Intermediate tasks.
    Rule(("via.*",), lambda s: not s.is_baseline, "the baseline {baseline} has no encoder"),
    Rule(("via.*",), lambda s: not s.several_tasks, "several tasks are learned together already"),
    Rule(("via.*",), lambda s: not s.adapts, "strategy {strategy} has a source of its own (data.source)"),
    Rule(("via.*",), lambda s: bool(s.config.via.sources), "no source is named (--via SOURCE)"),
    Rule(("via.together",), lambda s: len(s.config.via.sources) > 1, "there is one source"),
    Rule(
        ("via.mode", "via.epochs", "via.learning_rate", "via.label_column"),
        lambda s: s.config.via.objective != "unlabelled",
        "via.objective=unlabelled pre-trains on the texts alone, by the settings of nlptl pretrain",
    ),
    # Several tasks.
    Rule(("multi_task.*",), lambda s: s.several_tasks, "it belongs to several tasks, a+b+c"),
    Rule(
        ("multi_task.sampling", "multi_task.temperature", "multi_task.weights", "multi_task.balance"),
        lambda s: s.trains_encoder,
        "mode {mode} keeps the encoder frozen, so that the tasks' heads are fitted apart from each other",
    ),
    Rule(
        ("multi_task.temperature",),
        lambda s: s.config.multi_task.sampling == "temperature",
        "it belongs to multi_task.sampling=temperature",
    ),
    Rule(
        ("multi_task.balance",),
        lambda s: s.starts_from_probe,
        "the losses are balanced by those of probes, and the heads start at random",
    ),
    *(
        Rule((f"decision.{name}",), _decides_by(name), "no task of the run has a decision policy that reads it")
        for name in DecisionConfig.model_fields
        if name not in ("policy", "calibration")
    ),
    Rule(
        ("decision.keep", "decision.scorer"),
        lambda s: s.config.decision.reject != "never",
        "decision.reject=never answers with the most probable label",
    ),
    Rule(
        ("decision.scorer",),
        lambda s: not s.is_baseline,
        "the baseline {baseline} compares probabilities",
        harmless=True,
    ),
    Rule(("decision.scorer",), lambda s: not s.adapts, "strategy {strategy} compares probabilities"),
    # Data.
    Rule(
        ("data.split",),
        lambda s: not s.adapts,
        "strategy {strategy} reports on the target's rows",
    ),
    Rule(
        ("data.split",),
        lambda s: s.config.data.validation is None and s.config.data.test is None,
        "data.validation or data.test names a split",
    ),
    Rule(
        ("data.validation_fraction",),
        lambda s: s.config.data.validation is None or s.adapts,
        "data.validation names the validation split",
    ),
    Rule(
        ("data.test_fraction", "data.test_seed"),
        lambda s: s.config.data.test is None or (s.adapts and s.config.data.target_test is None),
        "data.test names the test split",
    ),
)


def broken_rule(key: str, situation: Situation) -> Rule | None:
    """The rule by which a setting has no effect on a run; None where it has one."""
    return next((rule for rule in RULES if rule.covers(key) and not rule.applies(situation)), None)
