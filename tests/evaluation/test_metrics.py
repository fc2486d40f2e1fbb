import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sk

from nlptl.errors import ConfigError
from nlptl.evaluation.calibration import UNCALIBRATED
from nlptl.evaluation.decisions.argmax import Argmax, EveryLabel
from nlptl.evaluation.decisions.out_of_scope import OutOfScope
from nlptl.evaluation.decisions.threshold import Threshold
from nlptl.evaluation.evaluator import check_metrics, compute_metric, full_report
from nlptl.evaluation.probabilities import mean_loss, probabilities_of
from nlptl.registry import METRICS
from nlptl.tasks import TaskSpec

POSITIVE = 1


def random_rows(classes: int, seed: int, rows: int = 200, several: bool = False):
    """Targets, predictions and scores that agree more often than chance."""
    rng = np.random.default_rng(seed)
    if several:
        targets = (rng.random((rows, classes)) < 0.4).astype(np.float32)
        scores = probabilities_of(rng.normal(size=(rows, classes)) + 2 * targets - 1, True)
        return targets, (scores >= 0.5).astype(np.float32), scores
    targets = rng.integers(0, classes, rows)
    scores = probabilities_of(rng.normal(size=(rows, classes)) + 2 * np.eye(classes)[targets], False)
    return targets, scores.argmax(1), scores


def recall_at_precision(wanted, scores):
    precision, recall, _ = sk.precision_recall_curve(wanted, scores)
    return max((r for p, r in zip(precision, recall, strict=True) if p >= 0.9), default=0.0)


ON_PREDICTIONS = {
    "accuracy": sk.accuracy_score,
    "macro_f1": lambda y, p: sk.f1_score(y, p, average="macro"),
    "micro_f1": lambda y, p: sk.f1_score(y, p, average="micro"),
}
ON_SCORES = {
    "average_precision": sk.average_precision_score,
    "roc_auc": sk.roc_auc_score,
    "recall_at_precision": recall_at_precision,
}


def test_every_metric_has_its_reference():
    assert set(METRICS) == {*ON_PREDICTIONS, *ON_SCORES}
    assert {name for name in METRICS if METRICS.get(name).on_scores} == set(ON_SCORES)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("name", METRICS.names())
def test_equals_scikit_learn(name, classes, several):
    for seed in range(3):
        targets, predicted, scores = random_rows(classes, seed, several=several)
        if name in ON_PREDICTIONS:
            wanted = ON_PREDICTIONS[name](targets, predicted)
        else:
            column = targets[:, POSITIVE] if several else targets == POSITIVE
            wanted = ON_SCORES[name](column.astype(int), scores[:, POSITIVE])
        found = compute_metric(name, predicted, scores, targets, POSITIVE)
        assert found == pytest.approx(wanted, abs=1e-6)
        assert 0 < found < 1


@pytest.mark.parametrize("name", METRICS.names())
def test_no_rows_give_nan(name):
    nothing = np.zeros(0, np.int64)
    assert np.isnan(compute_metric(name, nothing, np.zeros((0, 2)), nothing, POSITIVE))


@pytest.mark.parametrize("name", METRICS.names())
def test_perfect_and_single_row(name):
    targets, scores = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
    assert compute_metric(name, targets, scores, targets, POSITIVE) == 1.0
    one = compute_metric(name, targets[:1], scores[:1], targets[:1], POSITIVE)
    assert np.isnan(one) if name in ON_SCORES else one == 1.0


@pytest.mark.parametrize("name", ON_SCORES)
def test_score_metrics_need_a_positive_label(name):
    targets, predicted, scores = random_rows(2, 0)
    assert np.isnan(compute_metric(name, predicted, scores, targets, None))


def test_unknown_metric():
    with pytest.raises(ConfigError, match=r"Unknown metric 'acuracy'.*Did you mean 'accuracy'\?"):
        check_metrics(TaskSpec(name="x", description="d", metrics=["acuracy"]))


def test_metrics_need_no_hub(tmp_path):
    code = (
        "import numpy as np\n"
        "from nlptl.evaluation.evaluator import METRICS, compute_metric\n"
        "y, p = np.array([0, 1]), np.array([[.8, .2], [.3, .7]])\n"
        "print([compute_metric(name, y, p, y, 1) for name in METRICS])\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "HF_EVALUATE_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([1.0] * len(METRICS.names()))


@pytest.mark.parametrize("name", METRICS.names())
def test_each_can_be_had_as_a_module_of_the_evaluate_library(name):
    targets, predicted, scores = random_rows(2, 0)
    given = scores[:, POSITIVE] if name in ON_SCORES else predicted
    module = METRICS.get(name)().as_evaluate_module()
    found = module.compute(predictions=given.tolist(), references=targets.tolist())
    assert found[name] == pytest.approx(compute_metric(name, predicted, scores, targets, POSITIVE), abs=1e-6)


def test_measuring_does_not_load_the_evaluate_library():
    code = "import sys; from nlptl.registry import METRICS; METRICS.get('accuracy'); print('evaluate' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_predicts_loads_neither_the_metrics_library_nor_scikit_learns_metrics():
    code = (
        "import sys\n"
        "import nlptl.evaluation.calibration, nlptl.evaluation.evaluator, nlptl.evaluation.wording\n"
        "from nlptl.evaluation.decisions import open_decision\n"
        "open_decision({'policy': 'threshold', 'threshold': 0.5, 'label': 'a'})\n"
        "heavy = {'evaluate', 'sklearn', 'transformers', 'torch', 'scipy.stats'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_metric_that_gives_no_number_of_its_name_is_refused_in_words(monkeypatch):
    monkeypatch.setattr(METRICS.get("accuracy"), "_compute", lambda self, predictions, references: {"acc": 1.0})
    with pytest.raises(ConfigError, match=r"The metric 'accuracy' .* gave .*must return \{'accuracy': number\}"):
        compute_metric("accuracy", np.array([0, 1]), np.zeros((2, 2)), np.array([0, 1]), None)


def test_probabilities():
    logits = np.array([[1000.0, 0.0], [0.0, 0.0], [-1000.0, -1000.0]], np.float32)
    assert probabilities_of(logits, False) == pytest.approx(np.array([[1, 0], [0.5, 0.5], [0.5, 0.5]]))
    assert probabilities_of(logits, True) == pytest.approx(np.array([[1, 0.5], [0.5, 0.5], [0, 0]]))
    assert probabilities_of(np.zeros((0, 3), np.float32), False).shape == (0, 3)


def test_report_of_single_labels():
    task = TaskSpec(name="x", description="d", labels=["a", "b", "c"])
    targets, predicted, scores = random_rows(3, 0)
    report = full_report(task, np.log(scores), targets, Argmax(), UNCALIBRATED)
    assert report["rows"] == 200
    assert report["accuracy"] == report["decided"]["accuracy"] == pytest.approx(sk.accuracy_score(targets, predicted))
    assert report["macro_f1"] == pytest.approx(report["decided"]["macro_f1"])
    assert report["confusion_matrix"] == sk.confusion_matrix(targets, predicted).tolist()
    assert report["loss"] == pytest.approx(sk.log_loss(targets, scores), rel=1e-4)
    by_label = sk.classification_report(targets, predicted, target_names=["a", "b", "c"], output_dict=True)
    for name, values in report["per_class"].items():
        assert values["f1"] == pytest.approx(by_label[name]["f1-score"])
        assert values["rows"] == by_label[name]["support"]


def test_report_of_several_labels():
    task = TaskSpec(name="x", description="d", kind="multi_label", labels=["a", "b", "c"])
    targets, predicted, scores = random_rows(3, 0, several=True)
    report = full_report(
        task, np.log(scores / (1 - scores)), targets, EveryLabel(threshold=0.3, note="so fitted"), UNCALIBRATED
    )
    assert report["accuracy"] == pytest.approx(sk.accuracy_score(targets, predicted))
    assert report["macro_f1"] == pytest.approx(sk.f1_score(targets, predicted, average="macro"))
    assert set(report["per_class"]) == {"a", "b", "c"}
    decided = (scores >= 0.3).astype(int)
    by_label = report["decided"].pop("per_class")
    f1 = sk.f1_score(targets, decided, average=None)
    assert [by_label[label]["f1"] for label in "abc"] == pytest.approx(f1)
    assert report["decided"] == {
        "policy": "multi_label",
        "threshold": 0.3,
        "accuracy": pytest.approx(sk.accuracy_score(targets, decided)),
        "macro_f1": pytest.approx(sk.f1_score(targets, decided, average="macro")),
        "micro_f1": pytest.approx(sk.f1_score(targets, decided, average="micro")),
        "note": "so fitted",
    }
    assert report["decided"]["accuracy"] != report["accuracy"]


def test_the_note_of_a_fit_is_in_the_report():
    spec = TaskSpec(name="x", description="d", labels=["a", "b"], positive_label="b")
    targets, _, scores = random_rows(2, 0)
    decision = Threshold(threshold=0.5, label="b", note="The threshold stays at 0.5.")
    assert full_report(spec, np.log(scores), targets, decision, UNCALIBRATED)["decided"]["note"] == decision.note
    assert "note" not in full_report(spec, np.log(scores), targets, Argmax(), UNCALIBRATED)["decided"]


@pytest.mark.parametrize("several", [False, True])
def test_the_loss_is_scikit_learns(several):
    targets, _, scores = random_rows(4, 1, several=several)
    wanted = (
        sum(sk.log_loss(targets[:, i], scores[:, i]) for i in range(4)) if several else sk.log_loss(targets, scores)
    )
    assert mean_loss(scores, targets) == pytest.approx(wanted, rel=1e-5)
    certain = np.array([[1.0, 0.0]])
    assert mean_loss(certain, np.array([1])) == pytest.approx(-np.log(1e-12))
    assert np.isnan(mean_loss(certain[:0], np.zeros(0, np.int64)))


def test_report_of_out_of_scope_decisions():
    task = TaskSpec(name="x", description="d", labels=["a", "b", "oos"])
    probabilities = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.5, 0.4, 0.1], [0.4, 0.5, 0.1], [0.1, 0.1, 0.8]])
    decision = OutOfScope(threshold=0.6, label="oos")
    report = full_report(task, np.log(probabilities + 1e-9), np.array([0, 1, 0, 2, 2]), decision, UNCALIBRATED)
    assert report["decided"]["in_scope_kept"] == pytest.approx(2 / 3)
    assert report["decided"]["out_of_scope_recall"] == 1.0
    assert report["decided"]["accuracy"] == pytest.approx(4 / 5)
