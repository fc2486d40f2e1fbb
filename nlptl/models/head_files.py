"""What a checkpoint did not bring, in a file of its own: the head, and what is learned beside it."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nlptl.errors import ArtifactError
from nlptl.models.encoder import EncoderModel


def save_head(classifier: EncoderModel, folder: Path) -> None:
    """Write what the checkpoint did not bring to `head.safetensors`."""
    head = {name: p.detach().cpu().contiguous() for name, p in classifier.own.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(head, folder / "head.safetensors")


def load_head(classifier: EncoderModel, folder: Path) -> None:
    """Read what `save_head` wrote.

    Raises:
        ArtifactError: the file is missing, damaged, or for another shape.
    """
    read_into(folder / "head.safetensors", classifier.own)


def read_into(file: Path, own: dict[str, nn.Parameter]) -> None:
    """Read a file's tensors into parameters of the same names.

    Raises:
        ArtifactError: the file is missing, damaged, or for another shape.
    """
    try:
        saved = load_file(file)
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtifactError(f"{file} cannot be read: {error}") from error
    except Exception as error:  # safetensors raises its own type without a public base
        raise ArtifactError(f"{file} is damaged: {error}") from error
    if {n: p.shape for n, p in own.items()} != {n: t.shape for n, t in saved.items()}:
        raise ArtifactError(f"{file} does not fit this task and checkpoint.")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(saved[name])
