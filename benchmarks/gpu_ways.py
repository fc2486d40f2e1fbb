"""The ways gpu.py measures: the Trainer's steps, steps of nlptl's loop, and encoding once.

Each takes (checkpoint, mode, rows, device, batch size, steps) and returns rates as `peers.steps.steady` does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

Way = Callable[..., dict[str, float]]


SLOW = 3
"""The Trainer makes a part of the steps: its steps are long, and nothing in them waits for a second time."""


def trainer(
    checkpoint: Path, mode: str, texts: Any, device: Any, batch_size: int, steps: int, grouped: bool = False
) -> dict[str, float]:
    """The Trainer as it comes, with bf16: random order, padded to the longest of a batch; or grouped by length."""
    from peers.steps import Counted, StepTimes, steady
    from synthetic import LABELS
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=len(LABELS))
    if mode == "lora":
        from peft import LoraConfig, TaskType, get_peft_model

        model = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=8, target_modules=["query", "value"]))
    elif mode == "features":
        model.base_model.requires_grad_(False)
    steps = max(steps // SLOW, 2)
    collator, clock = Counted(collate), StepTimes(device)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=batch_size,
            bf16=True,
            train_sampling_strategy="group_by_length" if grouped else "random",
            use_cpu=device.type == "cpu",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        Trainer(
            model=model, args=settings, train_dataset=Examples(texts), data_collator=collator, callbacks=[clock]
        ).train()
    counted = [column[: len(clock.begun)] for column in (collator.rows, collator.real, collator.fed)]
    return steady(clock.marks, *counted, skip=(steps - 1) // 2)


class Examples:
    """Rows as a data set of the Trainer."""

    def __init__(self, texts: Any) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts.targets)

    def __getitem__(self, row: int) -> dict[str, Any]:
        encoded = self._texts.encoded
        ids = encoded.tokens[encoded.offsets[row] : encoded.offsets[row + 1]]
        return {"input_ids": ids.tolist(), "labels": int(self._texts.targets[row])}


def collate(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """What DataCollatorWithPadding does, without a tokenizer."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ids = [torch.tensor(example["input_ids"]) for example in examples]
    mask = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
    labels = torch.tensor([example["labels"] for example in examples])
    return {"input_ids": pad_sequence(ids, batch_first=True), "attention_mask": mask, "labels": labels}


def looping(
    backend: str | None = None,
    dropout: float = 0.0,
    packed: bool = False,
    graphs: bool = False,
    shuffled: bool = False,
) -> Way:
    """nlptl's loop.

    Args:
        backend: of torch.compile, whose warm-up the figure over all steps includes; None: not compiled.
        dropout: 0.1 is the checkpoint's, and so the Trainer's; 0 is nlptl's default.
        packed: without padding.
        graphs: packed batches in random order, their passes captured as CUDA graphs; where there is no GPU, without.
        shuffled: plain random order, where `graphs` does not say so already.
    """

    def way(checkpoint: Path, mode: str, rows: Any, device: Any, batch_size: int, steps: int) -> dict[str, float]:
        from ours import TimedRows
        from synthetic import classifier_of

        from nlptl.config.model import LoraSettings
        from nlptl.config.training import ResolvedTraining
        from nlptl.kernels import enable
        from nlptl.models.encoder import compile_layers
        from nlptl.registry import MODES
        from nlptl.training.loop import fit
        from nlptl.training.runtime import start_runtime

        captured = graphs and device.type == "cuda"
        classifier = classifier_of(checkpoint, device, dropout, packed or graphs, captured)
        kind = MODES.get(mode)
        kind().apply(classifier, LoraSettings(rank=8, targets=["query", "value"]))
        enable(classifier, classifier.kernels)
        if backend is not None:
            compile_layers(classifier, backend)
        config = ResolvedTraining(
            epochs=1,
            batch_size=batch_size,
            learning_rate=5e-5,
            layer_decay=1.0,
        )
        timed = TimedRows(replace(rows, by_length=not (graphs or shuffled)), steps)
        fit(start_runtime("bf16", progress=False), classifier, timed, config, 0)
        return timed.report((steps - 1) // 2)

    return way


def encoding(
    checkpoint: Path, mode: str, texts: Any, device: Any, batch_size: int, steps: int, packed: bool = False
) -> dict[str, float]:
    """Frozen features, computed once: as many rows as the Trainer's steps hold, batches as nlptl plans them."""
    import numpy as np
    from peers.steps import now
    from synthetic import classifier_of

    from nlptl.training.forward import features_of, subset
    from nlptl.training.runtime import start_runtime

    classifier, runtime = classifier_of(checkpoint, device, 0.0, packed), start_runtime("bf16", progress=False)
    chosen = subset(texts.encoded, np.arange(min(len(texts.targets), batch_size * steps)))
    features_of(runtime, classifier, subset(chosen, np.arange(min(64, len(chosen)))), texts.pad_id, None)  # warm-up
    begun = now(device)
    features_of(runtime, classifier, chosen, texts.pad_id, None)
    seconds = now(device) - begun
    return {
        "steps": steps,
        "examples_per_second": len(chosen) / seconds,
        "tokens_per_second": int(chosen.lengths.sum()) / seconds,
        "whole_seconds": seconds,
        "examples_per_second_whole": len(chosen) / seconds,
    }
