"""Three processes, one of which ends inside a backward pass, while gradients of upper layers are being exchanged."""

import signal
from pathlib import Path

import numpy as np
import pytest
from forked import Group
from safetensors.numpy import load_file

SCRIPT = """
import os, signal, sys
from pathlib import Path
import pandas as pd, torch
from safetensors.torch import save_file
from nlptl.config.training import ResolvedTraining
from nlptl.data.tokens.encoding import encode
from nlptl.data.loading import label_targets
from nlptl.errors import NlptlError
from nlptl.models.building import build_classifier
from nlptl.models.opening import load_tokenizer
from nlptl.objectives.classification import Classification
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.loop import fit
from nlptl.training.resume.states import StateFolder
from nlptl.training.runtime import start_runtime

checkpoint, data, out = map(Path, sys.argv[1:4])
end = sys.argv[4]
runtime = start_runtime("fp32", progress=False, deterministic=True, timeout_seconds=60)
runtime.accelerator.ddp_handler.bucket_cap_mb = 0.01
labels = ["negative", "positive"]
tokenizer = load_tokenizer(checkpoint)
frame = pd.read_csv(data / "train.csv")
encoded, targets = encode(frame, tokenizer, 64), label_targets(frame, labels)
torch.manual_seed(0)
classifier = build_classifier(checkpoint, "mean", labels, False, 0.1)
left = 9  # passes: two of the trial, one more before the first step, then two a step: the last of the third

def strike(*_):
    "Layers above the lowest have their gradients, which are on their way."
    global left
    left -= 1
    if left == 0 and runtime.rank == 1:
        if end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if end == "out of memory":
            raise torch.OutOfMemoryError("injected")

classifier.encoder.encoder.layer[0].register_full_backward_hook(strike)
settings = dict(epochs=2, learning_rate=1e-2, head_learning_rate=1e-2, batch_size=16, micro_batch_size=3, save_every=1)
rows = LabelledExamples(encoded, targets, tokenizer.pad_token_id, Classification())
try:
    progress = fit(runtime, classifier, rows, ResolvedTraining(**settings), 5, state=StateFolder(out / "state"))
except NlptlError as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
if runtime.is_main:
    save_file(dict(classifier.state_dict()), out / "weights.safetensors")
"""


def three(tiny: dict[str, str], data: Path, folder: Path, end: str) -> Group:
    script = folder.parent / "script.py"
    script.write_text(SCRIPT)
    folder.mkdir(exist_ok=True)
    return Group([str(script), tiny["bert"], str(data), str(folder), end], folder / "log", folder / "cache", 3)


@pytest.fixture
def whole(tiny, obvious, tmp_path) -> dict[str, np.ndarray]:
    """Weights of a training that nothing happened to."""
    group = three(tiny, obvious, tmp_path / "whole", "none")
    assert group.wait() == [0, 0, 0], group.said()
    return load_file(tmp_path / "whole" / "weights.safetensors")


def test_the_others_notice_and_a_resumed_training_is_bit_for_bit_the_same(tiny, obvious, tmp_path, whole):
    """Sums of three are rounded by the order in which they are added up, which must not depend on where one began."""
    killed = three(tiny, obvious, tmp_path / "killed", "killed")
    assert killed.wait() == [76, -signal.SIGKILL, 76], killed.said()
    assert killed.said().count("lost the other processes") == 2
    assert [path.name for path in sorted((tmp_path / "killed" / "state").iterdir())] == ["step-0000001", "step-0000002"]
    resumed = three(tiny, obvious, tmp_path / "killed", "none")
    assert resumed.wait() == [0, 0, 0], resumed.said()
    found = load_file(tmp_path / "killed" / "weights.safetensors")
    assert found.keys() == whole.keys()
    assert [name for name, tensor in whole.items() if not np.array_equal(tensor, found[name])] == []


def test_memory_that_ends_there_is_said_and_the_state_is_intact(tiny, obvious, tmp_path, whole):
    ended = three(tiny, obvious, tmp_path / "ended", "out of memory")
    codes = ended.wait()
    assert codes == [76, 2, 76], ended.said()
    assert "Process 1 ran out of memory in a step (injected). The largest batch had fit" in ended.said()
    assert "training.micro_batch_size below 3" in ended.said()
    resumed = three(tiny, obvious, tmp_path / "ended", "none")
    assert resumed.wait() == [0, 0, 0], resumed.said()
    found = load_file(tmp_path / "ended" / "weights.safetensors")
    assert [name for name, tensor in whole.items() if not np.array_equal(tensor, found[name])] == []
