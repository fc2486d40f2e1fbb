"""Weights of eight bits: a graph a quarter as large, without the layers that would change the answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nlptl.data.tokens.encoding import Encoded, padded
from nlptl.inference.export.names import GRAPH, OUTPUTS
from nlptl.inference.export.predictor import MULTIPLE, open_session

log = logging.getLogger("nlptl")
KINDS = ("Gather", "MatMul", "Gemm")
"""Nodes that look a weight up, or multiply by one."""


def quantised(folder: Path, sample: Encoded, pad_id: int, aside: Path) -> Iterator[tuple[Path, list[str]]]:
    """The graph with weights of eight bits; then with ever fewer layers of them, the most sensitive left out first.

    Layers whose weights have the same shape have the same place in each block of an encoder, and are ranked together.

    Args:
        folder: with the float32 graph.
        sample: training texts that sensitivity is measured on.
        pad_id: of the tokenizer.
        aside: where graphs go; the next one overwrites the one before.

    Yields:
        A graph, and the names of the nodes that were left out.

    Raises:
        MissingExtraError: the extra `onnx` is not installed.
    """
    source, target = folder / GRAPH, aside / GRAPH
    groups = _groups(source)
    every = [name for group in groups for name in group]
    _write(source, target, every)
    yield target, []
    first, *others = _by_sensitivity(source, aside / "one.onnx", groups, sample, pad_id)
    ranked, left = [*first, *(name for group in others for name in group)], len(first)
    step = 2
    while left < len(ranked):
        _write(source, target, ranked[left:])
        yield target, ranked[:left]
        left, step = left + step, 2 * step


def _groups(graph: Path) -> list[list[str]]:
    """Names of the nodes that can be quantised, those with weights of one shape together."""
    import onnx

    model = onnx.load(graph)
    shapes = {each.name: tuple(each.dims) for each in model.graph.initializer}
    found: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for node in model.graph.node:
        weight = next((name for name in node.input[:2] if name in shapes and len(shapes[name]) == 2), None)
        if node.op_type in KINDS and weight is not None:
            found.setdefault((node.op_type, shapes[weight]), []).append(node.name)
    return list(found.values())


def _write(source: Path, target: Path, nodes: list[str]) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    try:
        root.setLevel(logging.ERROR)  # it recommends a step that this graph does not need
        quantize_dynamic(
            source,
            target,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(KINDS),
            nodes_to_quantize=nodes,
        )
    finally:
        root.setLevel(level)


def _by_sensitivity(
    source: Path, aside: Path, groups: list[list[str]], sample: Encoded, pad_id: int
) -> list[list[str]]:
    """The groups, those first that by themselves change the logits of the sample most."""
    logits = _runner(sample, pad_id)
    expected = logits(open_session(source))
    moved: list[float] = []
    for group in groups:
        _write(source, aside, group)
        moved.append(float(np.abs(logits(open_session(aside)) - expected).mean()))
    aside.unlink(missing_ok=True)
    return [groups[i] for i in np.argsort(moved)[::-1]]


def _runner(sample: Encoded, pad_id: int) -> Callable[[Any], np.ndarray]:
    rows = np.argsort(sample.lengths)
    parts = [
        padded(sample, some, pad_id, MULTIPLE) for some in np.array_split(rows, max(len(rows) // 32, 1)) if len(some)
    ]

    def logits(session: Any) -> np.ndarray:
        names = [each.name for each in session.get_inputs()]
        return np.concatenate([session.run([OUTPUTS[0]], {n: part[n] for n in names})[0] for part in parts])

    return logits
