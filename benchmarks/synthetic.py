"""What gpu.py measures on: a random encoder of BERT's shape, and token ids of realistic lengths. No downloads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptl.data.tokens.encoding import Encoded
from nlptl.kernels import KernelSettings, during_training, enable
from nlptl.training.examples.labelled import LabelledExamples

LABELS = [f"label {i}" for i in range(8)]
PAD = 0
LENGTHS = {"messages": (3.5, 0.8, 1), "reviews": (5.1, 0.6, 4)}
"""Mean and deviation of the logarithm of tokens per text, and of how many rows one is drawn."""
FIRST_WORD = 1000  # below lie BERT's special and unused pieces


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    longest: int
    rows: int
    steps: int
    batch_sizes: tuple[int, ...]
    matmul: int
    """Side of the square matrices whose product measures the peak."""
    deviation: float
    """Of the random weights; a narrow model needs more, or all texts look alike and a wrong mask would not show."""


BASE = Size(768, 12, 12, 3072, 30522, 512, 210_000, 100, (32, 128, 1024), 8192, 0.02)
TINY = Size(32, 2, 2, 64, 1200, 64, 96, 4, (8,), 128, 0.2)


def write_checkpoint(size: Size, folder: Path) -> Path:
    """A BertModel with random weights, as nlptl and transformers open it."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.inner,
        max_position_embeddings=size.longest,
        pad_token_id=PAD,
        initializer_range=size.deviation,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def draw_rows(size: Size, texts: str = "messages", seed: int = 0) -> LabelledExamples:
    """Random ids; lengths are log-normal with a tail to `longest`: messages of median 33, or reviews of median 164."""
    from nlptl.objectives.classification import Classification

    rng = np.random.default_rng(seed)
    middle, spread, part = LENGTHS[texts]
    count = size.rows // part
    lengths = np.clip(rng.lognormal(middle, spread, count).astype(np.int64), 4, size.longest)
    tokens = rng.integers(FIRST_WORD, size.vocabulary, int(lengths.sum()), dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    targets = rng.integers(0, len(LABELS), count)
    encoded = Encoded(tokens, offsets, np.zeros(len(tokens), np.uint8))
    return LabelledExamples(encoded, targets, PAD, Classification())


def classifier_of(
    checkpoint: Path, device: torch.device, dropout: float | None = 0.1, packed: bool = False, graphs: bool = False
) -> Any:
    """nlptl's classifier with transformers' own head, the same weights each time.

    Args:
        checkpoint: of `write_checkpoint`.
        device: where it goes.
        dropout: replaces the checkpoint's; None keeps it.
        packed: without padding.
        graphs: capture the passes of training as CUDA graphs; needs a GPU and packing.
    """
    from nlptl.models.building import build_classifier

    torch.manual_seed(1)
    classifier = build_classifier(checkpoint, "cls", LABELS, False, dropout)
    enable(classifier, KernelSettings(packing=packed, cuda_graphs=graphs))
    return classifier.to(device)


def differences(checkpoint: Path, rows: LabelledExamples, device: torch.device, count: int = 24) -> dict[str, float]:
    """Largest relative differences, in float32 without dropout, of losses and of the gradient over some rows.

    One batch padded to its longest row is the reference; the same rows go through in batches of like length, packed,
    and, on a GPU, packed with CUDA graphs, which are captured in the second pass and replayed in the third.
    """
    chosen = np.arange(min(count, len(rows.targets)))
    by_length = chosen[np.argsort(rows.encoded.lengths[chosen], kind="stable")]
    ways = {"bucketed": (np.array_split(by_length, 4), False, 1), "packed": ([chosen], True, 1)}
    if device.type == "cuda":
        ways["recorded"] = ([chosen], True, 3)
    losses, gradient = _losses_and_gradient(checkpoint, rows, [chosen], device)
    found: dict[str, float] = {}
    for name, (batches, packed, passes) in ways.items():
        others, other = _losses_and_gradient(checkpoint, rows, batches, device, packed, passes)
        found[f"{name}, losses"] = max(abs(others[row] - loss) / abs(loss) for row, loss in losses.items())
        found[f"{name}, gradient"] = float((other - gradient).norm() / gradient.norm())
    return found


def _losses_and_gradient(
    checkpoint: Path,
    rows: LabelledExamples,
    batches: list[np.ndarray],
    device: torch.device,
    packed: bool = False,
    passes: int = 1,
) -> tuple[dict[int, float], torch.Tensor]:
    model = classifier_of(checkpoint, device, 0.0, packed, graphs=passes > 1).train()
    losses: dict[int, float] = {}
    with during_training(model, None, None):
        for _ in range(passes):
            model.zero_grad()
            for batch in batches:
                values = rows.losses(model, batch, device)
                values.sum().backward()
                losses |= dict(zip(batch.tolist(), values.tolist(), strict=True))
    return losses, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def attention_difference(rows: LabelledExamples, device: torch.device, count: int = 24, heads: int = 4) -> float:
    """Largest relative difference of packed attention in bfloat16 (output, gradients) from itself in float32.

    On a GPU that has it, bfloat16 is computed by the kernel for texts of varying length, float32 never is.
    """
    from nlptl.data.tokens.encoding import collate
    from nlptl.kernels.packing import Layout, attend

    layout = Layout.of(collate(rows.encoded, np.arange(count), rows.pad_id, device, packed=True))
    torch.manual_seed(0)
    drawn = torch.randn(3, 1, heads, len(layout.places), 64, device=device)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        inputs = [part.to(dtype).requires_grad_() for part in drawn]
        out, _ = attend(torch.nn.Module(), *inputs, None, layout=layout)
        out.float().sin().sum().backward()
        found.append([out.detach(), *(part.grad for part in inputs if part.grad is not None)])
    exact, rounded = found
    return max(float((b.float() - a).norm() / a.norm()) for a, b in zip(exact, rounded, strict=True))
