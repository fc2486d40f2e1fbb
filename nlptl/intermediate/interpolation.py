"""How far to go towards what an intermediate task taught: weights between before and after (Wortsman et al. 2022).

The share is the one under which linear probes, cross-validated, have the least loss on the task's own rows; where these
are too few, on rows of labels that were held out of the source. A share whose loss is not clearly less than at 0, by a
paired test over the rows, is not taken: at 0 nothing is taken over, and an intermediate task that may harm is left out.
A source with the task's own labels has a head for them, which may beat all probes; then it is taken over too.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor
from torch.nn.functional import cross_entropy

from nlptl.checkpoints import Checkpoint
from nlptl.config.run import ResolvedRun
from nlptl.data.loading import Splits, label_targets
from nlptl.data.tokens.encoding import Encoded, encode
from nlptl.errors import CheckpointError
from nlptl.evaluation.significance import BETTER, over_rows
from nlptl.models.building import build_classifier
from nlptl.models.classifier import Classifier
from nlptl.models.encoder import write_pooling
from nlptl.models.linear_probe import fit_probe
from nlptl.models.opening import encoder_config, longest_input, open_tokenizer, quiet
from nlptl.runs.artifact import load_artifact
from nlptl.runs.lineage import PRETRAINING, VIA, lineage_of, open_checkpoint
from nlptl.storage.json_files import write_json
from nlptl.training.forward import features_of
from nlptl.training.runtime import Runtime, local_runtime

log = logging.getLogger("nlptl")
STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse regularisation strengths of the probes, as in `fit_probe`."""
SHARES = (0.0, 0.25, 0.5, 1.0)
FOLDS = 3
MOST_ROWS = 1000
"""Of the task and of the held-out labels each; more would tell little more, and cost time."""
HEAD = "head"
"""The source's own head, beside the shares of its encoder."""
TASK, HELD_OUT = "task", "held_out_labels"
"""The sets of rows; the first one that is there decides, the other one is told beside it."""


@dataclass(frozen=True)
class Judged:
    """Rows on which encoders are compared."""

    rows: pd.DataFrame
    """With `text` and `label`."""
    encoded: Encoded
    targets: np.ndarray
    """(rows,) label ids."""


@dataclass(frozen=True)
class Choice:
    """How much of what was learned from a source is taken over."""

    share: float
    """Of the way from the weights before to those after."""
    losses: dict[str, dict[str, float]] = field(default_factory=dict)
    """Share, or `HEAD` -> set of rows -> mean log loss on rows that were not learned from."""
    keeps_head: bool = False


@dataclass(frozen=True)
class Judge:
    """Says how well an encoder's features tell labels apart that it was not trained on."""

    sets: dict[str, Judged]
    config: ResolvedRun
    runtime: Runtime
    pad_id: int

    @classmethod
    def of(cls, config: ResolvedRun, checkpoint: Checkpoint, task: Splits, held_out: pd.DataFrame | None) -> Judge:
        """A judge by the training and validation rows of the task, and by rows of labels that were held out.

        Args:
            config: of the run.
            checkpoint: whose tokenizer reads the rows.
            task: its splits; the test split is not read.
            held_out: rows with `text` and `label`, if there are any.
        """
        encoder = encoder_config(checkpoint.path)
        tokenizer = open_tokenizer(checkpoint.path, encoder)
        length = longest_input(tokenizer, encoder, config.model.max_length)
        frames = {TASK: pd.concat([task.train, task.validation], ignore_index=True)}
        frames |= {} if held_out is None else {HELD_OUT: held_out}
        sets = {}
        for name, frame in frames.items():
            rows = _enough_each(frame).sample(frac=1.0, random_state=config.seed).head(MOST_ROWS)
            if rows["label"].nunique() > 1:
                labels = sorted(rows["label"].unique())
                encoded = encode(rows, tokenizer, length, normaliser=config.data.normaliser)
                sets[name] = Judged(rows, encoded, label_targets(rows, labels))
        runtime = local_runtime(config.runtime.precision, config.runtime.progress)
        return cls(sets, config, runtime, int(tokenizer.pad_token_id))

    def losses(self, classifier: Classifier) -> dict[str, np.ndarray]:
        """(rows,) log losses of linear probes on rows that they were not fitted on, for each set of rows."""
        return {name: self._losses(classifier, judged) for name, judged in self.sets.items()}

    def head_losses(self, run: Path) -> np.ndarray:
        """(rows,) log losses of a run's own head on the task's rows."""
        artifact, rows = load_artifact(run), self.sets[TASK].rows
        artifact.predictor.settle(self.runtime)
        logits = artifact.predictor.logits(artifact.predictor.prepare(rows), self.runtime)
        targets = label_targets(rows, artifact.head().task.label_list())
        return _log_losses(logits, targets)

    def _losses(self, classifier: Classifier, judged: Judged) -> np.ndarray:
        """Those of the strength under which their mean is least: features that only lie farther apart gain nothing."""
        features, _ = features_of(self.runtime, classifier, judged.encoded, self.pad_id, None)
        targets, found = judged.targets, np.zeros((len(STRENGTHS), len(judged.targets)))
        classes = int(targets.max()) + 1
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=self.config.seed)
        for learned, asked in folds.split(features, targets):
            for number, strength in enumerate(STRENGTHS):
                head = fit_probe(features[learned], targets[learned], classes, [strength])
                found[number, asked] = _log_losses(head.logits(features[asked]), targets[asked])
        return np.asarray(found[found.mean(1).argmin()])


def choose(before: Checkpoint, after: Checkpoint, judge: Judge, head: Path | None = None) -> Choice:
    """The share of the way from before to after under which probes have the least loss on rows they were not fitted on.

    The judge's first set of rows decides between the shares; the best one must be clearly better than share 0 on every
    set, else the choice is 0. A head of the task's own labels is kept if its loss is less than that of all probes: it
    was not fitted on any of the rows.

    Args:
        before: where the way begins.
        after: where it ends.
        judge: has the rows.
        head: the run whose encoder `after` is, if its head has the task's labels.

    Raises:
        CheckpointError: the two encoders are not of one shape, or there are too few rows to judge by.
    """
    found: dict[float, dict[str, np.ndarray]] = {}
    if not judge.sets:
        raise CheckpointError(
            "Too few rows of each label to choose how far to go (via.interpolation); give a share from 0 to 1."
        )
    for share, classifier in _between(before, after, judge.config.model.pooling):
        found[share] = judge.losses(classifier)
        said = ", ".join(f"{name} {losses.mean():.4f}" for name, losses in found[share].items())
        log.info(f"  share {share:.2f} of the way: log loss of probes on unseen rows: {said}")
    first = next(iter(judge.sets))
    best = min(found, key=lambda share: float(found[share][first].mean()))
    clear = all(over_rows(-losses, -found[0.0][name]).outcome == BETTER for name, losses in found[best].items())
    told = {
        f"{share:g}": {name: float(each.mean()) for name, each in losses.items()} for share, losses in found.items()
    }
    if head is not None and TASK in judge.sets:
        loss = float(judge.head_losses(head).mean())
        log.info(f"  with its own head: {TASK} {loss:.4f}")
        told[HEAD] = {TASK: loss}
        if loss < min(losses[TASK] for name, losses in told.items() if name != HEAD):
            return Choice(1.0, told, keeps_head=True)
    return Choice(best if clear else 0.0, told)


def write_between(
    before: Checkpoint, after: Checkpoint, share: float, folder: Path, told: dict[str, Any]
) -> Checkpoint:
    """The encoder at a share of the way as a checkpoint folder, which says what it learned.

    Args:
        before: where the way begins.
        after: where it ends.
        share: from 0 to 1.
        folder: of the result; one that is there is the same.
        told: of the source.
    """
    if not folder.exists():
        aside = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        ((_, classifier),) = _between(before, after, "mean", (share,))
        with quiet():
            classifier.encoder.save_pretrained(aside)
        open_tokenizer(before.path, classifier.config).save_pretrained(aside)
        write_pooling(aside, before.pooling, classifier.config.hidden_size)
        entry = {**told, "interpolation": share}
        write_json(aside / PRETRAINING, {"objective": "intermediate task", "lineage": lineage_of(before), VIA: entry})
        aside.rename(folder)
    return open_checkpoint(str(folder))


def _between(
    before: Checkpoint, after: Checkpoint, pooling: str, shares: tuple[float, ...] = SHARES
) -> Iterator[tuple[float, Classifier]]:
    """One classifier, whose encoder lies at each of the shares in turn."""
    first, last = (build_classifier(each.path, pooling, ["a", "b"], False, 0.0) for each in (before, after))
    start: dict[str, Tensor] = {name: tensor.clone() for name, tensor in first.encoder.state_dict().items()}
    end: dict[str, Tensor] = last.encoder.state_dict()
    if {name: tensor.shape for name, tensor in start.items()} != {name: tensor.shape for name, tensor in end.items()}:
        raise CheckpointError(
            f"{after.name} is an encoder of another shape than {before.name}, so the way between them has no middle. "
            f"Begin with it instead: --checkpoint {after.name}"
        )
    for share in shares:
        mixed = {
            name: torch.lerp(tensor, end[name], share) if tensor.is_floating_point() else tensor
            for name, tensor in start.items()
        }
        first.encoder.load_state_dict(mixed)
        yield share, first


def _log_losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets), reduction="none").numpy()


def _enough_each(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of labels that every fold can have one of."""
    return frame[frame["label"].groupby(frame["label"]).transform("size") >= FOLDS]
