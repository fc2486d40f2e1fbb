"""The bundled samples are fit to show something: no text leaks into another split, and transfer visibly pays."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline

from nlptl.checkpoints import resolve_checkpoint
from nlptl.config import DataConfig, ProbeConfig
from nlptl.data.audit import text_key
from nlptl.data.encoding import encode
from nlptl.data.loading import Splits, label_targets, load_splits
from nlptl.models.classifier import build_classifier, load_tokenizer
from nlptl.models.probe import fit_probe
from nlptl.resources import bundled
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


def probe_predictions(splits: Splits) -> np.ndarray:
    """Test labels by a linear head on the frozen encoder, its regularisation chosen on validation."""
    checkpoint, labels = resolve_checkpoint(splits.task.checkpoint), splits.task.label_list()
    tokenizer = load_tokenizer(checkpoint.path)
    classifier = build_classifier(checkpoint.path, checkpoint.pooling, labels, False, 0.0)
    runtime = local_runtime("fp32", progress=False)
    classifier.to(runtime.device)
    features = {
        split: features_of(
            runtime, classifier, encode(getattr(splits, split), tokenizer, 128), tokenizer.pad_token_id, None
        )[0]
        for split in SPLITS
    }
    targets = {split: label_targets(getattr(splits, split), labels) for split in SPLITS}
    held_out = (features["validation"], targets["validation"])
    head = fit_probe(features["train"], targets["train"], len(labels), ProbeConfig().regularisation, held_out)
    return np.array(labels)[head.logits(features["test"]).argmax(1)]


@pytest.mark.parametrize("name", TASKS)
def test_the_frozen_encoder_beats_words_alone(splits, name):
    train, test = splits[name].train, splits[name].test
    words = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(max_iter=1000))
    words.fit(train["text"], train["label"])

    def score(predicted):
        if splits[name].task.metric == "macro_f1":
            return f1_score(test["label"], predicted, average="macro")
        return accuracy_score(test["label"], predicted)

    by_words, by_encoder = score(words.predict(test["text"])), score(probe_predictions(splits[name]))
    assert by_encoder - by_words >= LEAD, f"encoder {by_encoder:.3f}, words {by_words:.3f}"
