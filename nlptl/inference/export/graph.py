"""A run's classifier as an ONNX graph, by PyTorch's own exporter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nlptl.data.tokens.encoding import Encoded, collate
from nlptl.errors import ArtifactError, MissingExtraError
from nlptl.inference.export.names import GRAPH, OUTPUTS
from nlptl.models.classifier import Classifier

OPSET = 20
SHAPES = ((1, 2), (1, 512), (7, 33), (64, 12))
"""Texts and tokens of batches whose logits are compared: an example of one text or one token could fix that number."""
EXAMPLE = (3, 9)
TOLERANCE = 1e-4


class _Outputs(nn.Module):
    """Inputs one by one instead of in a dict, which exporters do not name."""

    def __init__(self, classifier: Classifier, names: list[str]) -> None:
        super().__init__()
        self.classifier = classifier
        self.names = names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.classifier.outputs(dict(zip(self.names, inputs, strict=True)))
        return logits.float(), features.float()


def write_graph(classifier: Classifier, with_types: bool, longest: int, folder: Path) -> None:
    """Write `model.onnx`, with any number of texts and tokens, and compare its logits over several shapes.

    Args:
        classifier: whole, in float32, and without kernels.
        with_types: whether the encoder takes token types.
        longest: tokens of an input.
        folder: where it goes.

    Raises:
        MissingExtraError: the extra `onnx` is not installed.
        ArtifactError: the architecture cannot be exported, or the graph answers otherwise.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"Export to ONNX needs the package {error.name}: pip install 'nlptl[onnx]'") from error
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if with_types else [])]
    model = _Outputs(classifier.eval(), names).eval()
    batch, tokens = torch.export.Dim("batch", min=1, max=65536), torch.export.Dim("tokens", min=2, max=longest)
    with _quietly():
        try:
            program = torch.onnx.export(
                model,
                tuple(_example(classifier, names, *EXAMPLE, 0).values()),
                dynamo=True,
                dynamic_shapes=(tuple({0: batch, 1: tokens} for _ in names),),
                input_names=names,
                output_names=list(OUTPUTS),
                opset_version=OPSET,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise ArtifactError(f"{type(classifier.encoder).__name__} cannot be exported to ONNX: {reason}") from error
    if program is None:
        raise ArtifactError(f"{type(classifier.encoder).__name__} cannot be exported to ONNX.")
    program.save(folder / GRAPH, external_data=False)
    session = onnxruntime.InferenceSession(folder / GRAPH, providers=["CPUExecutionProvider"])
    for seed, (texts, length) in enumerate(SHAPES):
        _compare(model, session, _example(classifier, names, texts, min(length, longest), seed))


def _compare(model: nn.Module, session: Any, inputs: dict[str, Tensor]) -> None:
    with torch.inference_mode():
        expected = model(*inputs.values())[0].numpy()
    found = session.run([OUTPUTS[0]], {name: tensor.numpy() for name, tensor in inputs.items()})[0]
    difference = float(np.abs(expected - found).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        shape = " x ".join(map(str, inputs["input_ids"].shape))
        raise ArtifactError(f"The exported graph differs from the run by up to {difference:.2g} in logits of {shape}.")


def _example(classifier: Classifier, names: list[str], texts: int, tokens: int, seed: int) -> dict[str, Tensor]:
    """Random tokens, of which the first text has only half."""
    rng = np.random.default_rng(seed)
    lengths = np.full(texts, tokens)
    lengths[0] = max(tokens // 2, 1) if texts > 1 else tokens
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = rng.integers(5, classifier.config.vocab_size, offsets[-1]).astype(np.int32)
    types = np.zeros(len(ids), np.uint8) if "token_type_ids" in names else None
    padding = getattr(classifier.config, "pad_token_id", None) or 0
    inputs = collate(Encoded(ids, offsets, types), np.arange(texts), padding)
    return {name: inputs[name] for name in names}


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's own words, which are those of a developer of exporters."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
