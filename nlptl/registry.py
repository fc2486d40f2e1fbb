"""Named collections of things of one kind, with helpful answers to unknown names.

Entries are lazy: a registry knows the name, one line of help and where the thing lives (`package.module:attribute`),
and imports it when it is first asked for. So command-line help, validation and error messages come from the registry
alone, and importing nlptl stays fast.

Outside packages add entries in two ways, without touching nlptl: by an entry point in the registry's group, or by the
decorator, `@MODES.register("name", "one line of help")`, in a module that the program imports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, NamedTuple, TypeVar

from nlptl.errors import ConfigError, NlptlError, unknown

T = TypeVar("T")


class Package(NamedTuple):
    """Who brought an entry that is not nlptl's own."""

    name: str
    """Of the installed package; of the module, where a program registered the thing itself."""
    version: str | None
    """None for a module."""


class Entry(NamedTuple):
    """One name of a registry."""

    target: Any
    """The thing itself, or `package.module:attribute`, where it is imported from when it is asked for."""
    help: str
    """One line for `--help` and tables."""
    package: Package | None = None
    """None: nlptl itself."""


class Registry(Generic[T]):
    """Names to things of one kind; refuses duplicates, suggests the nearest name for an unknown one.

    Args:
        kind: what the things are called in messages.
        group: the entry-point group through which installed packages add to it; None: they cannot.
        entries: the built-in ones, by name.
    """

    def __init__(
        self, kind: str, group: str | None = None, entries: Mapping[str, tuple[Any, str]] | None = None
    ) -> None:
        self.kind = kind
        self.group = group
        self._entries = {name: Entry(*entry) for name, entry in (entries or {}).items()}
        self._discovered = group is None

    def add(self, name: str, item: T | str, help: str = "") -> None:
        """Register a thing, or `package.module:attribute` to import it from.

        Raises:
            ConfigError: the name is taken.
        """
        if name in self.entries():
            raise ConfigError(f"The {self.kind} {name!r} is registered twice. Choose another name.")
        module = item.partition(":")[0] if isinstance(item, str) else getattr(item, "__module__", "") or ""
        self._entries[name] = Entry(item, help, Package(module, None))

    def register(self, name: str, help: str = "") -> Callable[[T], T]:
        """Decorator form of `add`."""

        def decorate(item: T) -> T:
            self.add(name, item, help)
            return item

        return decorate

    def get(self, name: str) -> T:
        """The thing called `name`, imported now if it was not yet.

        Raises:
            ConfigError: there is none (the message lists all names and suggests the nearest), or importing it fails.
        """
        entry = self._entry(name)
        if isinstance(entry.target, str):
            entry = entry._replace(target=self._import(name, entry.target))
            self._entries[name] = entry
        item: T = entry.target
        return item

    def help(self, name: str) -> str:
        """The line of help of an entry; nothing is imported for it.

        Raises:
            ConfigError: as `get`.
        """
        return self._entry(name).help

    def package(self, name: str) -> Package | None:
        """Who brought an entry; None for nlptl's own. Nothing is imported for it.

        Raises:
            ConfigError: as `get`.
        """
        return self._entry(name).package

    def check(self, name: str) -> None:
        """Refuse an unknown name; nothing is imported for it.

        Raises:
            ConfigError: as `get`.
        """
        self.help(name)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self.entries())

    def entries(self) -> dict[str, Entry]:
        """Every entry by name, those of installed packages included.

        Raises:
            ConfigError: an installed package registers a name that is taken.
        """
        if not self._discovered:
            for point in sorted(entry_points(group=str(self.group)), key=lambda point: point.name):
                self._take_in(point)
            self._discovered = True
        return self._entries

    def _take_in(self, point: EntryPoint) -> None:
        """Add what an installed package registers; nothing of it is imported yet."""
        package = Package(point.dist.name, point.dist.version) if point.dist else Package(point.module, None)
        known = self._entries.get(point.name)
        if known is not None and (known.target, known.package) == (point.value, package):
            return  # taken in before another one was refused
        if known is not None:
            other = f"the package {known.package.name}" if known.package else "nlptl"
            raise ConfigError(
                f"The package {package.name} registers the {self.kind} {point.name!r}, which is registered by {other} "
                f"already. Rename it in its entry points (group {self.group}), or uninstall one of the packages."
            )
        self._entries[point.name] = Entry(point.value, f"of the package {package.name}", package)

    def _entry(self, name: str) -> Entry:
        entries = self.entries()
        if name not in entries:
            raise ConfigError(unknown(self.kind, name, entries))
        return entries[name]

    def _import(self, name: str, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except NlptlError:
            raise
        except Exception as error:  # somebody else's package: whatever it raises, name it
            if module.split(".")[0] == "nlptl":
                raise
            raise ConfigError(f"The {self.kind} {name!r} ({target}) fails to load: {error!r}") from error

    def __contains__(self, name: object) -> bool:
        return name in self.entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.entries())


MODES: Registry[Any] = Registry(
    "mode",
    "nlptl.modes",
    {
        "full": ("nlptl.models.modes:Full", "full fine-tuning: every weight learns"),
        "lora": ("nlptl.models.modes:Lora", "low-rank adapters and the head learn (Hu et al. 2021)"),
        "feature_extraction": (
            "nlptl.models.modes:FeatureExtraction",
            "the encoder is frozen; a linear head is fitted on its features",
        ),
    },
)
"""How much of the encoder learns: classes as `nlptl.models.modes.Mode`."""

STRATEGIES: Registry[Any] = Registry(
    "strategy",
    "nlptl.strategies",
    {
        "fine_tune": ("nlptl.strategies.catalogue:FINE_TUNE", "train encoder and head on the labels"),
        "contrastive": (
            "nlptl.strategies.catalogue:CONTRASTIVE",
            "for few labels: draw texts to learned prototypes of their labels",
        ),
        "soup": ("nlptl.strategies.catalogue:SOUP", "average the weights of several seeds (Wortsman et al. 2022)"),
        "distillation": (
            "nlptl.strategies.catalogue:DISTILLATION",
            "several models, runs or seeds, teach one (Hinton et al. 2015)",
        ),
        "domain_adaptation": (
            "nlptl.strategies.catalogue:DOMAIN_ADAPTATION",
            "labels of one domain, texts alone of another",
        ),
    },
)
"""How the labels of one task are used: `nlptl.strategies.catalogue.Strategy` objects."""

OBJECTIVES: Registry[Any] = Registry(
    "objective",
    "nlptl.objectives",
    {
        "masked_lm": ("nlptl.pretraining.objectives:MASKED_LM", "predict hidden tokens (Devlin et al. 2019)"),
        "simcse": ("nlptl.pretraining.objectives:SIMCSE", "tell texts apart (Gao et al. 2021)"),
        "tsdae": ("nlptl.pretraining.objectives:TSDAE", "restore damaged texts (Wang et al. 2021)"),
    },
)
"""What pre-training on unlabelled text minimises: `nlptl.pretraining.objectives.PretrainObjective` objects."""

METRICS: Registry[Any] = Registry(
    "metric",
    "nlptl.metrics",
    {
        "accuracy": ("nlptl.evaluation.metrics:Accuracy", "share of rows whose label is right"),
        "macro_f1": ("nlptl.evaluation.metrics:MacroF1", "mean over labels of F1"),
        "micro_f1": ("nlptl.evaluation.metrics:MicroF1", "F1 over all label decisions together"),
        "average_precision": (
            "nlptl.evaluation.metrics:AveragePrecision",
            "area under the precision-recall curve of the positive label",
        ),
        "roc_auc": ("nlptl.evaluation.metrics:RocAuc", "chance that a positive row scores above a negative one"),
        "recall_at_precision": (
            "nlptl.evaluation.metrics:RecallAtPrecision",
            "highest recall of the positive label where precision is at least 0.9",
        ),
    },
)
"""Numbers between 0 and 1 that a split is measured by: subclasses of `nlptl.evaluation.metrics.OfflineMetric`."""

POLICIES: Registry[Any] = Registry(
    "decision policy",
    "nlptl.decision_policies",
    {
        "argmax": ("nlptl.evaluation.decisions.argmax:Argmax", "the most probable label"),
        "threshold": (
            "nlptl.evaluation.decisions.threshold:Threshold",
            "the positive label from the threshold of best F1 on",
        ),
        "out_of_scope": (
            "nlptl.evaluation.decisions.out_of_scope:OutOfScope",
            "the best label, or out of scope where no label is probable enough",
        ),
        "precision": (
            "nlptl.evaluation.decisions.floors:PrecisionFloor",
            "the positive label as often as decision.floor allows for its precision",
        ),
        "recall": (
            "nlptl.evaluation.decisions.floors:RecallFloor",
            "the positive label as seldom as decision.floor allows for its recall",
        ),
        "alerts": (
            "nlptl.evaluation.decisions.floors:AlertBudget",
            "the positive label for at most decision.alerts_per_thousand texts",
        ),
        "cost": (
            "nlptl.evaluation.decisions.costs:ExpectedCost",
            "the label whose expected cost is least, by decision.costs",
        ),
        "conformal": (
            "nlptl.evaluation.decisions.conformal:PredictionSets",
            "every plausible label: sets that hold the true one for decision.coverage of texts",
        ),
        "abstain": (
            "nlptl.evaluation.decisions.abstain:Abstain",
            "no answer where fewer than decision.floor of them would be right",
        ),
    },
)
"""How probabilities become a label: classes as `nlptl.evaluation.decisions.Decision`."""

SCORERS: Registry[Any] = Registry(
    "scorer of how far in scope a text is",
    "nlptl.scope_scorers",
    {
        "max_softmax": (
            "nlptl.evaluation.out_of_scope.logits:MaxSoftmax",
            "highest probability of an in-scope label (Hendrycks & Gimpel 2017)",
        ),
        "max_logit": (
            "nlptl.evaluation.out_of_scope.logits:MaxLogit",
            "highest logit of an in-scope label (Hendrycks et al. 2022)",
        ),
        "energy": ("nlptl.evaluation.out_of_scope.logits:Energy", "all in-scope logits together (Liu et al. 2020)"),
        "out_of_scope_class": (
            "nlptl.evaluation.out_of_scope.logits:OutOfScopeClass",
            "the out-of-scope label's own probability, where training has rows of it",
        ),
        "mahalanobis": (
            "nlptl.evaluation.out_of_scope.features:Mahalanobis",
            "distance to the nearest label's mean, one covariance for all (Lee et al. 2018)",
        ),
        "relative_mahalanobis": (
            "nlptl.evaluation.out_of_scope.features:RelativeMahalanobis",
            "the same, less the distance to all training rows (Ren et al. 2021)",
        ),
        "knn": (
            "nlptl.evaluation.out_of_scope.features:Neighbours",
            "cosine to the fifth nearest training row (Sun et al. 2022)",
        ),
        "combined": (
            "nlptl.evaluation.out_of_scope.features:Combined",
            "energy, relative_mahalanobis and knn together",
        ),
    },
)
"""How far in scope a text is, for the policy `out_of_scope`: classes as `nlptl.evaluation.out_of_scope.Scorer`."""

BASELINES: Registry[Any] = Registry(
    "baseline",
    "nlptl.baselines",
    {
        "logistic_regression": (
            "nlptl.baselines.models:LOGISTIC_REGRESSION",
            "multinomial logistic regression, L2 strength tuned",
        ),
        "linear_svm": (
            "nlptl.baselines.models:LINEAR_SVM",
            "linear support vector machine, one against the rest (Joachims 1998), strength tuned",
        ),
        "naive_bayes": (
            "nlptl.baselines.models:NAIVE_BAYES",
            "multinomial or complement naive Bayes (Rennie et al. 2003), smoothing tuned",
        ),
        "knn": ("nlptl.baselines.models:KNN", "k nearest training texts by cosine, k tuned"),
        "decision_tree": (
            "nlptl.baselines.models:DECISION_TREE",
            "a decision tree on the 5000 most frequent words, depth and leaf size tuned",
        ),
    },
)
"""Classical models on TF-IDF vectors: `nlptl.baselines.models.Baseline` objects."""

BASELINE_SCORERS: Registry[Any] = Registry(
    "form of a fitted baseline",
    "nlptl.baseline_scorers",
    {
        "linear": ("nlptl.baselines.scorers:Linear", "a weight per term and label, and a bias"),
        "neighbours": ("nlptl.baselines.scorers:Neighbours", "votes of the nearest training texts"),
        "tree": ("nlptl.baselines.scorers:Tree", "a binary decision tree"),
    },
)
"""What a baseline is saved as once it is fitted: classes as `nlptl.baselines.scorers.Scorer`."""

PREDICTORS: Registry[Any] = Registry(
    "kind of run",
    "nlptl.predictors",
    {
        "encoder": ("nlptl.runs.predictors:EncoderPredictor", "a classifier on an encoder"),
        "baseline": ("nlptl.baselines.predictor:BaselinePredictor", "a classical model on TF-IDF vectors"),
    },
)
"""What a run folder predicts with: classes as `nlptl.runs.predictors.Predictor`."""

REGISTRIES: dict[str, Registry[Any]] = {
    registry.kind: registry
    for registry in (
        MODES,
        STRATEGIES,
        OBJECTIVES,
        METRICS,
        POLICIES,
        SCORERS,
        BASELINES,
        BASELINE_SCORERS,
        PREDICTORS,
    )
}
"""All of them, by what their things are called."""
