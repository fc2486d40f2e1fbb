"""Building a classifier on a checkpoint's encoder, and opening what `Classifier.save` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlptl.errors import ArtifactError, CheckpointError
from nlptl.models.classifier import WINDOWS, Classifier, MeanPoolingClassifier, NativeClassifier
from nlptl.models.head_files import load_head, read_into
from nlptl.models.opening import drop_pooler, encoder_class, encoder_config, open_model
from nlptl.models.plain_bert import open_plain


def build_classifier(
    checkpoint: Path,
    pooling: str,
    labels: list[str],
    multi_label: bool,
    dropout: float | None,
    random_weights: bool = False,
    window_pooling: str | None = None,
    plain: bool = False,
) -> Classifier:
    """A classifier on a checkpoint's encoder with a fresh head.

    Args:
        checkpoint: local folder.
        pooling: `cls`, `mean` or `unit_mean`.
        labels: label names in id order.
        multi_label: several labels may hold at once.
        dropout: replaces every dropout of the checkpoint; None keeps them.
        random_weights: the checkpoint's architecture alone, initialised from torch's global generator.
        window_pooling: how the windows of a long text become one answer; None: each text is one input.
        plain: for prediction alone, by `PlainBert` where that serves.

    Raises:
        CheckpointError: the folder cannot be opened as an encoder.
    """
    config = _config(checkpoint, labels, multi_label, dropout)
    classifier: Classifier
    if pooling == NativeClassifier.pooling:
        classifier, _ = _native(checkpoint, config, random_weights)
    else:
        dropout = 0.1 if dropout is None else dropout
        classifier = _mean_pooling(checkpoint, pooling, config, dropout, random_weights, plain)
    classifier.pool_windows(window_pooling)
    return classifier


def _native(checkpoint: Path, config: Any, random_weights: bool) -> tuple[Classifier, set[str]]:
    """The architecture's own classifier, and the names of its parameters that the folder does not hold."""
    from transformers import AutoModel, AutoModelForSequenceClassification

    if encoder_class(config) is not AutoModel:
        raise CheckpointError(
            f"The sequence classifier of {config.model_type!r} reads its decoder, and nlptl learns on encoders. Use "
            "--set model.pooling=mean, which opens the encoder alone."
        )
    model, fresh = open_model(AutoModelForSequenceClassification, checkpoint, config, random_weights)
    return NativeClassifier(model, fresh), fresh


def _mean_pooling(
    checkpoint: Path, pooling: str, config: Any, dropout: float, random_weights: bool, plain: bool
) -> MeanPoolingClassifier:
    encoder = open_plain(checkpoint, config) if plain else None
    if encoder is not None:
        return MeanPoolingClassifier(encoder, pooling, config.num_labels, dropout, set())
    encoder, fresh = open_model(encoder_class(config), checkpoint, config, random_weights)
    drop_pooler(encoder)
    return MeanPoolingClassifier(encoder, pooling, config.num_labels, dropout, fresh)


def load_classifier(
    folder: Path,
    pooling: str,
    labels: list[str],
    multi_label: bool,
    window_pooling: str | None = None,
    plain: bool = False,
) -> Classifier:
    """What `Classifier.save` wrote; arguments as of `build_classifier`.

    Raises:
        ArtifactError: files are missing or damaged.
    """
    native = pooling == NativeClassifier.pooling
    inner = folder if native else folder / "encoder"
    if not (inner / "config.json").is_file():
        raise ArtifactError(f"{inner} holds no config.json; the run folder is incomplete.")
    config = _config(inner, labels, multi_label, None)
    if not native:
        pooled = _mean_pooling(inner, pooling, config, 0.1, False, plain)
        pooled.pool_windows(window_pooling)
        load_head(pooled, folder)
        return pooled
    classifier, fresh = _native(inner, config, False)
    if fresh:
        raise ArtifactError(f"The weights in {inner} do not fit this task: it lacks {', '.join(sorted(fresh))}.")
    classifier.pool_windows(window_pooling)
    if classifier.windows is not None and classifier.windows.query is not None:
        read_into(folder / WINDOWS, {"query": classifier.windows.query})
    return classifier


def _config(checkpoint: Path, labels: list[str], multi_label: bool, dropout: float | None) -> Any:
    config = encoder_config(checkpoint)
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    config.problem_type = "multi_label_classification" if multi_label else "single_label_classification"
    if dropout is not None:
        for key, value in config.to_dict().items():
            number = isinstance(value, int | float) and not isinstance(value, bool)  # ESM's token_dropout is a switch
            if "dropout" in key and (number or key == "classifier_dropout"):
                setattr(config, key, dropout)
    return config
