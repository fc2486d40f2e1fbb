"""`nlptl pretrain`: an encoder learns from unlabelled text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from nlptl.cli.help import DATA, HOW, LEARN, WHERE
from nlptl.cli.options import (
    CheckpointOption,
    LabelColumn,
    LabelMap,
    Seed,
    Settings,
    TasksDir,
    assigned,
    data_settings,
    option,
)
from nlptl.errors import ConfigError


def pretrain(
    objective: Annotated[
        str | None,
        option(
            panel=LEARN,
            among="objectives",
            help="What is learned from the texts: <objectives>. Default: masked_lm.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        option(
            panel=LEARN,
            among="tasks",
            metavar="TASK",
            help="Learn from the training texts of this task (task-adaptive pre-training).",
        ),
    ] = None,
    tasks_dir: TasksDir = None,
    data: Annotated[
        list[str] | None,
        option(
            panel=DATA,
            metavar="FILE|DIR",
            help="Texts: .txt (one a line), CSV, TSV, JSONL, Parquet, or a folder of them; can be repeated. "
            "With --task: as in `nlptl train`.",
        ),
    ] = None,
    text_column: Annotated[str | None, option(panel=DATA, metavar="COLUMN", help="Default: text.")] = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    checkpoint: CheckpointOption = None,
    shape: Annotated[
        str | None,
        option(
            panel=HOW,
            among="shapes",
            help="Instead of --checkpoint, build a new encoder and its tokenizer: <shapes>.",
        ),
    ] = None,
    tokenizer: Annotated[
        str | None, option(panel=HOW, among="tokenizers", help="Of a new encoder. Default: wordpiece.")
    ] = None,
    vocabulary: Annotated[
        int | None, option(panel=HOW, metavar="PIECES", help="Of the new tokenizer. Default 8000.")
    ] = None,
    extend_vocabulary: Annotated[
        int | None,
        option(panel=HOW, metavar="WORDS", help="Add this many words of the corpus to a checkpoint's tokenizer."),
    ] = None,
    whole_words: Annotated[
        bool, option("--whole-words", panel=HOW, help="Mask all pieces of a word together.")
    ] = False,
    steps: Annotated[
        int | None,
        option(
            panel=HOW,
            metavar="N",
            help="Optimizer steps; 0 writes the untrained encoder. Default: by --epochs.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, option(panel=HOW, metavar="N", help="Passes over the corpus. Default: the objective's.")
    ] = None,
    learning_rate: Annotated[
        float | None, option(panel=HOW, metavar="RATE", help="Default: the objective's, or the new shape's.")
    ] = None,
    max_length: Annotated[int | None, option(panel=HOW, metavar="N", help="Tokens per row. Default 128.")] = None,
    seed: Seed = None,
    config: Annotated[
        Path | None, option(panel=HOW, metavar="YAML", help="Start from a file, such as CHECKPOINT/pretrain.yaml.")
    ] = None,
    settings: Settings = None,
    output: Annotated[
        str | None,
        option(panel=WHERE, metavar="DIR", help="The checkpoint folder; named again, an unfinished one goes on."),
    ] = None,
) -> None:
    """Pre-train an encoder on unlabelled text; the result is a folder for --checkpoint.

    Examples:

      nlptl pretrain --data reviews.txt --checkpoint minilm --output checkpoints/reviews

      nlptl pretrain --task sentiment --data reviews.csv --checkpoint checkpoints/reviews

      nlptl pretrain --data wiki/ --shape mini --tokenizer bpe

      nlptl pretrain --data chats.csv --text-column message --checkpoint minilm --objective simcse
    """
    from nlptl.pretraining.config import PretrainConfig

    chosen: dict[str, Any] = {
        "objective": objective,
        "checkpoint": checkpoint,
        "shape": shape,
        "task": task,
        "steps": steps,
        "seed": seed,
        "output": output,
        "tasks_dir": tasks_dir,
        "tokenizer.kind": tokenizer,
        "tokenizer.size": vocabulary,
        "tokenizer.extend": extend_vocabulary,
        "details.whole_words": whole_words or None,
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
        "corpus.max_length": max_length,
        **_data_settings(task, data, text_column, label_column, label_map),
    }
    from nlptl.verbs.unlabelled_request import checked_pretraining

    values, faults = assigned(settings, PretrainConfig)
    flags = {key: value for key, value in chosen.items() if value is not None}
    resolved = checked_pretraining(config, {**values, **flags}, faults)
    from nlptl.pretraining.pretrain import pretrain_config

    pretrain_config(resolved)


def _data_settings(
    task: str | None, data: list[str] | None, text_column: str | None, label_column: str | None, label_map: str | None
) -> dict[str, Any]:
    if task is None:
        if label_column or label_map:
            raise ConfigError("--label-column and --label-map belong to --task; unlabelled text has no labels.")
        return {"corpus.sources": data or None, "corpus.text_column": text_column}
    if data is not None and len(data) > 1:
        raise ConfigError("With --task there is one --data, as in `nlptl train`.")
    columns = [text_column] if text_column else None
    return data_settings(data[0] if data else None, None, None, columns, label_column, label_map, None)
