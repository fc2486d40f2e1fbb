"""Every registry of nlptl: names, one line of help each, and where each entry lives. See `nlptl.named`."""

from __future__ import annotations

from typing import Any

from nlptl.named import Registry

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
        "onnx": ("nlptl.inference.export.predictor:OnnxPredictor", "an exported run, in ONNX Runtime"),
    },
)
"""What a run folder predicts with: classes as `nlptl.runs.predictors.Predictor`."""

EXPLAINERS: Registry[Any] = Registry(
    "explainer",
    "nlptl.explainers",
    {
        "encoder": ("nlptl.explore.attribution:IntegratedGradients", "integrated gradients on the word embeddings"),
        "baseline": ("nlptl.baselines.contributions:TermContributions", "weight times value of each term"),
    },
)
"""What explains a run, by its kind: classes as `nlptl.inference.explanation.Explainer`."""

_ATTACKS = {
    "homoglyphs": "3 of 10 letters by Cyrillic ones that look the same",
    "all_homoglyphs": "each letter that has such a one",
    "zero_width": "zero-width spaces inside words",
    "soft_hyphens": "soft hyphens inside words",
    "combining_marks": "marks over and through letters",
    "leetspeak": "half of a, e, i, o, s, t by digits and signs",
    "spacing": "a space after each letter, three between words",
    "casing": "capitals at random",
    "full_width": "the full-width letters of East Asian fonts",
    "mathematical": "mathematical bold letters",
    "addresses": "web addresses that no filter follows: hxxp, [.]",
    "typos": "letters swapped, left out, doubled or mistyped in 3 of 10 words",
}
ATTACKS: Registry[Any] = Registry(
    "attack", "nlptl.attacks", {name: (f"nlptl.attacks.catalogue:{name}", help) for name, help in _ATTACKS.items()}
)
"""What people do to texts to get past a classifier: functions of a text and a NumPy generator, that give a text."""

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
        EXPLAINERS,
        ATTACKS,
    )
}
"""All of them, by what their things are called."""
