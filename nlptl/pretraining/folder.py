"""The folder of a pre-training: `NAME.unfinished` while it goes on, a checkpoint folder `NAME` when it is done."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from nlptl.errors import ArtifactError
from nlptl.models.encoder import EncoderModel, write_pooling
from nlptl.models.sentence_encoder import open_encoder
from nlptl.pretraining.config import PretrainConfig
from nlptl.runs.claims import INPUTS, Inputs, claim_folder
from nlptl.runs.lineage import PRETRAINING
from nlptl.storage.json_files import write_json


def work_folder(folder: Path) -> Path:
    """Where everything lies until the checkpoint is whole."""
    return folder.with_name(folder.name + ".unfinished")


def prepare_work_folder(folder: Path, config: PretrainConfig, inputs: Inputs) -> bool:
    """Make the work folder of `folder`, or take up that of the same pre-training.

    Args:
        folder: of the result.
        config: settings, resolved.
        inputs: digests of the texts and the checkpoint.

    Returns:
        Whether there was one.

    Raises:
        ArtifactError: the result is there already, or an unfinished one of other settings, texts or checkpoint.
    """
    if folder.exists():
        raise ArtifactError(f"{folder} exists already. Choose another --output, or remove it.")
    work = work_folder(folder)
    return claim_folder(work, work / "pretrain.yaml", config, PretrainConfig, inputs, "pre-training")


def publish_checkpoint(
    folder: Path, model: EncoderModel, tokenizer: Any, pooling: str, provenance: dict[str, Any]
) -> None:
    """Write the checkpoint, reopen and compare it, and give it its name.

    Raises:
        ArtifactError: what was reopened differs from what was trained.
    """
    work = work_folder(folder)
    model.to("cpu")
    model.save(work)
    tokenizer.save_pretrained(work)
    write_pooling(work, pooling, model.config.hidden_size)
    _compare(work, model)
    write_json(work / PRETRAINING, provenance)
    (work / INPUTS).unlink(missing_ok=True)
    for name in ("state", "corpus", "tokenizer"):
        shutil.rmtree(work / name, ignore_errors=True)
    work.rename(folder)


def _compare(work: Path, model: EncoderModel) -> None:
    reopened, trained = open_encoder(work).state_dict(), model.encoder.state_dict()
    wrong = [
        name for name, tensor in trained.items() if name not in reopened or not torch.equal(reopened[name], tensor)
    ]
    if wrong:
        raise ArtifactError(
            f"The saved encoder differs from the trained one ({wrong[0]}). The state in {work} is kept."
        )
