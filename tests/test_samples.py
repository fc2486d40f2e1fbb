"""The bundled samples are fit to show something: no text leaks into another split, and transfer visibly pays."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline

from nlptl.checkpoints import resolve_checkpoint
from nlptl.config.data import DataConfig
from nlptl.config.run import ProbeConfig
from nlptl.data.encoding import encode
from nlptl.data.loading import Splits, label_targets, load_splits
from nlptl.data.text_keys import text_key
from nlptl.models.classifier import build_classifier
from nlptl.models.linear_probe import fit_probe
from nlptl.models.opening import load_tokenizer
from nlptl.objectives.classification import balanced_weights
from nlptl.storage.paths import bundled
from nlptl.tasks import SPLITS, load_task
from nlptl.training.forward import features_of
from nlptl.training.runtime import local_runtime

TASKS = sorted(path.parent.name for path in bundled("tasks").glob("*/task.yaml"))
NEAR = 0.8
LEAD = 0.05


@pytest.fixture(scope="module")
def splits() -> dict[str, Splits]:
    return {name: load_splits(load_task(name), DataConfig(source="sample", leaks="keep"), 0) for name in TASKS}


@pytest.mark.parametrize("name", TASKS)
def test_no_text_stands_in_two_splits(splits, name):
    texts = {split: getattr(splits[name], split)["text"].tolist() for split in SPLITS}
    everything = [text for part in texts.values() for text in part]
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(3, 3)).fit(everything)
    for one, other in combinations(SPLITS, 2):
        assert not set(map(text_key, texts[one])) & set(map(text_key, texts[other]))
        likeness = (vectors.transform(texts[one]) @ vectors.transform(texts[other]).T).toarray()
        near = [(texts[one][i], texts[other][j]) for i, j in np.argwhere(likeness >= NEAR)]
        assert near == [], f"{one} and {other}"


def by_encoder(splits: Splits) -> np.ndarray:
    """Test labels by a linear head on the frozen encoder."""
    checkpoint, labels = resolve_checkpoint(splits.task.checkpoint), splits.task.label_list()
    tokenizer = load_tokenizer(checkpoint.path)
    classifier = build_classifier(checkpoint.path, checkpoint.pooling, labels, False, 0.0)
    runtime = local_runtime("fp32", progress=False)
    classifier.to(runtime.device)
    features, targets = {}, {}
    for split in SPLITS:
        encoded = encode(getattr(splits, split), tokenizer, 128)
        features[split], _ = features_of(runtime, classifier, encoded, tokenizer.pad_token_id, None)
        targets[split] = label_targets(getattr(splits, split), labels)
    head = fit_probe(
        features["train"],
        targets["train"],
        len(labels),
        ProbeConfig().regularisation,
        (features["validation"], targets["validation"]),
        balanced_weights(targets["train"], len(labels)),
    )
    return np.array(labels)[head.logits(features["test"]).argmax(1)]


def by_words(splits: Splits, score: Callable[[pd.Series, np.ndarray], float]) -> np.ndarray:
    """Test labels by logistic regression on weighted word counts."""
    fitted = []
    for strength in (0.1, 10.0, 1000.0):
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
        words = make_pipeline(TfidfVectorizer(sublinear_tf=True), model)
        fitted.append(words.fit(splits.train["text"], splits.train["label"]))
    best = max(fitted, key=lambda m: score(splits.validation["label"], m.predict(splits.validation["text"])))
    return best.predict(splits.test["text"])


@pytest.mark.parametrize("name", TASKS)
def test_the_frozen_encoder_beats_words_alone(splits, name):
    """On equal terms: both weigh labels in balance and choose their regularisation on validation."""

    def score(wanted, found):
        if splits[name].task.metric == "macro_f1":
            return f1_score(wanted, found, average="macro")
        return accuracy_score(wanted, found)

    test = splits[name].test["label"]
    encoder, words = score(test, by_encoder(splits[name])), score(test, by_words(splits[name], score))
    assert encoder - words >= LEAD, f"encoder {encoder:.3f}, words {words:.3f}"
