"""A checkpoint is tried before anything is learned on it: two short texts and a long one go through.

That a folder opens says little: the architecture may be a decoder, want other inputs or lengths, count padding as
text, or compute in float32 only. Each of these ends here in one sentence, rather than in a traceback after an hour, or
in a run that is wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nlptl.errors import CheckpointError, NlptlError
from nlptl.kernels.inputs import Inputs
from nlptl.models.classifier import Classifier
from nlptl.models.opening import fault

log = logging.getLogger("nlptl")
TEXTS = ["A short text.", "Another text, somewhat longer than the first."]
"""Of different length, so that the first is padded beside the second."""
FAR = 0.1
"""Padding changes an answer by this share of the distance between two texts: then it is no answer to its text."""
ROUNDING = 1e-4
"""Differences below this share of the numbers themselves are float32's."""


def try_out(
    classifier: Classifier,
    tokenizer: Any,
    max_length: int,
    device: torch.device,
    dtype: torch.dtype | None,
    learn: Callable[[Classifier], None] | None = None,
) -> str | None:
    """Compute a few texts through a freshly built classifier.

    Args:
        classifier: as the run will build it. Unless it learns, it is as it was afterwards, on the device, in eval mode;
            else it is of no further use.
        tokenizer: of the checkpoint.
        max_length: tokens of the run's longest texts.
        device: that will compute.
        dtype: that autocast will compute in; None: float32 throughout.
        learn: makes the classifier trainable as the run will, for a backward pass; None: the encoder stays frozen.

    Returns:
        What goes wrong in `dtype` alone, where all is well in float32; else None.

    Raises:
        CheckpointError: the checkpoint cannot be used, in one sentence.
        NlptlError: raised by `learn`.
    """
    name = f"{classifier.config.model_type!r} checkpoint"
    classifier.to("cpu").eval()
    with torch.inference_mode(), _said(f"This {name} opens, but a first pass through it fails"):
        _check_answers(classifier, tokenizer, max_length, name)
    reason = _check_longest(classifier, tokenizer, max_length, device, dtype, name)
    if learn is not None:
        classifier.to("cpu")
        with _said(f"This {name} can be computed, but not trained in this mode"):
            learn(classifier)
            classifier.train()
            classifier(inputs_of(tokenizer, TEXTS, max_length)).float().square().sum().backward()
    return reason


def inputs_of(tokenizer: Any, texts: list[str], max_length: int) -> Inputs:
    """The encoder's inputs for a few texts, padded on the right as batches are: (B, L) int64 each."""
    with_types = "token_type_ids" in tokenizer.model_input_names
    coded = tokenizer(
        texts,
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=with_types,
        verbose=False,
    )
    ids = [torch.tensor(row) for row in coded["input_ids"]]
    inputs = {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=tokenizer.pad_token_id),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
    }
    if with_types:
        types = [torch.tensor(row) for row in coded["token_type_ids"]]
        inputs["token_type_ids"] = pad_sequence(types, batch_first=True)
    return inputs


def _check_answers(classifier: Classifier, tokenizer: Any, max_length: int, name: str) -> None:
    """See that answers are of the whole text, finite, the same each time, and do not depend on padding."""
    short, long = (inputs_of(tokenizer, [text], max_length) for text in TEXTS)
    if _is_causal(classifier.encoder, long):
        raise CheckpointError(
            f"This {name} is a decoder, or computes like one: its first token sees nothing of what follows. nlptl "
            "learns on encoders, such as BERT and its relatives. Choose another checkpoint."
        )
    alone, other = classifier.outputs(short)[0].float(), classifier.outputs(long)[0].float()
    if alone.ndim != 2:
        raise CheckpointError(
            f"The sequence classifier of this {name} classifies each token before it pools them, so that a text has no "
            "features. Use --set model.pooling=mean."
        )
    if not (alone.isfinite().all() and other.isfinite().all()):
        raise CheckpointError(f"This {name} gives numbers that are not finite. Its weights are damaged.")
    if _differ(classifier.outputs(short)[0].float(), alone, alone):
        raise CheckpointError(
            f"This {name} gives another answer each time the same text is computed (its attention draws at random), so "
            "that no run on it could be repeated. Choose another checkpoint."
        )
    padded = classifier.outputs(inputs_of(tokenizer, TEXTS, max_length))[0].float()[:1]
    if _differ(padded, alone, alone):
        share = float((padded - alone).norm() / (other - alone).norm().clamp(min=1e-12))
        told = f"what this {name} makes of a text depends on how far the text is padded"
        if share >= FAR:
            raise CheckpointError(
                f"With {classifier.pooling} pooling, {told}, so that its answers would depend on what else is in a "
                "batch. Use another --set model.pooling, or another checkpoint."
            )
        log.warning(f"Slightly, {told} ({share:.1%} of the difference between two texts)")


def _differ(first: Tensor, second: Tensor, scale: Tensor) -> bool:
    return bool((first - second).norm() > ROUNDING * scale.norm())


def _is_causal(encoder: Any, inputs: Inputs) -> bool:
    """Whether the first token's state stays the same, to the last bit, when all later tokens change places."""
    turned = {**inputs, "input_ids": inputs["input_ids"].clone()}
    turned["input_ids"][:, 1:] = inputs["input_ids"][:, 1:].flip(1)
    if torch.equal(turned["input_ids"], inputs["input_ids"]):
        return False
    before, after = (encoder(**given).last_hidden_state[:, 0] for given in (inputs, turned))
    return bool(torch.equal(before, after))


def _check_longest(
    classifier: Classifier, tokenizer: Any, max_length: int, device: torch.device, dtype: torch.dtype | None, name: str
) -> str | None:
    """Compute a text as long as the run's longest, on the device in its precision.

    Returns:
        What goes wrong in `dtype` alone.
    """
    inputs = inputs_of(tokenizer, ["text " * max_length], max_length)
    tokens = inputs["input_ids"].shape[1]
    classifier.to(device)
    inputs = {key: tensor.to(device) for key, tensor in inputs.items()}

    def compute(precision: torch.dtype | None) -> None:
        with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision is not None):
            if not classifier(inputs).isfinite().all():
                raise FloatingPointError("the numbers are not finite")

    reason = None
    if dtype is not None:
        try:
            compute(dtype)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # architectures fail in ways of their own
            reason = fault(error)
        else:
            return None
    with _said(f"This {name} cannot compute a text of {tokens} tokens; a lower model.max_length may help. It says"):
        compute(None)
    return reason


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Say in one sentence what an architecture's own error means here.

    Raises:
        CheckpointError: in place of an error that is not one of nlptl's, or of memory.
    """
    try:
        yield
    except (NlptlError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # IndexError, TypeError, RuntimeError: architectures fail in ways of their own
        raise CheckpointError(f"{what}: {fault(error)}. Choose another checkpoint.") from error
