"""What several processes compute together is what one computes, memory faults on one of them included."""

import json

import numpy as np
import pytest
from forked import Group

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np, pandas as pd, torch
from torch.nn.parallel import DistributedDataParallel
from nlptl.config.model import LoraSettings
from nlptl.config.training import ResolvedTraining
from nlptl.data.tokens.encoding import encode
from nlptl.data.loading import label_targets
from nlptl.models.building import build_classifier
from nlptl.models.opening import load_tokenizer
from nlptl.registry import MODES
from nlptl.objectives.classification import Classification
from nlptl.training.forward import logits_of, subset
from nlptl.training.loop import fit
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.runtime import Runtime, start_runtime

checkpoint, data, out = map(Path, sys.argv[1:])
runtime = start_runtime("fp32", progress=False)
labels = ["negative", "positive"]
tokenizer = load_tokenizer(checkpoint)
frame = pd.read_csv(data / "train.csv")
encoded, targets = encode(frame, tokenizer, 64), label_targets(frame, labels)

def fresh():
    torch.manual_seed(runtime.rank)  # another start on each process: the main one's must win
    classifier = build_classifier(checkpoint, "mean", labels, False, 0.0)
    MODES.get("full")().apply(classifier, LoraSettings())
    return classifier

torch.manual_seed(0)
classifier = build_classifier(checkpoint, "mean", labels, False, 0.0)
found = {"logits": {}}
for count in (0, 1, 3, 7, 67):
    some = subset(encoded, np.arange(count))
    found["logits"][count] = logits_of(runtime, classifier, some, tokenizer.pad_token_id, 2, "x").tolist()

class Small(Classification):
    "On the last process, memory ends at three rows."
    def __call__(self, logits, targets):
        if runtime.rank == runtime.processes - 1 and len(targets) > 3:
            raise torch.OutOfMemoryError("injected")
        return super().__call__(logits, targets)

class Poisoned(Classification):
    "NaN on the last process only."
    def __call__(self, logits, targets):
        return super().__call__(logits, targets) * (float("nan") if runtime.rank == runtime.processes - 1 else 1.0)

rates = []
log = Runtime.log
Runtime.log = lambda self, values, step: rates.append(values["train/learning_rate"])
settings = dict(epochs=1, learning_rate=1e-3, head_learning_rate=1e-3, batch_size=16, layer_decay=1.0)
cases = {
    "plain": (Classification(), None),
    "parts": (Classification(), 3),
    "small": (Small(), None),
    "buckets": (Classification(), None),
    "compressed": (Classification(), None),
}
passes = {}
forward = DistributedDataParallel.forward
def counting(self, *given):
    if torch.is_grad_enabled():
        passes[name][0 if self.require_backward_grad_sync else 1] += 1
    return forward(self, *given)
DistributedDataParallel.forward = counting
for name, (objective, micro) in cases.items():
    runtime = start_runtime("fp32", progress=False, gradient_compression="fp16" if name == "compressed" else "none")
    if name == "buckets":  # gradients in many small parts
        runtime.accelerator.ddp_handler.bucket_cap_mb = 0.01
    passes[name] = [0, 0]
    rates.clear()
    rows = LabelledExamples(encoded, targets, tokenizer.pad_token_id, objective)
    progress = fit(runtime, fresh(), rows, ResolvedTraining(**settings, micro_batch_size=micro), 5)
    found[name] = {"losses": progress.losses, "rates": list(rates), "micro": progress.micro_batch_size}
found["passes"] = passes

def with_spare(used_by):
    "Train with a further parameter, on which a pass's loss depends where `used_by` says so of its rows."
    classifier = fresh()
    classifier.spare = torch.nn.Parameter(torch.ones(()))
    class Spared(Classification):
        def __call__(self, logits, targets):
            losses = super().__call__(logits, targets)
            return losses + 0.0 * classifier.spare if used_by(len(targets)) else losses
    rows = LabelledExamples(encoded, targets, tokenizer.pad_token_id, Spared())
    return fit(runtime, classifier, rows, ResolvedTraining(**settings), 5).losses

runtime, name = start_runtime("fp32", progress=False), "spare"
passes[name] = [0, 0]
found["never used"] = {"losses": with_spare(lambda count: False)}
found["used by many rows"] = {"losses": with_spare(lambda count: count >= 4)}  # not in the last step, which has 3
try:
    passes_left = iter([True] * 4)  # two of the trial, one more before the first step, and that step
    with_spare(lambda count: next(passes_left, False))
except Exception as error:
    found["no longer used"] = str(error)
try:
    rows = LabelledExamples(encoded, targets, tokenizer.pad_token_id, Poisoned())
    fit(runtime, fresh(), rows, ResolvedTraining(**settings), 5)
except Exception as error:
    found["nan"] = str(error)
(out / f"{runtime.processes}-{runtime.rank}.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tiny, obvious, tmp_path_factory) -> dict[tuple[int, int], dict]:
    """What each rank of one, two and four processes says."""
    folder = tmp_path_factory.mktemp("truth")
    (folder / "script.py").write_text(SCRIPT)
    said = {}
    for count in (1, 2, 4):
        arguments = [str(folder / "script.py"), tiny["bert"], str(obvious), str(folder)]
        group = Group(arguments, folder / f"log-{count}", folder / "cache", count)
        assert group.wait() == [0] * count, group.said()
        said |= {(count, rank): json.loads((folder / f"{count}-{rank}.json").read_text()) for rank in range(count)}
    return said


def test_outputs_do_not_depend_on_the_number_of_processes(found):
    for said in found.values():
        for count, logits in found[1, 0]["logits"].items():
            assert np.shape(said["logits"][count]) == np.shape(logits)
            np.testing.assert_allclose(said["logits"][count], logits, atol=1e-6)


def test_losses_and_rates_depend_neither_on_processes_nor_on_micro_batches(found):
    alone = found[1, 0]["plain"]
    assert len(alone["losses"]) == len(alone["rates"]) == 5
    for said in found.values():
        for name in ("plain", "parts", "small", "buckets", "never used", "used by many rows"):
            np.testing.assert_allclose(said[name]["losses"], alone["losses"], atol=1e-4)
        for name in ("plain", "parts", "small", "buckets"):
            assert said[name]["rates"] == alone["rates"]


def test_gradients_are_exchanged_once_per_step_whatever_the_micro_batches(found):
    """And once before the first step; five steps, whose parts of at most 3 rows are more on fewer processes."""
    for (count, _), said in found.items():
        parts = -(-(16 // count) // 3)
        assert said["passes"]["parts"] == ([1 + 5, 5 * (parts - 1)] if count > 1 else [0, 0])
        assert said["passes"]["plain"] == ([1 + 5, 0] if count > 1 else [0, 0])


def test_compressed_gradients_differ_by_their_rounding(found):
    alone = found[1, 0]["plain"]["losses"]
    assert found[1, 0]["compressed"]["losses"] == alone
    for said in (said for (count, _), said in found.items() if count > 1):
        np.testing.assert_allclose(said["compressed"]["losses"], alone, atol=1e-2)
        assert said["compressed"]["losses"] != said["plain"]["losses"]
    assert found[2, 0]["buckets"]["losses"] == found[2, 0]["plain"]["losses"]  # sums of two have one order


def test_a_parameter_that_is_no_longer_used_is_said(found):
    for (count, _), said in found.items():
        assert ("got no gradient in this step" in said.get("no longer used", "")) == (count > 1)


def test_memory_that_ends_on_one_process_shrinks_the_micro_batch_on_all(found):
    assert {count: {found[c, rank]["small"]["micro"] for c, rank in found if c == count} for count in (1, 2, 4)} == {
        1: {2},
        2: {2},
        4: {2},
    }


def test_nan_on_one_process_stops_all_and_names_the_same_rows(found):
    for count in (1, 2, 4):
        (message,) = {found[c, rank]["nan"] for c, rank in found if c == count}
        assert "The loss became NaN or infinite" in message
        assert "Training rows of this batch: " in message
