"""Are new texts still like those that a run was measured on? The check, from two samples to one verdict."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nlptl.errors import ConfigError, DataError, shortened
from nlptl.evaluation.significance import ALPHA, Difference, over_different_rows
from nlptl.inference.predictor import Run
from nlptl.monitoring.facts import text_facts
from nlptl.monitoring.report import DriftReport
from nlptl.monitoring.samples import Label, Sample, Samples, names_of
from nlptl.monitoring.two_sample import (
    MMD_ROWS,
    ShiftTest,
    Told,
    classifier_test,
    labels_test,
    mmd_test,
    scores_test,
)
from nlptl.monitoring.verdict import Floors, auc_facts, judged, sentences, verdict_of
from nlptl.monitoring.views import Views, most_probable, views_of

log = logging.getLogger("nlptl")
FEW = 100
"""Reference rows below which it is said that they are few."""
LEAST_CONFIDENT = 0.05
"""The share of the reference, the least confident, that new texts are counted against."""
FURTHEST = 10
SHOWN = 300
"""Letters of a text in the report."""
Right = list[float]


@dataclass(frozen=True)
class Check:
    """How a check is made."""

    rows: int = 5000
    """Of each side that are compared, drawn with the seed."""
    permutations: int = 999
    seed: int = 0
    floors: Floors = field(default_factory=Floors)

    def __post_init__(self) -> None:
        if self.rows < 10 or self.permutations < 99:
            raise ConfigError(
                f"A check needs at least 10 rows of each side and 99 permutations, so that p can be 0.01; asked for "
                f"were {self.rows} and {self.permutations}."
            )
        if not 0.5 <= self.floors.auc < 1 or not 0 <= self.floors.change < 1:
            raise ConfigError(
                f"The smallest AUC that counts lies between 0.5 (chance) and 1, the smallest change between 0 and 1; "
                f"asked for were {self.floors.auc} and {self.floors.change}."
            )


def check_drift(run: Run, samples: Samples, new: Any, reference: Any, labelled: bool, check: Check) -> DriftReport:
    """Compare new texts with the run's held-out rows.

    Args:
        run: answers for one task.
        samples: how they are read.
        new: as `Samples.new` takes it.
        reference: likewise, instead of the run's test rows; None: those.
        labelled: whether the new texts' labels are read and accuracy is measured.
        check: rows, permutations, seed, floors.

    Raises:
        NlptlError: a sample cannot be read, or has too few rows.
    """
    every_new = samples.new(new, labelled)
    every_reference = samples.held_out() if reference is None else samples.reference(reference)
    here, there = every_reference.drawn(check.rows, check.seed), every_new.drawn(check.rows, check.seed + 1)
    notes = _notes(every_reference, here, every_new, there)
    for note in notes:
        log.info(note)
    views = views_of(run, here, there, check.seed)
    gap, accuracy = None, None
    if labelled:
        tested = here if reference is None else samples.held_out().drawn(check.rows, check.seed)
        answers = views.reference.most_probable if reference is None else most_probable(run, tested)
        gap, accuracy = _accuracy(tested, answers, there, views.new.most_probable, run.labels)
    tests, told = tests_of(views, run.labels, gap, check)
    found = judged(tests, check.floors)
    auc = None
    if told is not None:
        auc = auc_facts(told.test.effect, told.null, len(here), len(there), len(tests), check.floors)
    low = least_confident(views.reference.scores, views.new.scores)
    return DriftReport(
        run=str(run.folder),
        task=samples.head.task.name,
        reference={"origin": here.origin, "rows": len(every_reference), "compared": len(here)},
        new={"origin": there.origin, "rows": len(every_new), "compared": len(there)},
        features=views.features,
        tests=found,
        verdict=verdict_of(found),
        sentences=sentences(found, auc, low, accuracy),
        auc=auc,
        least_confident=low,
        labels=label_shares(views.reference.labels, views.new.labels),
        accuracy=accuracy,
        facts=text_facts(run, here, there),
        furthest=[] if told is None else _furthest(told, there, views),
        notes=notes,
        settings={"rows": check.rows, "permutations": check.permutations, "seed": check.seed, "alpha": ALPHA},
        floors=check.floors,
        scores=(views.reference.scores, views.new.scores),
        projection=_projection(views, check.seed),
    )


def tests_of(
    views: Views, known: list[str], gap: Difference | None, check: Check
) -> tuple[list[ShiftTest], Told | None]:
    """Every test that these views allow, and what the classifier knows of single rows.

    Args:
        views: of both samples.
        known: the run's labels.
        gap: accuracy on new rows less that on test rows, where labels are there.
        check: permutations and seed.
    """
    reference, new, many, seed = views.reference, views.new, check.permutations, check.seed
    tests = [
        scores_test(reference.scores, new.scores),
        labels_test(*views.label_matrices(known), many, seed + 2),
    ]
    told = None
    if reference.features is not None and new.features is not None:
        told = classifier_test(reference.features, new.features, many, seed + 3)
        few, others = (_some(each, seed + 4) for each in (reference.features, new.features))
        tests = [told.test, mmd_test(few, others, many, seed + 5), *tests]
    if gap is not None and gap.p is not None:
        tests.append(ShiftTest("accuracy", gap.mean, gap.p, gap.mean, 0.0))
    return tests, told


def _some(features: np.ndarray, seed: int) -> np.ndarray:
    """At most `MMD_ROWS` of the rows."""
    if len(features) <= MMD_ROWS:
        return features
    return np.asarray(features[np.random.default_rng(seed).choice(len(features), MMD_ROWS, replace=False)])


def least_confident(reference: np.ndarray, new: np.ndarray) -> dict[str, Any]:
    """The share of new rows that score below the least confident of the reference.

    The cut-off is the k-th smallest of M reference scores, below which chance puts a beta-binomial number of N new
    ones: p knows that the cut-off is itself an accident of the reference.

    Args:
        reference: (M,) scores.
        new: (N,) scores.
    """
    from scipy.stats import betabinom, binomtest

    place = max(1, int(np.ceil(LEAST_CONFIDENT * len(reference))))
    cut = float(np.sort(reference)[place - 1])
    below = int((new < cut).sum())
    interval = binomtest(below, len(new)).proportion_ci(method="wilson")
    return {
        "cut": cut,
        "reference": float((reference < cut).mean()),
        "new": below / len(new),
        "interval": [float(interval.low), float(interval.high)],
        "p": float(betabinom.sf(below - 1, len(new), place, len(reference) - place + 1)),
    }


def label_shares(reference: Sequence[Label], new: Sequence[Label]) -> list[dict[str, Any]]:
    """How often each label is decided on either side, the largest change first."""
    sides = []
    for labels in (reference, new):
        counts = Counter(name for label in labels for name in names_of(label))
        sides.append({name: count / len(labels) for name, count in counts.items()})
    shares = [
        {"label": name, "reference": sides[0].get(name, 0.0), "new": sides[1].get(name, 0.0)}
        for name in sorted(sides[0].keys() | sides[1].keys())
    ]
    return sorted(shares, key=lambda row: -abs(row["new"] - row["reference"]))


def _accuracy(
    tested: Sample, before: Sequence[Label], new: Sample, now: Sequence[Label], known: Sequence[str]
) -> tuple[Difference, dict[str, Any]]:
    """How often the most probable label is right: on new rows, and on test rows of the run."""
    was_right, _ = _right(tested, before)
    is_right, unlabelled = _right(new, now)
    if not is_right:
        raise DataError(f"None of the {len(now)} rows drawn from {new.origin} has a label. Draw more: --rows N")
    strange = [name for label in new.gold or [] for name in names_of(label) if name not in known]
    gap = over_different_rows(is_right, was_right)
    facts = {
        "new": float(np.mean(is_right)),
        "test": float(np.mean(was_right)),
        "rows": len(is_right),
        "test_rows": len(was_right),
        "difference": gap.noted(),
        "rows_without_label": unlabelled,
        "labels_that_the_run_does_not_know": {name: strange.count(name) for name in sorted(set(strange))},
    }
    return gap, facts


def _right(sample: Sample, answers: Sequence[Label]) -> tuple[Right, int]:
    """Whether each labelled row is answered right, and how many have no label."""
    pairs = list(zip(sample.gold or [], answers, strict=True))
    right = [float(set(names_of(gold)) == set(names_of(said))) for gold, said in pairs if gold is not None]
    return right, len(pairs) - len(right)


def _notes(every_reference: Sample, reference: Sample, every_new: Sample, new: Sample) -> list[str]:
    notes = []
    for name, every, drawn in (("reference", every_reference, reference), ("new", every_new, new)):
        if len(drawn) < len(every):
            notes.append(f"Of {len(every)} {name} rows {len(drawn)} are compared, drawn with the seed.")
        if len(drawn) > MMD_ROWS:
            notes.append(f"The kernel of MMD is computed on {MMD_ROWS} of the {len(drawn)} {name} rows.")
    if len(reference) < FEW:
        notes.append(
            f"The reference has {len(reference)} rows only, so that much of what it looks like is chance. Name more "
            "held-out rows: --reference FILE"
        )
    known = set(every_reference.items())
    shared = sum(item in known for item in new.items())
    if shared:
        notes.append(
            f"{shared} of {len(new)} new texts stand in the reference as well; where these are the same rows, the two "
            "samples look more alike than they are."
        )
    return notes


def _furthest(told: Told, new: Sample, views: Views) -> list[dict[str, Any]]:
    """The new texts that look least like the reference to a classifier that did not see them."""
    scores = told.scores[-len(new) :]
    texts = new.texts.agg(" | ".join, axis=1).tolist()
    return [
        {
            "row": int(row) + 1 if new.numbers is None else int(new.numbers[row]),
            "distance": float(scores[row]),
            "predicted": views.new.labels[row],
            "score": float(views.new.scores[row]),
            "text": shortened(texts[row], SHOWN),
        }
        for row in np.argsort(-scores, kind="stable")[:FURTHEST]
    ]


def _projection(views: Views, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Both samples' features in the two directions in which they spread most (PCA of both together)."""
    if views.reference.features is None or views.new.features is None or views.new.features.shape[1] < 2:
        return None
    from sklearn.decomposition import PCA

    both = np.concatenate([views.reference.features, views.new.features])
    plane = PCA(2, random_state=seed).fit_transform(both)
    return plane[: len(views.reference.scores)], plane[len(views.reference.scores) :]
