"""The best state so far: what decides it, and its weights."""

from __future__ import annotations

import math

from torch import Tensor

from nlptl.kernels.embeddings import used_rows
from nlptl.models.encoder import Trainable, put_weights
from nlptl.training.distributed.shards import full_tensor, shard_like
from nlptl.training.resume.states import Progress, Weights
from nlptl.training.runtime import Runtime


class BestState:
    """The best trainable weights so far, as full tensors on the CPU, and the way back into the model that learns.

    Args:
        runtime: with sharded weights, every process has to call each of the methods.
        learner: what is trained.
    """

    def __init__(self, runtime: Runtime, learner: Trainable) -> None:
        self._runtime, self._learner = runtime, learner
        self._names = [name for name, p in learner.named_parameters() if p.requires_grad]
        self.weights: Weights = {}

    def current(self) -> Weights:
        """The trainable weights as they are now."""
        own = dict(self._learner.named_parameters())
        with self._runtime.noticing_loss():
            if self._runtime.uses_deepspeed:
                from deepspeed.utils import safe_get_full_fp32_param

                # The optimizer's, which are not rounded to the precision of the forward pass.
                return {name: safe_get_full_fp32_param(own[name]).to("cpu", copy=True) for name in self._names}
            return {name: full_tensor(own[name].detach()).to("cpu", copy=True) for name in self._names}

    def take(self) -> None:
        """Remember the present state."""
        self.weights = self.current()

    def put(self, weights: Weights) -> None:
        """Copy weights into what learns."""
        own = dict(self._learner.named_parameters())
        put_weights(self._learner, {name: shard_like(tensor, own[name]) for name, tensor in weights.items()})

    def used_rows(self) -> dict[str, Tensor]:
        """Parameters that are trained in some of their rows only, and those rows."""
        return used_rows(self._learner)


def judge(
    progress: Progress, metrics: dict[str, float], metric: str, best: BestState, rows: int = 0, last: bool = False
) -> None:
    """Note the metrics of one more epoch, and take the state if it is the best so far.

    The last epoch is also taken where an earlier one is better by no more than one standard error of validation (as
    Breiman et al. 1984 choose among trees): its learning rate has come down to zero, and the best of several epochs on
    a small split may be chance. The state before training stays wherever it is the best.

    Args:
        progress: of the training; the epoch is noted in it.
        metrics: of the epoch, on validation.
        metric: the one of them that decides.
        best: takes the state.
        rows: of validation; 0: unknown, and no epoch is preferred.
        last: all planned steps are done.
    """
    epoch = len(progress.epochs)
    before = next((e for e in progress.epochs if e["epoch"] == progress.best_epoch), None)
    progress.epochs.append({"epoch": epoch, **metrics})
    better = before is None or _rank(metrics, metric) > _rank(before, metric)
    preferred = last and progress.best_epoch > 0 and before is not None and _is_near(metrics, before, metric, rows)
    if better or preferred:
        progress.best_metric, progress.best_epoch, progress.worse_epochs = metrics[metric], epoch, 0
        best.take()
    else:
        progress.worse_epochs += 1


def why_kept(progress: Progress, metric: str) -> str:
    """What a log says of the state that was kept."""
    value = f"{metric} {progress.best_metric:.4f}"
    if all(_rank(epoch, metric) <= _rank(progress.epochs[progress.best_epoch], metric) for epoch in progress.epochs):
        return f"the best on validation ({value})"
    return f"the last ({value}; none is better by more than a standard error)"


def _is_near(metrics: dict[str, float], best: dict[str, float], metric: str, rows: int) -> bool:
    """Whether a share of rows is below the best one by at most its standard error; False for other measures."""
    share = best[metric]
    if metric == "loss" or not rows or not 0 <= share <= 1:
        return False
    return share - metrics[metric] <= math.sqrt(share * (1 - share) / rows)


def _rank(metrics: dict[str, float], metric: str) -> tuple[float, float]:
    # Small validation splits tie often; then the lower loss is the better state.
    loss = -metrics.get("loss", 0.0)
    return (loss if metric == "loss" else metrics[metric], loss)
