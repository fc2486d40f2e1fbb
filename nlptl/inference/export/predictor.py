"""An exported run as what a run folder predicts with: ONNX Runtime, numpy and the tokenizer; no PyTorch computes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from nlptl.config.run import RunConfig
from nlptl.data.normalising.normaliser import NONE
from nlptl.data.tokens.batching import FORWARD_TOKENS, plan_forward
from nlptl.data.tokens.encoding import Encoded, encode, padded
from nlptl.data.tokens.long_texts import LongText
from nlptl.errors import ArtifactError, CheckpointError, MissingExtraError
from nlptl.inference.export.names import GRAPH, KIND, OUTPUTS
from nlptl.tasks import TaskSpec, joint_labels

MULTIPLE = 8
"""Batches are padded to a multiple of it: the fewer shapes occur, the less memory ONNX Runtime keeps."""


@dataclass
class OnnxPredictor:
    """A graph in ONNX Runtime, with its tokenizer."""

    session: Any
    tokenizer: Any
    max_length: int
    long_text: LongText
    normaliser: str
    classes: int
    title: str
    needs: ClassVar[frozenset[str]] = frozenset({"max_length", "precision", "files"})

    @classmethod
    def open(cls, folder: Path, config: RunConfig, tasks: list[TaskSpec], manifest: Mapping[str, Any]) -> OnnxPredictor:
        """Open the graph of an exported run.

        Raises:
            MissingExtraError: ONNX Runtime is not installed.
            ArtifactError: it is damaged, or has other labels than the task.
        """
        session = open_session(folder / "model" / GRAPH)
        classes = int(session.get_outputs()[0].shape[1])
        if classes != len(joint_labels(tasks)):
            raise ArtifactError(
                f"The graph in {folder} does not fit this task: it tells {classes} labels apart, the task has "
                f"{len(joint_labels(tasks))}."
            )
        tokenizer = _tokenizer(folder / "model")
        long_text = LongText(str(manifest.get("long_text", "truncate")))
        title = f"{config.mode} as {KIND}, {manifest['precision']}"
        normaliser = str(manifest.get("normaliser", NONE))
        return cls(session, tokenizer, int(manifest["max_length"]), long_text, normaliser, classes, title)

    def settle(self, runtime: Any) -> None:
        """The graph computes where it was opened, and as it was written."""

    def prepare(self, frame: pd.DataFrame) -> Encoded:
        return encode(frame, self.tokenizer, self.max_length, long_text=self.long_text, normaliser=self.normaliser)

    def logits(self, prepared: Encoded, runtime: Any) -> np.ndarray:
        return self.outputs(prepared, runtime)[1]

    def features(self, prepared: Encoded, runtime: Any) -> np.ndarray:
        """(rows, H) float32: what the head sees of each row."""
        return self.outputs(prepared, runtime)[0]

    def outputs(self, prepared: Encoded, runtime: Any) -> tuple[np.ndarray, np.ndarray]:
        """Features (rows, H) and logits (rows, C) float32."""
        widths = {each.name: int(each.shape[1]) for each in self.session.get_outputs()}
        found = {name: np.zeros((len(prepared), widths[name]), np.float32) for name in OUTPUTS}
        names = [each.name for each in self.session.get_inputs()]
        batches = plan_forward(prepared.lengths, FORWARD_TOKENS)
        for rows in runtime.track(batches, "predicting", unit="batch"):
            inputs = padded(prepared, rows, self.tokenizer.pad_token_id, MULTIPLE)
            outputs = self.session.run(list(OUTPUTS), {name: inputs[name] for name in names})
            for name, array in zip(OUTPUTS, outputs, strict=True):
                found[name][rows] = array
        return found["features"], found["logits"]


def open_session(path: Path) -> Any:
    """The graph in ONNX Runtime, on as many threads as this process may use processors.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ArtifactError: the file is missing or damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("An exported run needs ONNX Runtime: pip install 'nlptl[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    # Its store of memory keeps what the largest batch of every shape took, for ever.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors have no common class
        raise ArtifactError(f"{path} cannot be opened: {str(error).splitlines()[0]}") from error


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(f"The tokenizer in {folder} cannot be opened: {str(error).splitlines()[0]}") from error
