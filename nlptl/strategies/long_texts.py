"""Texts longer than the encoder reads at once: what a run can do about them, and what it says of those that it cuts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlptl.config.run import ResolvedRun
from nlptl.data.tokens.encoding import Encoded
from nlptl.data.tokens.long_texts import LongText
from nlptl.data.tokens.tokenising import usual_length
from nlptl.errors import ConfigError
from nlptl.models.opening import longest_input
from nlptl.models.window_pooling import TRAINED_ONLY
from nlptl.strategies.job import Job, TaskRows
from nlptl.tasks import TaskSpec

log = logging.getLogger("nlptl")
SHORTEST = 8
"""Tokens that `auto` takes at least."""


def check(config: ResolvedRun, tasks: Sequence[TaskSpec], trains_encoder: bool) -> None:
    """See that the run can read long texts as its settings say.

    Args:
        config: of the run.
        tasks: what is learned.
        trains_encoder: whether the mode does.

    Raises:
        ConfigError: it cannot; what it can do instead is said.
    """
    model = config.model
    pairs = [task.name for task in tasks if len(task.text_columns) > 1]
    if model.long_text != "truncate" and pairs:
        raise ConfigError(
            f"model.long_text={model.long_text} reads one text a row, and {pairs[0]} has pairs of texts. Use "
            "model.long_text=truncate."
        )
    if not model.in_windows:
        return
    if model.window_pooling in TRAINED_ONLY and not trains_encoder:
        raise ConfigError(
            f"model.window_pooling={model.window_pooling} is learned with the encoder, which mode {config.mode} keeps "
            "frozen. Available there: mean, max."
        )
    if model.window_pooling == "max_logits" and config.strategy == "contrastive":
        raise ConfigError(
            "model.window_pooling=max_logits pools what a head says, and strategy contrastive learns prototypes in "
            "place of one. Available there: mean, max, attention."
        )


def check_sharding(config: ResolvedRun, sharded: bool) -> None:
    """Refuse windows where processes each hold a part of the weights.

    Raises:
        ConfigError: names what works instead.
    """
    if config.model.in_windows and sharded:
        raise ConfigError(
            "model.long_text=windows pools over windows outside the passes in which sharded weights (FSDP, DeepSpeed) "
            "are gathered. Use whole replicas (nlptl configs multi_gpu), or model.long_text=head_tail."
        )


def long_text_of(config: ResolvedRun) -> LongText:
    """The run's way with long texts."""
    return LongText(config.model.long_text, config.model.window_overlap)


def input_length(config: ResolvedRun, tokenizer: Any, encoder: Any, parts: Sequence[TaskRows]) -> int:
    """Tokens of the longest input: as asked or, for `auto`, as 99 of 100 training texts need; said where it differs.

    Args:
        config: of the run.
        tokenizer: of the checkpoint.
        encoder: its configuration.
        parts: the rows of each task.
    """
    asked = config.model.max_length
    allowed = longest_input(tokenizer, encoder, asked)
    if asked == "auto":
        usual = max(usual_length(part.splits.train, tokenizer, config.data.normaliser) for part in parts)
        chosen = max(min(usual, allowed), min(SHORTEST, allowed))
        log.info(
            f"model.max_length=auto: {chosen} tokens (99 of 100 training texts have at most {usual}; the checkpoint "
            f"allows {allowed})"
        )
        return chosen
    if allowed < asked:
        log.info(f"Texts are read up to {allowed} tokens instead of {asked}: the checkpoint takes no more")
    return allowed


def long_texts_of(job: Job) -> dict[str, Any]:
    """What `metrics.json` says of texts that are longer than one input: how they are read, and what is not read."""
    model = job.config.model
    facts: dict[str, Any] = {"way": model.long_text, "max_length": job.max_length}
    if model.in_windows:
        facts |= {"window_overlap": model.window_overlap, "window_pooling": model.window_pooling}
        facts |= {"max_windows": model.max_windows} if job.mode.trains_encoder else {}
    splits = {part.task.name: {split: _facts(rows) for split, rows in part.encoded.items()} for part in job.parts}
    return {**facts, "tasks": splits} if len(job.parts) > 1 else {**facts, "splits": splits[job.task.name]}


def _facts(rows: Encoded) -> dict[str, float]:
    counts = rows.counts_of(np.arange(len(rows)))
    whole = len(rows.tokens) + rows.lost
    facts: dict[str, float] = {
        "texts": len(rows),
        "longer": rows.cut + int((counts > 1).sum()),
        "unread_tokens": rows.lost,
        "unread_share": rows.lost / whole if whole else 0.0,
    }
    return facts if rows.windows is None else {**facts, "windows": int(counts.sum())}


def tell(parts: Sequence[TaskRows], config: ResolvedRun, max_length: int, trains_encoder: bool) -> None:
    """Say once what the run does with its long texts, and count those that are cut with what the audit found."""
    for part in parts:
        of_task = f"{part.task.name}: " if len(parts) > 1 else ""
        if config.model.in_windows:
            _tell_windows(part.encoded, config, max_length, trains_encoder, of_task)
            continue
        facts = {split: _facts(rows) for split, rows in part.encoded.items() if rows.lost}
        if not facts:
            continue
        lost = ", ".join(
            f"{split} {one['longer']} of {one['texts']} texts ({one['unread_share']:.0%} of the tokens)"
            for split, one in facts.items()
        )
        kept = {"truncate": "their beginning is", "head_tail": "their beginning and end are"}[config.model.long_text]
        advice = "" if len(part.task.text_columns) > 1 else "; model.long_text=windows reads them whole"
        sentence = (
            f"{of_task}Texts longer than {max_length} tokens (model.max_length) are cut, {kept} read: {lost}{advice}"
        )
        for split, one in facts.items():
            part.splits.audit.counts[f"{split}_texts_cut"] = int(one["longer"])
        part.splits.audit.warnings.append(sentence)
        log.warning(sentence)


def _tell_windows(
    encoded: dict[str, Encoded], config: ResolvedRun, max_length: int, trains_encoder: bool, of_task: str
) -> None:
    facts = {split: one for split, rows in encoded.items() if (one := _facts(rows))["longer"]}
    if not facts:
        log.info(f"{of_task}No text is longer than {max_length} tokens, so none is read in windows")
        return
    said = ", ".join(
        f"{split} {one['longer']} of {one['texts']} texts ({one['windows']} windows)" for split, one in facts.items()
    )
    log.info(f"{of_task}Texts longer than {max_length} tokens are read in windows: {said}")
    most, train = config.model.max_windows, encoded["train"]
    beyond = train.counts_of(np.arange(len(train))) > most
    if trains_encoder and beyond.any():
        log.warning(
            f"{of_task}{int(beyond.sum())} training texts have more than {most} windows, of which so many, spread "
            "evenly, are learned from (model.max_windows); held-out texts are read whole"
        )
