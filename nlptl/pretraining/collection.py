"""Data collection, the first step of pre-training: the tokenizer, and the corpus as tokens on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nlptl.checkpoints import Checkpoint
from nlptl.data.files import Dialect
from nlptl.data.loading import load_splits
from nlptl.data.text_corpus.corpus import read_texts, text_files, write_corpus, write_facts
from nlptl.data.text_corpus.vocabulary import add_words, split_words, train_tokenizer
from nlptl.errors import DataError
from nlptl.models.masked_lm import POSITIONS
from nlptl.models.opening import encoder_config, longest_input, open_tokenizer
from nlptl.pretraining.config import ResolvedPretrain
from nlptl.storage.identity import file_digest, identity, texts_digest
from nlptl.storage.paths import user_path
from nlptl.tasks import load_task
from nlptl.training.runtime import Runtime

log = logging.getLogger("nlptl")
CHUNK = 10_000


@dataclass(frozen=True)
class TextSource:
    """Where texts come from, as often as they are asked for."""

    config: ResolvedPretrain
    given: Any
    """A list of texts, or with a task what `nlptl.train` takes as data."""

    def chunks(self) -> Iterator[list[str]]:
        """All texts, in chunks."""
        corpus = self.config.corpus
        if self.config.task is not None or self.given is not None:
            texts = self._task_texts() if self.config.task is not None else [str(text) for text in self.given]
            texts = [text for text in texts if text.strip()][: corpus.limit]
            for start in range(0, len(texts), CHUNK):
                yield texts[start : start + CHUNK]
        else:
            dialect = Dialect(corpus.encoding, corpus.delimiter, corpus.quotes, "corpus")
            yield from read_texts(corpus.sources, corpus.text_column, dialect, corpus.limit)

    def digest(self) -> str:
        """Of all texts: of the files as they are where files are named, which is read much faster than their texts."""
        if self.config.task is None and self.given is None:
            files = [file for source in self.config.corpus.sources for file in text_files(user_path(source))]
            return identity(files=[file_digest(file) for file in files])
        return texts_digest(text for chunk in self.chunks() for text in chunk)

    def _task_texts(self) -> list[str]:
        task = load_task(str(self.config.task), self.config.tasks_dir)
        data = self.config.data.model_copy(update={"label_names": False})
        train = load_splits(task, data, self.config.seed, self.given).train
        columns = [name for name in ("text", "text_pair") if name in train]
        return [text for name in columns for text in train[name]]


def collect(
    config: ResolvedPretrain, checkpoint: Checkpoint | None, source: TextSource, runtime: Runtime, work: Path
) -> None:
    """Write `work/tokenizer` and `work/corpus`, unless they are whole; done once, by the process that writes.

    Raises:
        DataError: the texts cannot be read, or are too few.
    """
    noted = work / "corpus" / "facts.json"
    if noted.is_file():
        return
    words: dict[str, list[int]] = {}
    settings, corpus = config.tokenizer, config.corpus
    if checkpoint is None:
        log.info(f"Training a {settings.kind} tokenizer")
        tokenizer = train_tokenizer(source.chunks(), settings.kind, settings.size, settings.lowercase, POSITIONS)
    else:
        tokenizer = open_tokenizer(checkpoint.path, encoder_config(checkpoint.path))
        if settings.extend:
            words = split_words(source.chunks(), tokenizer, settings.extend, settings.extend_occurrences)
            add_words(tokenizer, words)
            log.info(f"Vocabulary extended by {len(words)} words: {', '.join(list(words)[:10])} ...")
    missing = [name for name in ("cls", "sep") if getattr(tokenizer, f"{name}_token_id") is None]
    if missing and corpus.packed:
        raise DataError(f"This tokenizer has no {' or '.join(missing)} token. Use --set corpus.packed=false")
    tokenizer.save_pretrained(work / "tokenizer")
    chunks = runtime.track(source.chunks(), "tokenising", unit="chunk")
    length = row_length(config, checkpoint, tokenizer)
    facts = write_corpus(chunks, tokenizer, work / "corpus", length, bool(corpus.packed), corpus.held_out)
    write_facts(noted, {**asdict(facts), "new_words": words, "vocabulary": len(tokenizer)})


def row_length(config: ResolvedPretrain, checkpoint: Checkpoint | None, tokenizer: Any) -> int:
    """Most tokens of a row: as asked for, but no more than the encoder has positions."""
    if checkpoint is None:
        return min(config.corpus.max_length, POSITIONS)
    return longest_input(tokenizer, encoder_config(checkpoint.path), config.corpus.max_length)
