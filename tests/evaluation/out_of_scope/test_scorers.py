"""Every scorer of out of scope: in-scope rows score higher, files give it back, calibration does not touch it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from nlptl.errors import ArtifactError, ConfigError
from nlptl.evaluation.calibration import fit_calibration
from nlptl.evaluation.decisions import open_decision
from nlptl.evaluation.decisions.out_of_scope import OutOfScope
from nlptl.evaluation.out_of_scope import Rows, features
from nlptl.evaluation.out_of_scope.features import (
    Gaussians,
    Mahalanobis,
    Neighbours,
    RelativeMahalanobis,
    label_means,
    spread_of_labels,
)
from nlptl.evaluation.out_of_scope.fitting import cut_again, fit_scope
from nlptl.evaluation.out_of_scope.logits import Energy, MaxSoftmax
from nlptl.evaluation.out_of_scope.measures import auroc
from nlptl.evaluation.out_of_scope.sampling import halves, spread_sample
from nlptl.evaluation.out_of_scope.scorer import FILE, kept_scorer, read_scorer, write_scorer
from nlptl.registry import SCORERS

WIDTH, LABELS = 24, 6


def rows(per_label=10, outside_rows=0, seed=0, far=True):
    """In-scope rows around their label's mean; the last label is out of scope, its rows around the origin."""
    rng = np.random.default_rng(seed)
    means = 3 * np.random.default_rng(7).normal(size=(LABELS, WIDTH))
    targets = np.concatenate([np.repeat(np.arange(LABELS), per_label), np.full(outside_rows, LABELS)])
    centres = np.concatenate([means, np.zeros((1, WIDTH))])
    found = centres[targets] + rng.normal(size=(len(targets), WIDTH))
    head = np.concatenate([means, 0.1 * np.ones((1, WIDTH))])
    logits = found @ head.T / WIDTH + rng.normal(size=(len(targets), LABELS + 1)) / 5
    return Rows(found.astype(np.float32), logits.astype(np.float32), targets, LABELS)


TRAIN, HELD_OUT = rows(10, 12), rows(30, 60, seed=1)


def fitted(name, train=TRAIN):
    inside = HELD_OUT.some(np.flatnonzero(HELD_OUT.in_scope))
    return SCORERS.get(name).fit(train).adjusted(inside)


@pytest.mark.parametrize("name", SCORERS.names())
def test_every_scorer_scores_in_scope_rows_higher_and_comes_back_from_its_file(name, tmp_path):
    scorer = fitted(name)
    scores = scorer.scores(HELD_OUT.features, HELD_OUT.logits)
    assert scores.shape == (len(HELD_OUT.targets),)
    assert auroc(scores, HELD_OUT.in_scope) > 0.8
    write_scorer(tmp_path, scorer)
    again = read_scorer(tmp_path, name)
    np.testing.assert_array_equal(again.scores(HELD_OUT.features, HELD_OUT.logits), scores)
    assert (kept_scorer(tmp_path), scorer.name) == (name, name)
    assert again.facts() == scorer.facts()
    json.dumps(scorer.facts())
    assert scorer.scores(HELD_OUT.features[:0], HELD_OUT.logits[:0]).shape == (0,)
    if not SCORERS.get(name).needs_features:
        np.testing.assert_array_equal(scorer.scores(None, HELD_OUT.logits), scores)


@pytest.mark.parametrize("name", SCORERS.names())
def test_a_damaged_file_is_refused(name, tmp_path):
    with pytest.raises(ArtifactError, match=f"holds no {FILE}"):
        read_scorer(tmp_path, name)
    write_scorer(tmp_path, fitted(name))
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match=f"{FILE} is damaged"):
        read_scorer(tmp_path, name)
    write_scorer(tmp_path, fitted("knn" if name != "knn" else "energy"))
    with pytest.raises(ArtifactError, match=f"{FILE} is damaged"):
        read_scorer(tmp_path, name)
    with pytest.raises(ArtifactError, match="Unknown scorer"):
        read_scorer(tmp_path, "nothing")


def test_a_temperature_changes_probabilities_and_energies_but_not_the_scores_of_a_fitted_scorer():
    scorer = fitted("energy")
    before = scorer.scores(None, HELD_OUT.logits)
    calibration = fit_calibration("temperature", HELD_OUT.logits, HELD_OUT.targets)
    assert np.abs(calibration.probabilities(HELD_OUT.logits, False) - np.exp(HELD_OUT.logits)).max() > 0.01
    np.testing.assert_array_equal(scorer.scores(None, HELD_OUT.logits), before)
    # Had the scorer followed the calibration, other rows would come first.
    hot = Energy(temperature=5.0, outside=LABELS).scores(None, HELD_OUT.logits)
    assert (np.argsort(hot) != np.argsort(before)).any()
    assert scorer.temperature == float(scorer.tensors()["temperature"][0]) == 1.0


def test_covariance_of_more_dimensions_than_rows_is_shrunk_to_one_that_can_be_inverted():
    few = rows(2)  # twelve rows in 24 dimensions
    apart = few.features - np.repeat([few.features[few.targets == c].mean(0) for c in range(LABELS)], 2, axis=0)
    assert np.linalg.matrix_rank(np.cov(apart.T)) < WIDTH
    for kind in (Mahalanobis, RelativeMahalanobis):
        scores = kind.fit(few).scores(HELD_OUT.features, HELD_OUT.logits)
        assert np.isfinite(scores).all()
        assert auroc(scores, HELD_OUT.in_scope) > 0.8
    alone = rows(1)
    assert np.isfinite(Mahalanobis.fit(alone).scores(HELD_OUT.features, HELD_OUT.logits)).all()


@pytest.mark.parametrize("per_label", [1, 2, 30])
def test_all_rows_spread_as_the_labels_do_and_as_their_means_do_however_few_they_are(per_label):
    # Shrunk apart, the covariance of all rows would be narrower than the labels' own in directions of noise alone, and
    # whatever lies there, far from everything, would count as in scope.
    scorer = RelativeMahalanobis.fit(rows(per_label, 2))
    within, total = (np.linalg.inv(g.factor @ g.factor.T) for g in (scorer.labels, scorer.background))
    widths = np.linalg.eigvalsh(total - within)
    assert widths.min() > -1e-4 * widths.max()
    assert (widths > 1e-3 * widths.max()).sum() == LABELS  # as many directions as means have around theirs
    assert auroc(scorer.scores(HELD_OUT.features, HELD_OUT.logits), HELD_OUT.in_scope) > 0.8


def test_distances_are_those_of_the_inverse_covariance():
    wide = HELD_OUT.features.astype(np.float64)
    means, of = label_means(wide, HELD_OUT.targets)
    covariance = spread_of_labels(wide - means[of], wide)
    np.testing.assert_allclose(covariance, LedoitWolf(assume_centered=True).fit(wide - means[of]).covariance_)
    gaussians, precision = Gaussians.of(covariance, means), np.linalg.inv(covariance)
    apart = wide[:5, None] - means
    expected = np.einsum("nch,hk,nck->nc", apart, precision, apart)
    np.testing.assert_allclose(gaussians.distances(wide[:5]), expected, rtol=1e-4)


def test_neighbours_are_the_fifth_nearest_of_a_kept_sample(monkeypatch):
    scorer = Neighbours.fit(TRAIN)
    inside = TRAIN.features[TRAIN.in_scope].astype(np.float64)
    unit = [
        (f - inside.mean(0)) / np.linalg.norm(f - inside.mean(0), axis=1, keepdims=True)
        for f in (inside, HELD_OUT.features)
    ]
    expected = np.sort(unit[1] @ unit[0].T, axis=1)[:, -5]
    np.testing.assert_allclose(scorer.scores(HELD_OUT.features, HELD_OUT.logits), expected, atol=1e-6)
    monkeypatch.setattr(features, "KEPT", 30)
    cut = Neighbours.fit(TRAIN)
    assert cut.facts() == {"neighbour": 5, "kept_rows": 30}
    assert auroc(cut.scores(HELD_OUT.features, HELD_OUT.logits), HELD_OUT.in_scope) > 0.8


def test_softmax_is_over_all_labels_and_its_highest_over_those_in_scope():
    logits = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 3.0]])
    scores = MaxSoftmax(outside=2).scores(None, logits)
    assert scores == pytest.approx([np.exp(2) / np.exp([2, 0, 1]).sum(), 1 / np.exp([0, 0, 3]).sum()])


def test_samples_and_halves_hold_each_labels_share():
    targets = np.repeat([0, 1, 2], [800, 199, 1])
    chosen = spread_sample(targets, 100, seed=0)
    assert np.bincount(targets[chosen]).tolist()[2] == 1
    assert np.bincount(targets[chosen])[0] == pytest.approx(80, abs=1)
    first, second = halves(targets, seed=3)
    assert sorted([*first, *second]) == list(range(1000))
    assert np.abs(np.bincount(targets[first], minlength=3) - np.bincount(targets[second], minlength=3)).max() <= 1
    np.testing.assert_array_equal(halves(targets, seed=3)[0], first)
    assert (halves(targets, seed=4)[0] != first).any()


# choosing and cutting


def test_the_scorer_is_chosen_on_one_half_and_cut_on_the_other():
    chosen = fit_scope("auto", 0.9, TRAIN, HELD_OUT, seed=0)
    choosing, cutting = (HELD_OUT.some(half) for half in halves(HELD_OUT.targets, 0))
    assert set(chosen.choice["auroc"]) == set(SCORERS.names())
    assert chosen.choice["auroc"][chosen.name] > max(chosen.choice["auroc"].values()) - 0.01
    assert chosen.choice["chosen_on"] == {"in_scope": int(choosing.in_scope.sum()), "out_of_scope": 30}
    inside = cutting.some(np.flatnonzero(cutting.in_scope))
    kept = chosen.scorer.scores(inside.features, inside.logits) >= chosen.threshold
    assert kept.mean() >= 0.9 > kept.mean() - 1 / len(kept)
    # Rows of the choosing half have no say in the cut: with other ones there, it stays.
    moved = HELD_OUT.logits.copy()
    first = halves(HELD_OUT.targets, 0)[0]
    moved[first] += np.random.default_rng(0).normal(size=moved[first].shape).astype(np.float32)
    scores = chosen.scorer.scores(HELD_OUT.features, moved)
    again = cut_again(chosen.scorer, scores, 0.9, HELD_OUT, 0, chosen.choice)
    assert again.threshold == pytest.approx(chosen.threshold)
    assert again.choice["cut_on"] == chosen.choice["cut_on"]


def test_the_usual_scorer_gives_way_to_a_better_one_but_not_to_chance():
    rng = np.random.default_rng(0)
    noisy = [replace(each, features=rng.normal(size=each.features.shape)) for each in (TRAIN, HELD_OUT)]
    assert not fit_scope("auto", 0.9, *noisy, 0).scorer.needs_features
    found = fit_scope("auto", 0.9, TRAIN, HELD_OUT, 0)
    best = max(found.choice["auroc"].values())
    assert found.name == "combined"
    assert found.choice["auroc"]["combined"] <= best


def test_the_cut_never_looks_at_training_rows():
    # With as many dimensions as this, training rows lie much nearer to what was fitted on them.
    scorer = fit_scope("mahalanobis", 0.95, TRAIN, HELD_OUT, seed=0)
    own = scorer.scorer.scores(TRAIN.features[TRAIN.in_scope], TRAIN.logits[TRAIN.in_scope])
    new = rows(30, seed=5)
    kept = scorer.scorer.scores(new.features, new.logits) >= scorer.threshold
    assert kept.mean() > 0.9
    assert (scorer.scorer.scores(new.features, new.logits) >= np.quantile(own, 0.05)).mean() < kept.mean()


def test_without_rows_to_choose_by_the_usual_scorer_is_taken_and_a_note_says_so():
    inside = HELD_OUT.some(np.flatnonzero(HELD_OUT.in_scope))
    usual = fit_scope("auto", 0.95, TRAIN, inside, seed=0)
    assert (usual.name, usual.choice["cut_on"]) == ("combined", {"in_scope": len(inside.targets)})
    assert "0 of the 20 out-of-scope rows" in usual.note
    bare = Rows(None, TRAIN.logits, TRAIN.targets, LABELS)
    assert fit_scope("auto", 0.95, bare, Rows(None, inside.logits, inside.targets, LABELS), 0).name == "energy"
    assert fit_scope("auto", 0.95, TRAIN, inside.some(np.arange(19)), 0) is None
    assert fit_scope("energy", 0.95, TRAIN, inside.some(np.arange(20)), 0).note is None


@pytest.mark.parametrize(
    ("name", "train", "said"),
    [
        ("knn", Rows(None, TRAIN.logits, TRAIN.targets, LABELS), "decision.scorer=knn needs features"),
        ("out_of_scope_class", rows(10), "needs rows labelled out of scope"),
    ],
)
def test_a_scorer_that_cannot_be_fitted_is_refused(name, train, said):
    with pytest.raises(ConfigError, match=said):
        fit_scope(name, 0.95, train, HELD_OUT, 0)


# the decision


def test_a_decision_with_a_scorer_compares_its_scores_and_refuses_to_go_without():
    decision = OutOfScope(threshold=-1.5, label="oos", scorer="energy", choice={"temperature": 1.0})
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    names, scores = decision.apply(probabilities, ["a", "b"], np.array([-2.0, -1.5, 0.0]))
    assert names == ["oos", "a", "b"]
    assert scores.tolist() == [0.9, 0.6, 0.7]
    with pytest.raises(ConfigError, match=r"scope=run\.scope"):
        decision.apply(probabilities, ["a", "b"])
    assert open_decision(json.loads(json.dumps(decision.to_json()))) == decision


def test_a_decision_without_a_scorer_is_written_as_it_always_was():
    assert OutOfScope(threshold=0.5, label="oos").to_json() == {
        "policy": "out_of_scope",
        "threshold": 0.5,
        "label": "oos",
    }


@pytest.mark.parametrize(
    "values",
    [
        {"scorer": 3, "threshold": 0.5},
        {"scorer": "energy", "threshold": None},
        {"scorer": "energy", "threshold": 0.5, "choice": ["x"]},
    ],
)
def test_a_damaged_decision_with_a_scorer_is_refused(values):
    with pytest.raises(ArtifactError, match=r"decision\.json is damaged"):
        open_decision({"policy": "out_of_scope", "label": "oos", **values})
