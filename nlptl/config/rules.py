"""The table of settings that have an effect on some runs only, and why they have none on the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nlptl.config.run import DecisionConfig, RunConfig

SECTION_OF_STRATEGY = {
    "contrastive": ("contrastive",),
    "soup": ("soup",),
    "distillation": ("distillation",),
    "domain_adaptation": ("adaptation",),
}
"""The sections that only one strategy reads. An outside strategy names those that it reads as `sections`."""
ALIGNING = ("coral", "mmd", "dann")


@dataclass(frozen=True)
class Situation:
    """What a run is, as far as it decides which settings have an effect."""

    config: RunConfig
    trains_encoder: bool
    """False: the encoder is frozen and its head is fitted without a training loop; also for a baseline."""
    has_adapters: bool
    """Whether the mode reads the section `lora`."""
    head_start: str
    """`probe` or `random`, as it will be resolved."""
    strategy: str
    sections: tuple[str, ...] = ()
    """The sections that the strategy reads, of those that not every strategy does."""
    method: str = "none"
    """The method of domain adaptation; `none` for other strategies."""
    several_tasks: bool = False
    decides_by: frozenset[str] = frozenset()
    """The settings `decision.*` that the decision policies of the tasks read."""
    crosses_domains: bool = False
    """Whether each of several domains is adapted to each other one (`nlptl adapt --domains`)."""

    @property
    def is_baseline(self) -> bool:
        """Whether a classical model is fitted, and no encoder is opened."""
        return self.config.baseline.model is not None

    @property
    def adapts(self) -> bool:
        """Whether there is a target domain."""
        return "adaptation" in self.sections

    @property
    def aligns(self) -> bool:
        """Whether a loss draws two domains together."""
        frozen = ("mmd", "dann")
        return self.method in ((*ALIGNING, "coral_self_training") if self.trains_encoder else frozen)

    @property
    def starts_from_probe(self) -> bool:
        """Whether the head that training starts from is a linear probe."""
        return self.head_start == "probe" and "contrastive" not in self.sections


@dataclass(frozen=True)
class Rule:
    """Settings that have an effect on some runs only."""

    keys: tuple[str, ...]
    """Dotted settings; `section.*` for all of a section."""
    applies: Callable[[Situation], bool]
    reason: str
    """Why they have none on the others; what stands in braces is filled with mode, strategy, method and baseline."""
    harmless: bool = False
    """True: it is left aside with a warning, since whoever compares modes or methods gives all of them the same
    settings: how training goes, where there is none; or a detail of another method. False: it is refused."""

    def covers(self, key: str) -> bool:
        """Whether the rule speaks of this setting."""
        return key in self.keys or f"{key.partition('.')[0]}.*" in self.keys

    def sentence(self, situation: Situation) -> str:
        """The reason, in terms of this run."""
        config = situation.config
        return self.reason.format(
            mode=config.mode, strategy=situation.strategy, method=situation.method, baseline=config.baseline.model
        )


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
        ("training.weight_decay", "training.layer_decay", "training.unfreeze", "training.label_smoothing"),
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
        ("decision.keep",),
        lambda s: s.config.decision.reject != "never",
        "decision.reject=never answers with the most probable label",
    ),
    # Data.
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
