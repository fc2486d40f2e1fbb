"""Weights of eight bits: a graph a quarter as large, without the layers that would change the answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.data.tokens.encoding import Encoded, padded
from nlptl.errors import MissingExtraError
from nlptl.inference.export.names import GRAPH, OUTPUTS
from nlptl.inference.export.predictor import MULTIPLE, open_session

log = logging.getLogger("nlptl")
EMBEDDINGS, LAYERS = "Gather", "MatMul"


def quantised(folder: Path, sample: Encoded, pad_id: int, aside: Path) -> Iterator[tuple[Path, list[str]]]:
    """The graph with weights of eight bits; then with fewer and fewer layers of them, the most sensitive left out first.

    Args:
        folder: with the float32 graph.
        sample: training texts that sensitivity is measured on.
        pad_id: of the tokenizer.
        aside: where graphs go; the next one overwrites the one before.

    Yields:
        A graph, and the names of what was left out.

    Raises:
        MissingExtraError: the extra `onnx` is not installed.
    """
    source, target = folder / GRAPH, aside / GRAPH
    nodes = _weighted(source)
    _write(source, target, nodes, [])
    yield target, []
    ranked = _by_sensitivity(source, aside / "one.onnx", nodes, sample, pad_id)
    left = 1
    while left < len(ranked):
        _write(source, target, nodes, ranked[:left])
        yield target, ranked[:left]
        left *= 2


def _weighted(graph: Path) -> list[str]:
    """Names of the nodes that multiply by a weight or look one up: what can be quantised."""
    import onnx

    model = onnx.load(graph)
    weights = {each.name for each in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in (LAYERS, EMBEDDINGS, "Gemm") and any(name in weights for name in node.input[:2])
    ]


def _write(source: Path, target: Path, nodes: list[str], left_out: list[str]) -> None:
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise MissingExtraError("Weights of eight bits need ONNX Runtime: pip install 'nlptl[onnx]'") from error
    level, root = logging.getLogger().level, logging.getLogger()
    try:
        root.setLevel(logging.ERROR)  # it recommends a step that this graph does not need
        quantize_dynamic(
            source,
            target,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=[LAYERS, EMBEDDINGS, "Gemm"],
            nodes_to_quantize=[name for name in nodes if name not in left_out],
        )
    finally:
        root.setLevel(level)


def _by_sensitivity(source: Path, aside: Path, nodes: list[str], sample: Encoded, pad_id: int) -> list[str]:
    """The nodes, those first that alone change the logits of the sample most."""
    logits = _runner(sample, pad_id)
    expected = logits(open_session(source))
    moved: dict[str, float] = {}
    for name in nodes:
        _write(source, aside, nodes, [other for other in nodes if other != name])
        moved[name] = float(np.abs(logits(open_session(aside)) - expected).mean())
    aside.unlink(missing_ok=True)
    return sorted(nodes, key=lambda name: -moved[name])


def _runner(sample: Encoded, pad_id: int) -> Callable[[Any], np.ndarray]:
    rows = np.argsort(sample.lengths)
    parts = [
        padded(sample, some, pad_id, MULTIPLE) for some in np.array_split(rows, max(len(rows) // 32, 1)) if len(some)
    ]

    def logits(session: Any) -> np.ndarray:
        names = [each.name for each in session.get_inputs()]
        return np.concatenate([session.run([OUTPUTS[0]], {n: part[n] for n in names})[0] for part in parts])

    return logits
