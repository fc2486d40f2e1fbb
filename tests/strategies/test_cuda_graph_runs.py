"""Whole runs as an NVIDIA GPU makes them: batches packed and passes captured without being asked for."""

import shutil

import pytest
import torch

from nlptl.kernels import cuda_graphs
from tests.gpu_stand_ins import CUDA, emulate_cuda_graphs, emulate_varlen_attention

SETTINGS = {
    "training.epochs": 12,
    "training.batch_size": 8,
    "training.learning_rate": 3e-3,
    "model.dropout": 0.0,
    "runtime.precision": "bf16",
    "runtime.progress": False,
}


@pytest.fixture(scope="module")
def checkpoint(tiny, tmp_path_factory):
    """A random checkpoint with positions for as many tokens as BERT has."""
    import transformers as tf

    folder = tmp_path_factory.mktemp("checkpoint") / "bert"
    shutil.copytree(tiny["bert"], folder)
    config = tf.AutoConfig.from_pretrained(folder)
    config.max_position_embeddings = 512
    torch.manual_seed(0)
    tf.BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(params=["cpu", CUDA])
def device(request, monkeypatch):
    """Where runs train; on a CPU with stand-ins for what it has not."""
    if request.param == "cpu":
        emulate_varlen_attention(monkeypatch)
        emulate_cuda_graphs(monkeypatch)
    else:
        monkeypatch.delenv("ACCELERATE_USE_CPU")
    return request.param


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("mode", ["full", "lora"])
@pytest.mark.parametrize("graphs", [True, False])
def test_a_run_learns_and_predicts(train, obvious, checkpoint, tmp_path, monkeypatch, device, mode, pooling, graphs):
    captures, capture = [], cuda_graphs.capture
    monkeypatch.setattr(cuda_graphs, "capture", lambda *a: captures.append(1) or capture(*a))
    settings = {**SETTINGS, "model.pooling": pooling, "runtime.cuda_graphs": graphs}
    run = train("sentiment", obvious, tmp_path / "run", settings, mode=mode, checkpoint=checkpoint).run
    assert bool(captures) == graphs
    assert run._runtime.device.type == device
    assert run.metrics["test"]["accuracy"] > 0.9
    assert run.metrics["time"]["padding_share"] > 0 if graphs else run.metrics["time"]["padding_share"] == 0
    assert run.artifact.predictor.classifier.packs
    assert [p.label for p in run.predict(["a good film in round 1", "a awful meal in round 1"])] == [
        "positive",
        "negative",
    ]


def test_without_kernels_nothing_is_packed_or_captured(train, obvious, checkpoint, tmp_path, monkeypatch, device):
    captures, capture = [], cuda_graphs.capture
    monkeypatch.setattr(cuda_graphs, "capture", lambda *a: captures.append(1) or capture(*a))
    settings = {**SETTINGS, "training.epochs": 1, "model.pooling": "mean", "runtime.kernels": "off"}
    run = train("sentiment", obvious, tmp_path / "run", settings, checkpoint=checkpoint).run
    run.predict(["a good film"])
    assert captures == []
    assert not run.artifact.predictor.classifier.packs
