"""Opening a checkpoint's folder: configuration, tokenizer and weights, each checked against the others.

A checkpoint comes from anywhere: its tokenizer may have been extended, its weights cut, its configuration edited. What
does not fit together is refused here; what only shows when a text is computed, `nlptl.models.trial` finds.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlptl.errors import CheckpointError, shortened
from nlptl.kernels import packing

NUMBERED_FROM_PADDING = (
    *packing.NUMBERED_FROM_PADDING,
    "data2vec-text",
    "esm",
    "ibert",
    "layoutlmv3",
    "lilt",
    "longformer",
    "luke",
    "markuplm",
    "mpnet",
    "roberta-prelayernorm",
    "xmod",
)
"""Architectures whose positions start at padding id + 1, so that fewer tokens fit than they have positions."""
FEWEST_TOKENS = 3
"""A text needs room for one token between a first and a last special one."""
NO_END = 512
"""Tokens that are read of a text where neither tokenizer nor positions set a limit, and the run neither."""
UNLIMITED = 10**9
_ADVICE = {
    "AutoModelForSequenceClassification": ("sequence classifier", "Use --set model.pooling=mean."),
    "AutoModelForMaskedLM": ("masked-LM model", "Use another --objective, or another checkpoint."),
    "AutoModel": ("encoder", "Choose another checkpoint."),
    "AutoModelForTextEncoding": ("encoder", "Choose another checkpoint."),
}


def encoder_config(checkpoint: Path) -> Any:
    """The transformers configuration of a checkpoint; a class that it would bring along is never run.

    Raises:
        CheckpointError: missing, damaged, or of an architecture that transformers does not know.
    """
    from transformers import AutoConfig

    try:
        with quiet():
            config = AutoConfig.from_pretrained(checkpoint, trust_remote_code=False)
    except Exception as error:  # OSError, ValueError, KeyError: as transformers finds the damage
        raise CheckpointError(f"{checkpoint / 'config.json'} cannot be read: {fault(error)}.") from error
    padding, words = getattr(config, "pad_token_id", None), getattr(config, "vocab_size", None)
    if padding is not None and words is not None and not 0 <= padding < words:
        raise CheckpointError(
            f"{checkpoint / 'config.json'} names padding token {padding}, but the encoder has {words} embeddings, "
            f"0 to {words - 1}. Set pad_token_id to the tokenizer's."
        )
    return config


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint or run folder, by itself; `open_tokenizer` makes it fit an encoder.

    Raises:
        CheckpointError: missing or damaged.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(f"The tokenizer in {folder} cannot be opened: {fault(error)}.") from error
    if tokenizer.pad_token_id is None:
        raise CheckpointError(f"The tokenizer in {folder} has no padding token.")
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # transformers makes one up where the files are missing
        raise CheckpointError(f"The tokenizer in {folder} has no vocabulary. Add its tokenizer.json or vocabulary.")
    return tokenizer


def open_tokenizer(folder: Path, config: Any) -> Any:
    """The tokenizer of a checkpoint, which gives the encoder what it takes and nothing else.

    Args:
        folder: of the checkpoint.
        config: its encoder's.

    Raises:
        CheckpointError: missing, damaged, or with tokens that the encoder has no embeddings for.
    """
    tokenizer = load_tokenizer(folder)
    embeddings = getattr(config, "vocab_size", None)
    if embeddings is not None:  # CANINE hashes characters and has none
        tokens = max(len(tokenizer), 1 + max(tokenizer.get_vocab().values()))
        if tokens > embeddings:
            raise CheckpointError(
                f"The tokenizer in {folder} has {tokens} tokens, but the encoder has {embeddings} embeddings: a text "
                "with one of the last tokens could not be computed. Use the tokenizer of this encoder, or add the "
                "lacking embeddings with transformers' resize_token_embeddings and save encoder and tokenizer again."
            )
    fit_inputs(tokenizer, config)
    return tokenizer


def fit_inputs(tokenizer: Any, config: Any) -> None:
    """Let a tokenizer leave out token types, in place, where the encoder does not tell the two texts of a pair apart.

    Many checkpoints come with the tokenizer class of another architecture (BERT's, most often).
    """
    if config.model_type == "bert" and config.type_vocab_size > 1:
        return  # known without importing the model
    from transformers import MODEL_MAPPING

    known = MODEL_MAPPING.get(type(config), [])
    classes = known if isinstance(known, list | tuple) else (known,)
    takes_types = all("token_type_ids" in inspect.signature(each.forward).parameters for each in classes)
    if not takes_types or getattr(config, "type_vocab_size", 2) < 2:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]


def longest_input(tokenizer: Any, config: Any, wanted: int | str) -> int:
    """Tokens per text: what was asked for, but no more than tokenizer and positions allow.

    Args:
        tokenizer: of the checkpoint.
        config: its encoder's.
        wanted: tokens; or `auto`: as many as are allowed, `NO_END` where nothing says how many.

    Raises:
        CheckpointError: no text would fit.
    """
    if isinstance(wanted, str):
        longest = longest_input(tokenizer, config, UNLIMITED)
        return NO_END if longest == UNLIMITED else longest
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:  # relative positions, which have no end
        positions = wanted
    elif config.model_type in NUMBERED_FROM_PADDING:
        positions -= (config.pad_token_id or 0) + 1
    longest = int(min(wanted, tokenizer.model_max_length, positions))
    if longest < FEWEST_TOKENS <= wanted:
        raise CheckpointError(
            f"This checkpoint allows {longest} tokens per text (its tokenizer's model_max_length is "
            f"{tokenizer.model_max_length}, its encoder has {positions} positions), which is too few for any text."
        )
    return longest


def encoder_class(config: Any) -> Any:
    """The auto class that opens a checkpoint's encoder; of an encoder-decoder such as T5, the encoder alone.

    Raises:
        CheckpointError: an encoder-decoder whose encoder transformers does not open alone.
    """
    from transformers import MODEL_FOR_TEXT_ENCODING_MAPPING, MODEL_MAPPING, AutoModel, AutoModelForTextEncoding

    alone = MODEL_FOR_TEXT_ENCODING_MAPPING.get(type(config), None)
    if alone is not None and alone is not MODEL_MAPPING.get(type(config), None):
        return AutoModelForTextEncoding
    if not getattr(config, "is_encoder_decoder", False):
        return AutoModel
    raise CheckpointError(
        f"This checkpoint is an encoder-decoder ({config.model_type}), and nlptl learns on encoders, such as BERT and "
        "its relatives. Choose another checkpoint."
    )


def open_model(auto: Any, folder: Path, config: Any, random_weights: bool = False) -> tuple[Any, set[str]]:
    """The model in float32, and the names of its parameters that the folder does not hold in their shape.

    Only a head or a pooler may be among these; where the folder has a head of another shape (a checkpoint fine-tuned
    for another number of labels), that is dropped.

    Args:
        auto: transformers' auto class.
        folder: of the checkpoint.
        config: of the model.
        random_weights: the architecture alone, initialised from torch's global generator.

    Raises:
        CheckpointError: the folder cannot be opened as such a model, or tensors of its encoder are missing.
    """
    if type(config) not in auto._model_mapping:
        lacking, advice = _ADVICE.get(auto.__name__, _ADVICE["AutoModel"])
        raise CheckpointError(f"transformers has no {lacking} of the architecture {config.model_type!r}. {advice}")
    try:
        if random_weights:  # nothing comes from the folder; what counts as the encoder stays the same
            return auto.from_config(config, dtype=torch.float32), set()
        model, missing, reshaped = _read(auto, folder, config)
    except Exception as error:  # a truncated file, sizes that do not fit together
        raise CheckpointError(f"The checkpoint in {folder} cannot be opened: {fault(error)}.") from error
    _check_encoder(model, folder, missing, reshaped)
    return model, missing | reshaped


def _read(auto: Any, folder: Path, config: Any) -> tuple[Any, set[str], set[str]]:
    with quiet():
        model, info = auto.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    return model, set(info["missing_keys"]), {name for name, *_ in info["mismatched_keys"]}


def _check_encoder(model: Any, folder: Path, missing: set[str], reshaped: set[str]) -> None:
    """Refuse an encoder of which some is not the checkpoint's; a pooler may be, which masked-LM training leaves out."""
    inside = {id(p) for p in model.base_model.parameters()}
    encoder = {name for name, p in model.named_parameters() if id(p) in inside}
    for names, what in ((encoder & missing, "are missing"), (encoder & reshaped, "have another shape")):
        lost = sorted(name for name in names if "pooler" not in name or what != "are missing")
        if lost:
            raise CheckpointError(
                f"The weights in {folder} are not those of its config.json: {len(lost)} of {len(encoder)} encoder "
                f"tensors {what} ({', '.join(lost[:2])}{', ...' if len(lost) > 2 else ''})."
            )


def drop_pooler(encoder: Any) -> None:
    """Take away a pooler that is not used: no gradients to wait for, nothing to adapt or save."""
    if isinstance(getattr(encoder, "pooler", None), nn.Module):
        encoder.pooler = nn.Identity()  # not None: some architectures call it without looking


def fault(error: Exception) -> str:
    """The first line of a library's error, without its full stop, as part of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shortened(lines[0], 200).rstrip(".:") if lines else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars and warnings: a fresh head is what we ask for, and loading takes a moment."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()
