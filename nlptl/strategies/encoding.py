"""From the rows of a run to token ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from nlptl.checkpoints import Checkpoint
from nlptl.config.run import ResolvedRun
from nlptl.data.files.tables import frame_size
from nlptl.data.tokens.cached_tokens import encode_cached
from nlptl.models.opening import encoder_config, open_tokenizer
from nlptl.registry import MODES
from nlptl.storage.cache import open_cache
from nlptl.strategies import long_texts
from nlptl.strategies.job import Job, RunContext, tell_held


def encode_rows(context: RunContext, config: ResolvedRun, checkpoint: Checkpoint) -> Job:
    """Tokenise the rows of every task with the checkpoint's tokenizer.

    Raises:
        ConfigError: long texts cannot be read as the settings say.
    """
    encoder = encoder_config(checkpoint.path)
    tokenizer = open_tokenizer(checkpoint.path, encoder)

    def bar(split: str) -> Callable[[Iterable[int]], Iterable[int]]:
        return lambda chunks: context.runtime.track(chunks, f"tokenising {split}")

    frames = [frame for part in context.parts for frame in part.splits.frames().values()]
    tell_held("texts", sum(map(frame_size, frames)))
    cache, long_text = open_cache(config.runtime.cache_limit), long_texts.long_text_of(config)
    normaliser = config.data.normaliser
    with context.clock.measure("data"):
        max_length = long_texts.input_length(config, tokenizer, encoder, context.parts)
        parts = [
            replace(
                part,
                encoded={
                    name: encode_cached(frame, tokenizer, max_length, bar(name), cache, long_text, normaliser)
                    for name, frame in part.splits.frames().items()
                },
            )
            for part in context.parts
        ]
    tell_held("tokens", *(array for part in parts for encoded in part.encoded.values() for array in encoded.arrays))
    mode = MODES.get(config.mode)()
    long_texts.tell(parts, config, max_length, mode.trains_encoder)
    return Job(config, parts, context.runtime, context.clock, mode, checkpoint, tokenizer, max_length)
