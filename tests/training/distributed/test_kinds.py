"""Every kind of model and rows under replicas: all parameters that learn take part, on all processes alike."""

import json

import numpy as np
import pytest
from forked import Group

SCRIPT = """
import hashlib, json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np, pandas as pd, torch
from nlptl.config.model import LoraSettings
from nlptl.config.training import ResolvedTraining
from nlptl.data.tokens.encoding import collate, encode
from nlptl.data.loading import label_targets
from nlptl.models.aligned import AlignedClassifier, LinearMap
from nlptl.models.building import build_classifier
from nlptl.models.opening import load_tokenizer
from nlptl.models.linear_probe import LinearHead
from nlptl.models.masked_lm import masked_lm_on
from nlptl.models.prototypes import PrototypeModel
from nlptl.models.sentence_encoder import DenoisingAutoencoder, SentenceEncoder, open_encoder
from nlptl.objectives.alignment import coral_distance
from nlptl.objectives.classification import Classification
from nlptl.registry import MODES
from nlptl.training.examples.labelled import LabelledExamples
from nlptl.training.examples.mixed import MixedExamples
from nlptl.training.examples.paired import PairedExamples
from nlptl.training.examples.unlabelled import ContrastiveExamples, DenoisingExamples, MaskedExamples
from nlptl.training.loop import fit
from nlptl.training.runtime import start_runtime

checkpoint, data, out = map(Path, sys.argv[1:])
runtime = start_runtime("fp32", progress=False)
labels = ["negative", "positive"]
tokenizer = load_tokenizer(checkpoint)
frame = pd.read_csv(data / "train.csv")
encoded, targets = encode(frame, tokenizer, 64), label_targets(frame, labels)
pad = tokenizer.pad_token_id
labelled = LabelledExamples(encoded, targets, pad, Classification())
special = np.zeros(len(tokenizer), bool)
special[tokenizer.all_special_ids] = True
unlabelled = (encoded, pad, 0, 4, special)
features = torch.randn(len(encoded), 8, generator=torch.Generator().manual_seed(1))

def classifier(pooling="mean", mode="full", names=labels):
    made = build_classifier(checkpoint, pooling, names, False, 0.0)
    MODES.get(mode)().apply(made, LoraSettings(rank=4))
    return made

def unmasked_head():
    model = masked_lm_on(checkpoint)
    model.freeze_encoder(True)
    return model

def still(model):
    "Without dropout, which is drawn otherwise by other processes."
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    return model

def paired(inputs, distance):
    half = len(encoded) // 2
    return PairedExamples(inputs, encoded.lengths, targets[:half], Classification(), 0.1, distance)

def texts(rows, device):
    return collate(encoded, rows, pad, device)

def numbers(rows, device):
    return features[torch.from_numpy(rows)]

linear = LinearHead(torch.ones(2, 8) / 8, torch.zeros(2), 1.0)
mixed = MixedExamples([labelled, labelled], [slice(0, 2), slice(2, 4)], [1.0, 2.0], [67, 20])
hidden = open_encoder(checkpoint).config.hidden_size
kinds = {
    "cls": lambda: (classifier("cls"), labelled),
    "lora": lambda: (classifier("cls", "lora"), labelled),
    "several tasks": lambda: (classifier(names=["a", "b", "c", "d"]), mixed),
    "prototypes": lambda: (
        PrototypeModel(classifier("cls"), torch.randn(67, hidden), torch.from_numpy(targets), 0.1), labelled
    ),
    "discriminator": lambda: (AlignedClassifier(classifier(), True, hidden), paired(texts, None)),
    "distance": lambda: (AlignedClassifier(classifier("cls"), False, hidden), paired(texts, coral_distance)),
    "map": lambda: (AlignedClassifier(LinearMap(linear, features.numpy()), True, 8), paired(numbers, None)),
    "masked": lambda: (masked_lm_on(checkpoint), MaskedExamples(*unlabelled, tokenizer.mask_token_id, 0.15, None)),
    "masked, its head alone": lambda: (
        unmasked_head(), MaskedExamples(*unlabelled, tokenizer.mask_token_id, 0.15, None)
    ),
    "contrasted": lambda: (SentenceEncoder(open_encoder(checkpoint), "mean"), ContrastiveExamples(*unlabelled, 0.05)),
    "denoised": lambda: (
        DenoisingAutoencoder(open_encoder(checkpoint), "mean", 64), DenoisingExamples(*unlabelled, 0.6)
    ),
}
settings = ResolvedTraining(epochs=1, learning_rate=1e-3, batch_size=16, micro_batch_size=5, unfreeze=0.5)
found = {}
for name, build in kinds.items():
    torch.manual_seed(0)
    model, rows = build()
    progress = fit(runtime, still(model), rows, settings, 5, on_step=getattr(rows, "note", None))
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    found[name] = {
        "losses": progress.losses,
        "weights": hashlib.sha256(weights.numpy().tobytes()).hexdigest(),
        "incomplete": runtime.accelerator.ddp_handler.find_unused_parameters,
    }
(out / f"{runtime.processes}-{runtime.rank}.json").write_text(json.dumps(found))
"""
KINDS = (
    "cls",
    "lora",
    "several tasks",
    "prototypes",
    "discriminator",
    "distance",
    "map",
    "masked",
    "masked, its head alone",
    "contrasted",
    "denoised",
)
AMONG_THEMSELVES = ("distance", "contrasted")
"""Rows are compared with those of the same forward pass, so other micro-batches make other losses."""


@pytest.fixture(scope="module")
def found(tiny, obvious, tmp_path_factory) -> dict[tuple[int, int], dict]:
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "script.py").write_text(SCRIPT)
    said = {}
    for count in (1, 2):
        arguments = [str(folder / "script.py"), tiny["bert"], str(obvious), str(folder)]
        group = Group(arguments, folder / f"log-{count}", folder / "cache", count)
        assert group.wait() == [0] * count, group.said()
        said |= {(count, rank): json.loads((folder / f"{count}-{rank}.json").read_text()) for rank in range(count)}
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_learn_the_same_weights_with_all_parameters(found, kind):
    alone, first, second = (found[place][kind] for place in ((1, 0), (2, 0), (2, 1)))
    assert first == second
    assert not first["incomplete"]
    assert first["weights"] != alone["weights"]  # rounded otherwise
    assert len(set(first["losses"])) == len(first["losses"])
    if kind not in AMONG_THEMSELVES:
        np.testing.assert_allclose(first["losses"], alone["losses"], atol=1e-4)


def test_all_kinds_are_here(found):
    assert found[1, 0].keys() == set(KINDS)
