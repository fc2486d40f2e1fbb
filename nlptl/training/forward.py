"""Forward passes over many texts without training: each row exactly once, order restored, shared by the processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlptl.data.tokens.batching import FORWARD_TOKENS, GPU_TOKENS, plan_forward
from nlptl.data.tokens.encoding import Encoded, collate
from nlptl.kernels import during_passes
from nlptl.kernels.inputs import Inputs
from nlptl.models.cached_features import KEY, FeatureStore, feature_key
from nlptl.models.classifier import Classifier
from nlptl.training.runtime import Runtime

WINDOWS = 32_768
"""Windows whose outputs are kept at once before they are pooled: 50 MB of them for H = 384."""


def forward_all(
    runtime: Runtime,
    function: Callable[[Inputs], Tensor],
    encoded: Encoded,
    pad_id: int,
    width: int,
    what: str,
    packed: bool = False,
) -> np.ndarray:
    """Apply a model's function to every text.

    Args:
        runtime: the rows are dealt out over its processes; each gets the whole result.
        function: inputs of B texts to outputs (B, width).
        encoded: the texts.
        pad_id: the tokenizer's padding id.
        width: columns of the result.
        what: the progress bar's words.
        packed: give the function packed inputs.

    Returns:
        (texts, width) float32, in the order of the texts.
    """
    batches = plan_forward(encoded.lengths, GPU_TOKENS if runtime.device.type == "cuda" else FORWARD_TOKENS)
    mine = batches[runtime.rank :: runtime.processes]
    # Sharded models gather weights in every pass, so all processes make equally many; fillers are not kept.
    fillers = -(-len(batches) // runtime.processes) - len(mine)
    out = np.zeros((len(encoded), width), np.float32)

    def compute(rows: np.ndarray) -> np.ndarray:
        outputs = function(collate(encoded, rows, pad_id, runtime.device, packed))
        computed: np.ndarray = outputs.float().cpu().numpy()
        return computed

    bar = runtime.track(None, what, sum(map(len, mine)), "text")
    with runtime.measuring(), runtime.autocast(), closing(bar), runtime.cores.followed():
        for rows in runtime.stop.until(mine):
            out[rows] = compute(rows) if runtime.is_sharded else _in_parts(compute, rows)
            bar.update(len(rows))
            runtime.cores.look()
        for _ in range(fillers):
            compute(batches[0][:1])
    # Every row was filled by one process and is zero on the others.
    return runtime.sum(out)


def _in_parts(compute: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """All rows at once or, where memory does not suffice, half of them after the other."""
    try:
        return compute(rows)
    except torch.OutOfMemoryError:
        if len(rows) == 1:
            raise
    # Outside the except block, so that the error no longer holds the tensors that filled the memory.
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    return np.concatenate([_in_parts(compute, half) for half in np.array_split(rows, 2)])


def logits_of(runtime: Runtime, model: Any, encoded: Encoded, pad_id: int, classes: int, what: str) -> np.ndarray:
    """Logits (texts, classes) float32 in eval mode; the module, wrapped for training or not, is left as it was."""
    was_training = model.training
    model.eval()
    if encoded.windows is None:
        logits = _through(runtime, model, model, encoded, pad_id, classes, what)
    else:
        logits = _logits_over_windows(runtime, model, encoded, pad_id, classes, what)
    model.train(was_training)
    return logits


def outputs_of(
    runtime: Runtime, classifier: Classifier, encoded: Encoded, pad_id: int, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Features (texts, H) and logits (texts, C) float32 of one forward pass; of texts in windows, pooled."""
    classifier.eval()
    width = classifier.head.in_features
    if encoded.windows is None:
        both = _through(runtime, classifier, classifier.window_outputs, encoded, pad_id, classifier.window_width, what)
        return np.ascontiguousarray(both[:, :width]), np.ascontiguousarray(both[:, width:])
    features = np.zeros((len(encoded), width), np.float32)
    logits = np.zeros((len(encoded), classifier.head.out_features), np.float32)
    for texts, block in _blocks(encoded):
        rows = _through(
            runtime, classifier, classifier.window_outputs, block.by_row, pad_id, classifier.window_width, what
        )
        tensor, bounds = torch.from_numpy(rows).to(runtime.device), _window_bounds(block).to(runtime.device)
        with runtime.measuring(), runtime.autocast():
            logits[texts] = classifier.pooled_logits(tensor, bounds).float().cpu().numpy()
            features[texts] = classifier.pooled_features(tensor[:, :width], bounds).float().cpu().numpy()
    return features, logits


def _logits_over_windows(
    runtime: Runtime, model: Any, encoded: Encoded, pad_id: int, classes: int, what: str
) -> np.ndarray:
    """Each window by itself, as if it were a text, then the logits of each text: no pass grows with a text's length."""
    logits = np.zeros((len(encoded), classes), np.float32)
    for texts, block in _blocks(encoded):
        rows = _through(runtime, model, model.window_outputs, block.by_row, pad_id, model.window_width, what)
        tensors = torch.from_numpy(rows).to(runtime.device), _window_bounds(block).to(runtime.device)
        with runtime.measuring(), runtime.autocast():
            logits[texts] = model.pooled_logits(*tensors).float().cpu().numpy()
    return logits


def _window_bounds(block: Encoded) -> torch.Tensor:
    return torch.from_numpy(np.asarray(block.windows, np.int64))


def _blocks(encoded: Encoded) -> Iterator[tuple[slice, Encoded]]:
    """Consecutive texts with at most `WINDOWS` windows together, or one text with more."""
    assert encoded.windows is not None  # as the callers have seen
    start = 0
    while start < len(encoded):
        stop = int(np.searchsorted(encoded.windows, encoded.windows[start] + WINDOWS, side="right")) - 1
        stop = min(max(stop, start + 1), len(encoded))
        yield slice(start, stop), subset(encoded, np.arange(start, stop))
        start = stop


def features_of(
    runtime: Runtime, classifier: Classifier, encoded: Encoded, pad_id: int, store: FeatureStore | None
) -> tuple[np.ndarray, int]:
    """Frozen features of every text, from the store where it has them; of texts in windows, pooled over them.

    Returns:
        (texts, H) float32, and how many texts or windows had to be computed.
    """
    if encoded.windows is not None:
        return _features_over_windows(runtime, classifier, encoded, pad_id, store)
    classifier.eval()
    width = classifier.head.in_features
    if store is None:
        every = _through(runtime, classifier, classifier.features, encoded, pad_id, width, "features")
        return every, len(encoded)
    keys = _keys(encoded)
    store.refresh()
    lacking = np.zeros(len(keys), np.int64)
    lacking[store.missing(keys)] = 1
    # What any process lacks, all compute together: their disks may differ.
    todo = np.flatnonzero(runtime.sum(lacking))
    if not len(todo):
        return store.read(keys) if len(keys) else np.empty((0, width), np.float32), 0
    some = encoded if len(todo) == len(keys) else subset(encoded, todo)
    computed = _through(runtime, classifier, classifier.features, some, pad_id, width, "features")
    readable = False
    if runtime.is_local_main:
        new = lacking[todo] > 0
        readable = store.add(keys[todo[new]], computed if new.all() else computed[new]) and bool(new.all())
    if len(todo) == len(keys):
        return store.read(keys) if readable else computed, len(todo)
    order = np.argsort(keys[todo])
    places = np.searchsorted(keys[todo][order], keys).clip(max=len(todo) - 1)
    fresh = keys[todo[order[places]]] == keys  # a text that occurs twice was computed once
    features = np.empty((len(keys), width), np.float32)
    features[fresh] = computed[order[places[fresh]]]
    if not fresh.all():
        features[~fresh] = store.read(keys[~fresh])
    return features, len(todo)


def _features_over_windows(
    runtime: Runtime, classifier: Classifier, encoded: Encoded, pad_id: int, store: FeatureStore | None
) -> tuple[np.ndarray, int]:
    features = np.zeros((len(encoded), classifier.head.in_features), np.float32)
    computed = 0
    for texts, block in _blocks(encoded):
        rows, new = features_of(runtime, classifier, block.by_row, pad_id, store)
        computed += new
        with torch.inference_mode():
            pooled = classifier.pooled_features(
                torch.from_numpy(rows).to(runtime.device), _window_bounds(block).to(runtime.device)
            )
        features[texts] = pooled.cpu().numpy()
    return features, computed


def _through(
    runtime: Runtime,
    model: Any,
    function: Callable[[Inputs], Tensor],
    encoded: Encoded,
    pad_id: int,
    width: int,
    what: str,
) -> np.ndarray:
    """`forward_all` through a model whose linear weights are rounded once for all passes."""
    # Sharded weights are gathered by hooks that expect them as they were sharded.
    with nullcontext() if runtime.is_sharded else during_passes(model, runtime.dtype):
        return forward_all(runtime, function, encoded, pad_id, width, what, model.packs)


def _keys(encoded: Encoded) -> np.ndarray:
    """(texts,) of `KEY`."""
    types, found = encoded.types, bytearray()
    for start, stop in pairwise(encoded.offsets.tolist()):
        found += feature_key(encoded.tokens[start:stop], None if types is None else types[start:stop])
    return np.frombuffer(found, KEY)


def subset(encoded: Encoded, rows: np.ndarray) -> Encoded:
    """Some of the texts, in the order of `rows`."""
    return encoded.some(encoded.rows_of(rows), None if encoded.windows is None else encoded.counts_of(rows))


def concatenate(first: Encoded, second: Encoded) -> Encoded:
    """The texts of one after those of the other."""
    types = None
    if first.types is not None and second.types is not None:
        types = np.concatenate([first.types, second.types])
    offsets = np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]])
    windows = None
    if first.windows is not None and second.windows is not None:
        windows = np.concatenate([first.windows, second.windows[1:] + first.windows[-1]])
    return Encoded(np.concatenate([first.tokens, second.tokens]), offsets, types, windows=windows)
