import numpy as np
import pytest
from scipy.special import expit

from nlptl.evaluation.calibration import fit_temperature
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
