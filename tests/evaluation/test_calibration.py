import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from nlptl.errors import ArtifactError
from nlptl.evaluation.calibration import UNCALIBRATED, fit_calibration, fit_temperature, open_calibration
from nlptl.evaluation.calibration.measures import calibration_measures, reliability
from nlptl.evaluation.calibration.methods import METHODS
from nlptl.evaluation.probabilities import mean_loss, probabilities_of


def drawn(several: bool, rows: int = 600, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and targets drawn with the probabilities that they stand for."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes)) * 2
    if several:
        return logits, (rng.random((rows, classes)) < expit(logits)).astype(np.float32)
    return logits, np.array([rng.choice(classes, p=p / p.sum()) for p in probabilities_of(logits, False).astype(float)])


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("factor", [0.1, 1.0, 8.0])
def test_the_temperature_undoes_a_scale_and_has_the_lowest_loss(several, factor):
    logits, targets = drawn(several)
    found = fit_temperature(logits * factor, targets)
    assert found == pytest.approx(factor, rel=0.2)
    losses = [
        mean_loss(probabilities_of(logits * factor / t, several), targets) for t in np.geomspace(0.5, 2, 9) * found
    ]
    assert min(losses) == losses[4]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("kind", ["all right", "all wrong", "all alike", "huge", "none"])
def test_any_rows_give_a_positive_temperature(several, kind):
    right = np.array([[4.0, -4.0], [-4.0, 4.0]] * 5)
    logits = {"all wrong": -right, "all alike": 0 * right, "huge": 1e6 * right, "none": right[:0]}.get(kind, right)
    targets = (right > 0).astype(np.float32) if several else right.argmax(1)
    found = fit_temperature(logits, targets[: len(logits)])
    assert 0 < found < np.inf
    if kind in ("all right", "all wrong"):
        # Right rows lose nothing any more below some temperature; wrong ones want the highest there is.
        assert found < 0.2 if kind == "all right" else found == pytest.approx(np.exp(4), rel=0.01)


def test_the_order_of_labels_stays():
    logits, targets = drawn(False)
    np.testing.assert_array_equal((logits / fit_temperature(logits, targets)).argmax(1), logits.argmax(1))


# methods


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_helps_what_is_too_sure_and_is_the_same_after_json(method, classes, several):
    logits, targets = drawn(several, 4000, classes)
    sure = (3 * logits).astype(np.float32)
    fitted = fit_calibration(method, sure[:2000], targets[:2000])
    again = open_calibration(json.loads(json.dumps(fitted.to_json())))
    assert again == fitted
    before = calibration_measures(UNCALIBRATED.probabilities(sure[2000:], several), targets[2000:])
    new = again.probabilities(sure[2000:], several)
    after = calibration_measures(new, targets[2000:])
    assert new.shape == (2000, classes)
    assert new.dtype == np.float32
    assert several or new.sum(1) == pytest.approx(1, abs=1e-5)
    if method == "none":
        assert after == before
    else:
        assert after["ece"] < before["ece"] / 3
        assert after["brier"] < before["brier"]
        assert after["log_loss"] < before["log_loss"]


def test_isotonic_is_the_one_of_scikit_learn_on_two_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 3))
    y = (x[:, 0] + rng.normal(size=900) > 0).astype(int)
    model = LogisticRegression().fit(x[:300], y[:300])
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="isotonic").fit(x[300:600], y[300:600])
    logits = np.log(model.predict_proba(x)).astype(np.float32)
    ours = fit_calibration("isotonic", logits[300:600], y[300:600]).probabilities(logits[600:], False)
    # They give it the decision function, which orders rows as the probability does; steps are the same, lines between
    # them are drawn over another axis.
    assert np.abs(ours - theirs.predict_proba(x[600:])).mean() < 0.01


def test_vector_scaling_finds_factors_and_offsets():
    logits, targets = drawn(False, 6000)
    fitted = fit_calibration("vector", (logits * [2, 1, 0.5] + [1, 0, -1]).astype(np.float32), targets)
    factors, offsets = np.array(fitted.factors), np.array(fitted.offsets)
    assert factors == pytest.approx([0.5, 1, 2], rel=0.25)
    assert offsets - offsets[1] == pytest.approx([-0.5, 0, 2], abs=0.4)


def test_rows_that_are_told_apart_without_a_mistake_do_not_make_the_model_sure_of_everything():
    logits = np.tile(np.float32([[1, -1], [-1, 1]]), (40, 1))
    found = fit_calibration("auto", logits, logits.argmax(1))
    assert found.method == "temperature"
    assert 0.2 < found.temperature < 1


@pytest.mark.parametrize(("method", "rows"), [("auto", 19), ("temperature", 19), ("vector", 59), ("isotonic", 59)])
def test_with_too_few_rows_nothing_is_calibrated_and_a_note_says_so(method, rows):
    logits, targets = drawn(False, rows + 1)
    found = fit_calibration(method, logits[:-1], targets[:-1])
    assert found.method == "none"
    assert f"validation has {rows} of the {rows + 1} rows" in found.note
    assert fit_calibration(method, logits, targets).method != "none"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"method": "magic"},
        {"method": "temperature", "temperature": 0.0},
        {"method": "temperature", "temperature": "1"},
        {"method": "temperature", "temprature": 1.0},
        {"method": "vector", "factors": [1.0], "offsets": []},
        {"method": "isotonic", "knots": [[0.0, 1.0]], "values": [[0.0]]},
    ],
)
def test_damage_is_named(values):
    with pytest.raises(ArtifactError, match=r"calibration\.json is damaged"):
        open_calibration(values)


# measures


def test_measures_of_a_hand_made_split():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    targets = np.array([0, 1, 1, 1])
    bins = reliability(probabilities, targets, bins=2)
    assert [(pytest.approx(each.confidence), each.share_right, each.rows) for each in bins] == [
        (0.65, 1.0, 2),
        (0.85, 0.5, 2),
    ]
    found = calibration_measures(probabilities, targets)
    assert found["ece"] == pytest.approx((0.1 + 0.8 + 0.3 + 0.4) / 4)  # each row is a bin of its own
    assert found["brier"] == pytest.approx((2 * 0.01 + 2 * 0.64 + 2 * 0.09 + 2 * 0.16) / 4)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.6]).mean())
    assert np.isnan(list(calibration_measures(probabilities[:0], targets[:0]).values())).all()


def test_the_debiased_error_of_calibrated_probabilities_is_nearer_to_none():
    plain, debiased = [], []
    for seed in range(20):
        logits, targets = drawn(False, 300, seed=seed)
        found = calibration_measures(probabilities_of(logits, False), targets)
        plain.append(found["ece"])
        debiased.append(found["ece_debiased"] ** 2)
    assert np.mean(plain) > 0.04  # though nothing is wrong with them
    assert np.mean(np.sqrt(debiased)) < 0.6 * np.mean(plain)


def test_bins_hold_equally_many_rows_where_most_probabilities_are_alike():
    rng = np.random.default_rng(0)
    high = 1 - 0.01 * rng.random(1500)
    bins = reliability(np.stack([high, 1 - high], 1), np.zeros(1500, int))
    assert {each.rows for each in bins} == {100}
