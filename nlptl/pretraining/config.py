"""PretrainConfig: everything that a pre-training is, in one record; imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nlptl.config.data import DataConfig, Delimiter, Quotes
from nlptl.config.records import Record
from nlptl.config.runtime import RuntimeConfig
from nlptl.config.training import Fraction, Positive, ResolvedTraining, TrainingConfig


class CorpusConfig(Record):
    """Which texts are read, and how they become rows of tokens."""

    sources: list[str] = []
    """Files, or folders of them: .txt (one text a line), CSV, TSV, JSONL, JSON, Parquet."""
    text_column: str | None = None
    """The column with the texts. None: `text`, or the only column."""
    encoding: str | None = None
    """Text encoding of .txt, CSV and JSONL files. None: UTF-8, or what a byte order mark says."""
    delimiter: Delimiter | None = None
    """What separates the cells of CSV files. None: found out from the file."""
    quotes: Quotes | None = None
    """How quote marks are used in CSV files, as `data.quotes`. None: found out from the file."""
    held_out: Fraction = 0.05
    """Share of the texts that measure the loss instead of being learned from."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Tokens per row."""
    packed: bool | None = None
    """Texts end to end in rows of full length, or one text a row. None: as the objective has it."""
    limit: Positive | None = None
    """Read no more texts than this."""


class TokenizerConfig(Record):
    """The vocabulary: trained with a new encoder, extended for a checkpoint."""

    kind: Literal["wordpiece", "bpe", "unigram"] = "wordpiece"
    size: Annotated[int, Field(ge=100)] = 8000
    """Most pieces of a new vocabulary."""
    lowercase: bool = True
    extend: Annotated[int, Field(ge=0)] = 0
    """Add up to this many words of the corpus that the checkpoint's tokenizer splits."""
    extend_occurrences: Positive = 5
    """Rarer words are not added."""


class ObjectiveConfig(Record):
    """Details of the objectives."""

    mask: Fraction = 0.15
    """masked_lm: share of the tokens that are predicted."""
    whole_words: bool = False
    """masked_lm: all pieces of a word are masked together."""
    head_warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Steps, as a share of all, in which a head that starts from noise learns alone before the encoder moves."""
    temperature: Annotated[float, Field(gt=0)] = 0.05
    """simcse: divides the cosines."""
    deletion: Fraction = 0.6
    """tsdae: share of the tokens deleted from the text that the encoder sees."""


class PretrainConfig(Record):
    """All that a pre-training is."""

    objective: str = "masked_lm"
    """masked_lm, simcse or tsdae."""
    task: str | None = None
    """Learn from this task's training texts (TAPT): those that `nlptl train` takes with the same `data` and seed.
    None: from the texts of `corpus`."""
    checkpoint: str | None = None
    """Go on from this checkpoint: a name, a Hub id or a folder. None: a new encoder, which needs `shape`."""
    shape: str | None = None
    """tiny, mini, small or base: the new encoder's size."""
    pooling: Literal["cls", "mean"] | None = None
    """How token states become one vector. None: mean for masked_lm, else as the checkpoint was trained."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    output: str | None = None
    """The checkpoint folder. None: `checkpoints/OBJECTIVE-DATE-TIME`."""
    tasks_dir: str | None = None
    """A folder with the user's own tasks."""
    steps: Annotated[int, Field(ge=0)] | None = None
    """Optimizer steps, rounded up to a multiple of `evaluations`; 0 writes the untrained encoder. None: as many as
    `training.epochs` passes over the corpus take."""
    evaluations: Positive = 5
    """How often the held-out loss is measured on the way; the best state is kept."""
    data: DataConfig = DataConfig()
    """With `task`: where its texts are."""
    corpus: CorpusConfig = CorpusConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    details: ObjectiveConfig = ObjectiveConfig()
    training: TrainingConfig = TrainingConfig()
    runtime: RuntimeConfig = RuntimeConfig()


class ResolvedCorpus(CorpusConfig):
    """`corpus` with every open setting filled."""

    packed: bool


class ResolvedPretrain(PretrainConfig):
    """What a pre-training was done with; the checkpoint folder's `pretrain.yaml` holds it."""

    pooling: Literal["cls", "mean"]
    corpus: ResolvedCorpus
    training: ResolvedTraining
