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
        return cls(session, tokenizer, int(manifest["max_length"]), long_text, classes, title)

    def settle(self, runtime: Any) -> None:
        """The graph computes where it was opened, and as it was written."""

    def prepare(self, frame: pd.DataFrame) -> Encoded:
        return encode(frame, self.tokenizer, self.max_length, long_text=self.long_text)

    def logits(self, prepared: Encoded, runtime: Any) -> np.ndarray:
        return self._computed(prepared, runtime, OUTPUTS[0], self.classes)

    def features(self, prepared: Encoded, runtime: Any) -> np.ndarray:
        """(rows, H) float32: what the head sees of each row."""
        return self._computed(prepared, runtime, OUTPUTS[1], int(self.session.get_outputs()[1].shape[1]))

    def _computed(self, prepared: Encoded, runtime: Any, output: str, width: int) -> np.ndarray:
        found = np.zeros((len(prepared), width), np.float32)
        names = [each.name for each in self.session.get_inputs()]
        batches = plan_forward(prepared.lengths, FORWARD_TOKENS)
        for rows in runtime.track(batches, "predicting", unit="batch"):
            inputs = padded(prepared, rows, self.tokenizer.pad_token_id, MULTIPLE)
            found[rows] = self.session.run([output], {name: inputs[name] for name in names})[0]
        return found


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
