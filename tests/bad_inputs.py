"""Commands that must fail with one clear message, and ugly ones that must not: a table for the tests and a benchmark.

Each case prepares files in an empty folder, which then is the working directory of one command. `run_case` calls the
command line in this process and says what came of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from unittest import mock

ROWS = [("good film", "positive"), ("fine meal", "positive"), ("bad film", "negative"), ("poor meal", "negative")]
TABLE = "text,label\n" + "".join(f"{text} {i},{label}\n" for i in range(8) for text, label in ROWS)
QUICK = ("--set", "training.epochs=1", "--set", "runtime.precision=fp32", "--set", "runtime.progress=false")
TRAIN = ("train", "sentiment", "--checkpoint", "{checkpoint}", "--output", "out", *QUICK)
DATA = (*TRAIN, "--data")
FROZEN = ("--mode", "feature_extraction")


@dataclass(frozen=True)
class Ground:
    """What the cases stand on: a tiny checkpoint and finished runs, none ever changed."""

    checkpoint: Path
    run: Path
    """lora, one task"""
    together: Path
    """sentiment and fraud-text on one frozen encoder"""
    baseline: Path

    def filled(self, arguments: tuple[str, ...]) -> list[str]:
        """The arguments of a case, `{checkpoint}` and the like being these folders."""
        places = {f"{{{each.name}}}": str(getattr(self, each.name)) for each in fields(self)}
        return [places.get(argument, argument) for argument in arguments]


Prepare = Callable[[Path, Ground], object]


def nothing(folder: Path, ground: Ground) -> None:
    """The command needs no file."""


@dataclass(frozen=True)
class Case:
    """One command.

    `{checkpoint}`, `{run}`, ... in `arguments` stand for the ground's folders. `message` is a pattern that the error
    (or, for a command that must succeed, its output) has to match.
    """

    name: str
    arguments: tuple[str, ...]
    message: str
    prepare: Prepare = nothing
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    error: str
    left: frozenset[str]
    """Files and folders that were not there before."""

    def fault(self) -> str | None:
        """What is wrong with it as the answer to a bad input; None if nothing is."""
        lines = self.error.strip().splitlines()
        if self.code == 0:
            return "it succeeded"
        if "Traceback" in self.error + self.out:
            return "a traceback"
        if sum(line.lower().startswith(("error:", "╭─ error")) for line in lines) != 1:
            return f"{len(lines)} lines on standard error, not one message"
        return f"left behind: {', '.join(sorted(self.left))}" if self.left else None


def lay_ground(root: Path) -> Ground:
    """Write a random BERT of two layers and train quick runs, in a few seconds."""
    import torch
    import transformers as tf

    import nlptl

    checkpoint = root / "checkpoint"
    checkpoint.mkdir(parents=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz0123456789"]
    pieces += [f"##{piece}" for piece in pieces[5:]] + sorted({word for text, _ in ROWS for word in text.split()})
    (checkpoint / "vocab.txt").write_text("\n".join(pieces))
    tf.BertTokenizerFast.from_pretrained(checkpoint, model_max_length=64).save_pretrained(checkpoint)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    config = tf.BertConfig(vocab_size=len(pieces), max_position_embeddings=64, **sizes)
    tf.BertModel(config).save_pretrained(checkpoint)
    (root / "data.csv").write_text(TABLE)
    (root / "mails.csv").write_text(TABLE.replace("positive", "legitimate").replace("negative", "fraud"))
    settings = {"training.epochs": 1, "runtime.precision": "fp32", "runtime.progress": False}
    own = {"checkpoint": str(checkpoint), "settings": settings}
    both = {"sentiment": root / "data.csv", "fraud-text": root / "mails.csv"}
    ground = Ground(checkpoint, root / "run", root / "together", root / "baseline")
    nlptl.train("sentiment", mode="lora", data=root / "data.csv", output=ground.run, **own)
    nlptl.train("sentiment+fraud-text", mode="feature_extraction", data=both, output=ground.together, **own)
    nlptl.train_baseline("sentiment", data=root / "data.csv", output=ground.baseline, settings=settings)
    return ground


def run_case(case: Case, folder: Path, ground: Ground) -> Outcome:
    """Prepare the folder, run the command there in this process, and see what it left."""
    from nlptl import cli

    case.prepare(folder, ground)
    before = _files(folder)
    out, error = io.StringIO(), io.StringIO()
    with (
        _logger_kept(),
        warnings.catch_warnings(),
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, {"COLUMNS": "200", "NO_COLOR": "1", **case.environment}),
        mock.patch.object(sys, "argv", ["nlptl", *ground.filled(case.arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
    ):
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except Exception:  # what a user would see as a traceback
            error.write(traceback.format_exc())
            code = 1
    return Outcome(code, out.getvalue(), error.getvalue(), _files(folder) - before)


def _files(folder: Path) -> frozenset[str]:
    return frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@contextlib.contextmanager
def _logger_kept() -> Iterator[None]:
    """The command line sets the package's logger up for a process of its own; here many follow one another."""
    log = logging.getLogger("nlptl")
    kept = (list(log.handlers), log.level, log.propagate)
    try:
        yield
    finally:
        log.handlers[:], log.propagate = kept[0], kept[2]
        log.setLevel(kept[1])


# Files


def holding(name: str, content: str | bytes) -> Prepare:
    """A file."""

    def prepare(folder: Path, ground: Ground) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return prepare


def both(*steps: Prepare) -> Prepare:
    """One step after the other."""

    def prepare(folder: Path, ground: Ground) -> None:
        for step in steps:
            step(folder, ground)

    return prepare


def parquet(columns: dict[str, list[object]], name: str = "d.parquet", keep: float = 1.0) -> Prepare:
    """A Parquet file, of which only a share is kept."""

    def prepare(folder: Path, ground: Ground) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(columns), folder / name)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return prepare


def task(text: str) -> Prepare:
    """A tasks folder with one task `mail`."""
    return holding("tasks/mail/task.yaml", text)


Change = Callable[[Path], object]


def run_with(change: Change, which: str = "{run}") -> Prepare:
    """A copy of the run in `run/`, changed."""

    def prepare(folder: Path, ground: Ground) -> None:
        shutil.copytree(ground.filled((which,))[0], folder / "run")
        change(folder / "run")

    return prepare


def checkpoint_with(change: Change) -> Prepare:
    """A copy of the checkpoint in `checkpoint/`, changed; and a good table in `d.csv`."""

    def prepare(folder: Path, ground: Ground) -> None:
        (folder / "d.csv").write_text(TABLE)
        shutil.copytree(ground.checkpoint, folder / "checkpoint")
        change(folder / "checkpoint")

    return prepare


def cut(name: str) -> Change:
    """Keep the first half of a file."""
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: (folder / name).stat().st_size // 2]
    )


def gone(*names: str) -> Change:
    """Remove files."""
    return lambda folder: [(folder / name).unlink() for name in names]


def written(name: str, text: str) -> Change:
    """Put a text in a file's place."""
    return lambda folder: (folder / name).write_text(text)


def entries(name: str, **values: object) -> Change:
    """Change top-level entries of a JSON file."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, **values}))

    return change


def renamed(old: str, new: str) -> Change:
    """Rename a file."""
    return lambda folder: (folder / old).rename(folder / new)


def foreign_weights(folder: Path) -> None:
    """A sound safetensors file whose tensors belong to another model."""
    import torch
    from safetensors.torch import save_file

    save_file({"something.else": torch.zeros(3)}, folder / "model.safetensors")


def good(name: str = "d.csv") -> Prepare:
    """A table that trains."""
    return holding(name, TABLE)


def bad_table(name: str, content: str | bytes, message: str, *more: str, file: str = "d.csv") -> Case:
    """A table that cannot be trained on."""
    return Case(name, (*DATA, file, *more), message, holding(file, content))


def bad_setting(name: str, message: str, *more: str) -> Case:
    """A good table with a setting that cannot be."""
    return Case(name, (*DATA, "d.csv", *more), message, good())


def bad_config(name: str, text: str, message: str) -> Case:
    """A YAML file for --config."""
    return Case(name, ("train", "--config", "c.yaml"), message, holding("c.yaml", text))


def bad_task(name: str, text: str, message: str) -> Case:
    """A task file."""
    return Case(name, ("train", "mail", "--tasks-dir", "tasks"), message, task(text))


def bad_run(name: str, change: Change, message: str, which: str = "{run}") -> Case:
    """A run folder that cannot be opened."""
    return Case(name, ("predict", "run", "a text"), message, run_with(change, which))


def bad_checkpoint(name: str, change: Change, message: str, *more: str) -> Case:
    """A checkpoint folder that cannot be opened."""
    arguments = ("train", "sentiment", "--checkpoint", "checkpoint", "--data", "d.csv", "--output", "out", *QUICK)
    return Case(name, (*arguments, *more), message, checkpoint_with(change))


def bad_prediction(name: str, content: str | bytes, message: str, *more: str, file: str = "d.csv") -> Case:
    """A file that cannot be predicted on."""
    arguments = ("predict", "{run}", "--input", file, "--output", "out.csv", *more)
    return Case(name, arguments, message, holding(file, content))


ONE_MILLION = "good film " * 100_000
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)
MAIL = "name: mail\ndescription: d\n"

CASES: list[Case] = [
    # Tables
    bad_table("empty file", "", "is empty"),
    bad_table("header only", "text,label\n", "has no rows"),
    bad_table("blank lines only", "\n\n\n", "no column names"),
    bad_table("byte order mark only", b"\xef\xbb\xbf", "no column names"),
    bad_table("latin-1 letters", "text,label\ncaf\xe9,positive\n".encode("latin-1"), r"not valid utf-8 at line 2"),
    bad_table("half of a utf-16 file", b"\xff\xfe" + "text,label\n".encode("utf-16-le")[:-1], "not valid utf-16"),
    bad_table("a program, not a table", b"\x7fELF\x02\x01\x01\x00\xff\xfe\x00" * 50, "not valid utf-8"),
    bad_table("ragged rows", "text,label\na,b,positive\n", "the header has 2 columns, but row 1 has 3"),
    bad_table("open quote", 'text,label\n"a,positive\nb,negative\n', "malformed CSV"),
    bad_table("a column twice", "text,text,label\na,b,positive\n", "'text' occurs twice"),
    bad_table(
        "rows swallowed by a quote mark",
        TABLE.replace("bad film 2", '"bad film 2').replace("fine meal 4", 'fine meal 4"'),
        r"line 12: a quote mark .* ends in line 19 only.*data\.quotes=none",
    ),
    bad_table("backslashes before quote marks", TABLE + '"a \\"good\\" one",positive\n', r"data\.quotes=backslash"),
    bad_table("two possible delimiters", "text,label|x\na,b|c\n", "can be read in two ways"),
    bad_table("a TSV with commas", TABLE, "has no tab in its header", file="d.tsv"),
    bad_table("a workbook", b"PK\x03\x04" + b"x" * 99, "an Excel workbook"),
    bad_table("utf-16 without a mark", TABLE.encode("utf-16-le"), r"data\.encoding=utf-16-le"),
    bad_table("a mark that contradicts", b"\xef\xbb\xbf", "byte order mark of utf-8", "--set", "data.encoding=cp1252"),
    bad_setting("a delimiter of two characters", "expected one character", "--delimiter", "::"),
    Case(
        "a test split with a label that train lacks",
        (*DATA, "."),
        r"unknown label 'mixed'.*--set data\.bad_rows=drop",
        both(good("train.csv"), holding("test.csv", "text,label\na strange one,mixed\nan odd film,negative\n")),
    ),
    Case(
        "indicator vectors",
        ("train", "mail", "--tasks-dir", "tasks", "--data", "d.jsonl", "--output", "out"),
        "is an indicator vector.*Give the names",
        both(
            task(f"{MAIL}kind: multi_label\n"),
            holding("d.jsonl", '{"text": "a", "label": [1, 0, 1]}\n{"text": "b", "label": [0, 1, 0]}\n'),
        ),
    ),
    bad_table("no text column", TABLE.replace("text,", "txt,", 1), "Did you mean 'txt'"),
    bad_table("no label column", TABLE.replace(",label", ",labels", 1), "Did you mean 'labels'"),
    bad_table("empty texts", TABLE + ",positive\n   ,negative\n", r"row 33, 34, column 'text'.*data.bad_rows=drop"),
    bad_table("empty labels", TABLE + "a film,\n", "row 33, column 'label'"),
    bad_table("unknown labels", TABLE.replace("negative", "negativ"), "--label-map negativ=negative"),
    bad_table("one class", "text,label\n" + "".join(f"film {i},positive\n" for i in range(20)), "one label only"),
    bad_table("one row", "text,label\na,positive\n", "one label only"),
    bad_table("a label of a million letters", TABLE + f"x,{'y' * 1_000_000}\n", r"yyy\.\.\. \(1000000 characters\)"),
    bad_table("texts as labels", TABLE, "columns of their own", "--label-column", "text"),
    bad_table(
        "two text columns for a task of one",
        TABLE,
        r"takes 1 text column",
        "--text-column",
        "text",
        "--text-column",
        "label",
    ),
    bad_table(
        "JSON lines cut short",
        '{"text": "a", "label": "positive"}\n{"text": ',
        "line 2: not valid JSON",
        file="d.jsonl",
    ),
    bad_table("JSON lines of lists", "[1, 2]\n", "expected a JSON object, found list", file="d.jsonl"),
    bad_table("JSON of one object", '{"text": "a"}', "expected a list of objects", file="d.json"),
    bad_table("JSON nested a hundred thousand deep", "[" * 100_000, "not valid JSON", file="d.json"),
    bad_table(
        "JSON with half a character", '{"text": "\\ud800", "label": "positive"}\n', "half a character", file="d.jsonl"
    ),
    bad_table("JSON texts that are lists", '{"text": ["a"], "label": "positive"}\n', "not a text", file="d.jsonl"),
    bad_table("a whole number of 5000 digits", '{"text": ' + "9" * 5000 + "}\n", "not valid JSON", file="d.jsonl"),
    Case("Parquet cut short", (*DATA, "d.parquet"), "not a readable Parquet", parquet({"text": ["a"]}, keep=0.6)),
    bad_table("Parquet that is text", "text,label\n", "not a readable Parquet|Cannot read", file="d.parquet"),
    Case(
        "Parquet with texts as bytes",
        (*DATA, "d.parquet"),
        "bytes, not a text",
        parquet({"text": [b"\xff", b"b"], "label": ["positive", "negative"]}),
    ),
    bad_table("an ending nobody knows", TABLE, "unknown format '.xlsx'", file="d.xlsx"),
    bad_table("an encoding nobody knows", TABLE, "unknown encoding", "--set", "data.encoding=utf-nine"),
    bad_table("an encoding that is none", TABLE, "not a text encoding", "--set", "data.encoding=base64"),
    Case("data that is not there", (*DATA, "nowhere.csv"), "Unknown data source 'nowhere.csv'"),
    Case("data with a name too long", (*DATA, "x" * 5000), "too long|Unknown data source"),
    Case("an empty folder of data", (*DATA, "."), "holds no train.csv"),
    Case("two train files", (*DATA, "."), "two train files", both(good("train.csv"), good("train.tsv"))),
    Case(
        "empty validation",
        (*DATA, "d.csv", "--validation", "v.csv"),
        "v.csv has no rows",
        both(good(), holding("v.csv", "text,label\n")),
    ),
    Case("no validation file", (*DATA, "d.csv", "--validation", "v.csv"), "v.csv does not exist", good()),
    Case(
        "train wholly inside test", (*DATA, "d.csv", "--test", "t.csv"), "one label only", both(good(), good("t.csv"))
    ),
    Case(
        "a damaged saved data set",
        (*DATA, "."),
        "not a readable saved",
        both(holding("state.json", "{}"), holding("dataset_info.json", "{}")),
    ),
    # Names, numbers and paths
    Case("unknown task", ("train", "sentimnet"), "Did you mean 'sentiment'"),
    Case("a task's name with slashes", ("train", "../../etc/passwd"), "Unknown task"),
    Case("unknown task among several", ("train", "sentiment+fraudtext"), "Did you mean 'fraud-text'"),
    Case("a task twice", ("train", "sentiment+sentiment"), "names sentiment twice"),
    Case("several tasks and nothing after the plus", ("train", "sentiment+"), "empty name"),
    Case(
        "several tasks and an unknown checkpoint",
        ("train", "sentiment+fraud-text", "--checkpoint", "minilmm"),
        "Did you mean 'minilm'",
    ),
    Case(
        "several tasks and data of none",
        ("train", "sentiment+fraud-text", "--data", "d.csv"),
        "--data TASK=d.csv",
        good(),
    ),
    Case(
        "several tasks, one of them with bad data",
        ("train", "sentiment+fraud-text", "--data", "fraud-text=d.csv", *TRAIN[2:]),
        "unknown label 'negative'",
        good(),
    ),
    Case("a baseline for several tasks", ("baseline", "sentiment+fraud-text"), "names 2 tasks; this takes one"),
    Case("adapting several tasks", ("adapt", "sentiment+fraud-text"), "names 2 tasks; this takes one"),
    Case("unknown baseline", ("baseline", "sentiment", "--model", "knm"), "Did you mean 'knn'"),
    Case("a baseline of an unknown task", ("baseline", "sentimnet"), "Did you mean 'sentiment'"),
    Case(
        "a baseline of texts without words",
        ("baseline", "sentiment", "--data", "d.csv", "--output", "out"),
        "no word terms",
        holding(
            "d.csv",
            "text,label\n" + "".join(f"{'?!' * (i + 1)},{('positive', 'negative')[i % 2]}\n" for i in range(30)),
        ),
    ),
    Case("probing an unknown task", ("probe", "sentimnet"), "Did you mean 'sentiment'"),
    bad_setting("unknown mode", "Did you mean 'lora'", "--mode", "loar"),
    bad_setting("unknown checkpoint", "Did you mean 'minilm'", "--checkpoint", "minilmm"),
    bad_setting("a checkpoint outside the Hub's cache", "Unknown checkpoint", "--checkpoint", "../../x"),
    bad_setting("a revision that climbs", "Unknown checkpoint", "--checkpoint", "owner/name@../../../x"),
    bad_setting("learning rate inf", "learning_rate: Input should be a finite number", "--learning-rate", "inf"),
    bad_setting("learning rate nan", "learning_rate: Input should be a finite number", "--learning-rate", "nan"),
    bad_setting("learning rate zero", "learning_rate: .*greater than 0", "--learning-rate", "0"),
    bad_setting("epochs zero", "epochs: .*greater than or equal to 1", "--set", "training.epochs=0"),
    bad_setting("epochs that are no number", "(?i)invalid value for.*--epochs", "--epochs", "many"),
    bad_setting("epochs true", "epochs: expected a value, not true", "--set", "training.epochs=true"),
    bad_setting("a batch of 10^30", "batch_size: ", "--set", "training.batch_size=1e30"),
    bad_setting("seed below zero", "seed: .*greater than or equal to 0", "--seed", "-1"),
    bad_setting("unknown setting", "Did you mean 'training.epochs'", "--set", "training.epoch=3"),
    bad_setting("a date that is none", "not valid YAML", "--set", "data.source=2026-99-99"),
    bad_setting("a flag nobody knows", "(?i)no such option", "--epoch", "3"),
    bad_setting("fp16 on a CPU", "needs a GPU", "--set", "runtime.precision=fp16"),
    bad_setting("unknown tracker", "Unknown tracker 'excel'", "--set", "runtime.trackers=[excel]"),
    bad_setting(
        "adapters for layers that are not there",
        "do not fit this encoder",
        "--mode",
        "lora",
        "--set",
        "lora.targets=[nothing]",
    ),
    bad_setting(
        "a password in a URL", r"holds a password.*\*\*\*@host", "--set", "data.validation=https://me:pass@host/x.csv"
    ),
    bad_setting("a home folder of nobody", "no home folder", "--output", "~nobody-of-this-name/out"),
    bad_setting("output under a file", "cannot be written|refused", "--output", "d.csv/out"),
    bad_setting("output that is a file", "not a run folder", "--output", "d.csv"),
    bad_setting("output with a name too long", "too long", "--output", "x" * 300),
    bad_setting("output where nobody writes", "cannot be written|refused", "--output", "/proc/nlptl/out"),
    Case(
        "output that holds a finished run",
        (*TRAIN[:4], "--data", "d.csv", "--output", "{run}"),
        "holds a finished run",
        good(),
    ),
    Case(
        "output that holds other things",
        (*DATA, "d.csv"),
        "not a run folder",
        both(good(), holding("out/thesis.txt", "x")),
    ),
    Case(
        "a cache that cannot be written",
        (*DATA, "d.csv", *FROZEN),
        "NLPTL_CACHE",
        good(),
        {"NLPTL_CACHE": "/proc/nlptl"},
    ),
    # Configurations and tasks
    Case("no configuration file", ("train", "--config", "c.yaml"), "Cannot read c.yaml"),
    bad_config("a configuration that is no YAML", "task: [sentiment", "not valid YAML"),
    bad_config("a configuration that is a list", "- task", "must hold a mapping"),
    bad_config("a configuration without task", "seed: 3", "task: required"),
    bad_config("a configuration with Python in it", "task: !!python/object/apply:os.system [true]", "not valid YAML"),
    bad_config("a configuration of aliases in aliases", BOMB, "unknown key"),
    bad_config("three faults at once", "task: sentiment\nseed: -1\ntraining: {epochs: 0, warmup: 2}\n", "has 3 faults"),
    bad_config("a NUL in a path", 'task: sentiment\noutput: "a\\0b"\n', "NUL"),
    bad_config("control characters", "task: sentiment\noutput: a\x07b\n", "not valid YAML"),
    Case("no tasks folder", ("tasks", "--tasks-dir", "nowhere"), "does not exist. Check --tasks-dir"),
    bad_task("a task of one label", f"{MAIL}labels: [a]\n", "at least two labels"),
    bad_task("a task with a label twice", f"{MAIL}labels: [a, a]\n", "holds a name twice"),
    bad_task("a task named like a path", MAIL.replace("mail", "../mail"), "name: "),
    bad_task(
        "a task with data outside its folder",
        f"{MAIL}data: {{sample: {{files: {{train: ../../d.csv}}}}}}\n",
        "inside the task's folder",
    ),
    bad_task(
        "a task with an unknown metric",
        f"{MAIL}labels: [a, b]\nmetric: acuracy\ncheckpoint: minilm\ndata: {{sample: {{files: {{train: d.csv}}}}}}\n",
        "Unknown metric 'acuracy'",
    ),
    bad_task("a task without data", f"{MAIL}labels: [a, b]\n", "names no data set"),
    Case(
        "two tasks of one name",
        ("tasks", "--tasks-dir", "tasks"),
        "exists already",
        holding("tasks/x/task.yaml", MAIL.replace("mail", "sentiment")),
    ),
    Case("a new task named like a path", ("tasks", "new", "../mail", "--data", "d.csv"), "name: ", good()),
    Case(
        "a new task from one column",
        ("tasks", "new", "mail", "--data", "d.csv"),
        "no column that could hold labels",
        holding("d.csv", "text\na\nb\n"),
    ),
    # Checkpoints
    bad_checkpoint(
        "a checkpoint of pickles",
        renamed("model.safetensors", "pytorch_model.bin"),
        "can run code when opened and is refused",
    ),
    bad_checkpoint("a checkpoint without configuration", gone("config.json"), "holds no config.json"),
    bad_checkpoint(
        "a checkpoint without tokenizer", gone("tokenizer.json", "tokenizer_config.json"), "holds no tokenizer"
    ),
    bad_checkpoint("weights cut short", cut("model.safetensors"), "cannot be opened"),
    bad_checkpoint("weights of another model", foreign_weights, "not those of its config.json"),
    bad_checkpoint(
        "weights of another size", entries("config.json", hidden_size=24), r"\d+ encoder tensors have another shape"
    ),
    bad_checkpoint(
        "a checkpoint's configuration cut short", cut("config.json"), "config.json.*cannot be read|cannot be opened"
    ),
    bad_checkpoint(
        "an architecture with code of its own",
        entries("config.json", model_type="mine", auto_map={"AutoConfig": "evil.Mine"}),
        "cannot be read|cannot be opened",
    ),
    bad_checkpoint("a tokenizer cut short", cut("tokenizer.json"), "tokenizer in .* cannot be opened"),
    bad_checkpoint(
        "a tokenizer of another kind of JSON", written("tokenizer.json", "[]"), "tokenizer in .* cannot be opened"
    ),
    # Runs
    Case("no run", ("predict", "nowhere", "a"), "There is no run folder"),
    Case("no run to evaluate", ("evaluate", "nowhere", "--data", "d.csv"), "There is no run folder", good()),
    Case("no run to merge", ("merge", "nowhere", "--output", "out"), "There is no run folder"),
    bad_run("an unfinished run", gone("manifest.json"), "unfinished run.*--resume"),
    bad_run("a run of a newer version", entries("manifest.json", format=99), "newer nlptl.*Upgrade"),
    bad_run("a manifest cut short", cut("manifest.json"), "manifest.json cannot be read"),
    bad_run(
        "a manifest of other types",
        entries("manifest.json", files=["x"], max_length="long"),
        "manifest.json is damaged: max_length",
    ),
    bad_run(
        "a manifest that lists files elsewhere",
        entries("manifest.json", files={"../evil": "0" * 64}),
        "damaged: ../evil",
    ),
    bad_run("an adapter cut short", cut("model/adapter/adapter_model.safetensors"), "changed or missing"),
    bad_run(
        "a pickled adapter",
        renamed("model/adapter/adapter_model.safetensors", "model/adapter/adapter_model.bin"),
        "can run code",
    ),
    bad_run("a tokenizer that is gone", gone("model/tokenizer.json"), "tokenizer.json changed or missing"),
    bad_run("a run without configuration", gone("run.yaml"), "Cannot read"),
    bad_run(
        "a run whose task has other labels",
        written("task.yaml", f"{MAIL}labels: [a, b, c]\n"),
        "does not fit this task",
    ),
    bad_run("a decision that is none", written("decision.json", '{"policy": "coin"}'), "no known policy"),
    Case(
        "a run whose checkpoint is gone",
        ("predict", "run", "a"),
        "trained on, which is in none of these folders: /nowhere/x, .*Bring it to one of them",
        run_with(entries("manifest.json", checkpoint={"name": "/nowhere/x", "revision": "r"})),
    ),
    bad_run(
        "a run of several tasks whose heads lie elsewhere",
        entries("manifest.json", heads=["../../etc", "fraud-text"]),
        r"manifest.json is damaged: heads\.0",
        "{together}",
    ),
    bad_run(
        "a run of several tasks that lacks a head",
        entries("manifest.json", heads=["sentiment", "mail"]),
        "Cannot read",
        "{together}",
    ),
    bad_run("a run of an unknown kind", entries("manifest.json", kind="oracle"), "Unknown kind of run 'oracle'"),
    Case("several tasks and none chosen", ("predict", "{together}", "a"), "Choose one with --task"),
    Case(
        "several tasks and another chosen", ("predict", "{together}", "a", "--task", "mail"), "Unknown task of this run"
    ),
    bad_run("a baseline cut short", cut("model/baseline.json"), "baseline.json changed or missing", "{baseline}"),
    bad_run("a baseline beside a pickle", written("model/model.pkl", "x"), "can run code", "{baseline}"),
    bad_run(
        "a baseline whose task has other labels",
        written("task.yaml", f"{MAIL}labels: [a, b, c]\n"),
        "does not fit this task",
        "{baseline}",
    ),
    Case("merging a baseline", ("merge", "{baseline}", "--output", "out"), "has no encoder"),
    Case("merging onto a folder", ("merge", "{run}", "--output", "out"), "exists already", holding("out/x", "")),
    Case("merging under a file", ("merge", "{run}", "--output", "d.csv/out"), "cannot be written", good()),
    Case(
        "merging into the run itself",
        ("merge", "run", "--output", "run/model/out"),
        "inside the run",
        run_with(lambda folder: None),
    ),
    # Predictions and evaluation
    bad_prediction("a file without texts", "txt\na\n", "Did you mean 'txt'"),
    bad_prediction("a column that predictions would overwrite", "text,score\na,1\n", "columns 'score' already"),
    bad_prediction("a file that is not UTF-8", b"text\n\xe9\xff\n", "not valid utf-8"),
    bad_prediction("fault in the last of many rows", "text\n" + "a\n" * 11_000 + '"open', "malformed CSV"),
    bad_prediction("texts that are objects", '{"text": {"a": 1}}\n', "not a text", file="d.jsonl"),
    Case(
        "an output that cannot be written",
        ("predict", "{run}", "--input", "d.csv", "--output", "o.xlsx"),
        "cannot write '.xlsx'",
        good(),
    ),
    Case(
        "an output in no folder",
        ("predict", "{run}", "--input", "d.csv", "--output", "no/o.csv"),
        "folder no does not exist",
        good(),
    ),
    Case(
        "an output that is a folder",
        ("predict", "{run}", "--input", "d.csv", "--output", "o.csv"),
        "is a folder",
        both(good(), holding("o.csv/x", "")),
    ),
    Case(
        "the input as the output",
        ("predict", "{run}", "--input", "d.csv", "--output", "d.csv"),
        "is the input itself",
        good(),
    ),
    Case("an input without output", ("predict", "{run}", "--input", "d.csv"), "together with --output", good()),
    Case(
        "columns that begin late",
        ("predict", "{run}", "--input", "d.jsonl", "--output", "o.csv"),
        "begin after row",
        holding("d.jsonl", '{"text": "a"}\n' * 10_000 + '{"text": "a", "late": 1}\n'),
    ),
    Case(
        "Parquet of mixed kinds",
        ("predict", "{run}", "--input", "d.jsonl", "--output", "o.parquet"),
        "values differ in kind",
        holding("d.jsonl", '{"text": "a", "n": 1}\n{"text": "a", "n": "b"}\n'),
    ),
    Case("an unknown decision", ("predict", "{run}", "a", "--decision", "coin"), "Unknown decision 'coin'"),
    Case("undecodable bytes on the command line", ("predict", "{run}", "\udcff"), "bytes that are no text"),
    Case("safe cells where there are none", ("predict", "{run}", "a", "--safe-csv"), "--safe-csv is for"),
    Case(
        "evaluation without labels",
        ("evaluate", "{run}", "--data", "d.csv"),
        "no column 'label'",
        holding("d.csv", "text\na\n"),
    ),
    Case(
        "evaluation on nothing",
        ("evaluate", "{run}", "--data", "d.csv"),
        "has no rows",
        holding("d.csv", "text,label\n"),
    ),
    Case(
        "evaluation with other labels",
        ("evaluate", "{run}", "--data", "d.csv"),
        "unknown label 'neutral'",
        holding("d.csv", "text,label\na,neutral\n"),
    ),
    Case(
        "evaluation written under a file",
        ("evaluate", "{run}", "--data", "d.csv", "--output", "d.csv/m.json"),
        "Cannot write",
        good(),
    ),
    Case(
        "evaluation written onto a folder",
        ("evaluate", "{run}", "--data", "d.csv", "--output", "o"),
        "Cannot write",
        both(good(), holding("o/x", "")),
    ),
]

UGLY: list[Case] = [
    Case(
        "a text of a million characters",
        (*DATA, "d.csv", *FROZEN),
        "Run folder",
        holding("d.csv", TABLE + f"{ONE_MILLION},positive\n"),
    ),
    Case(
        "control characters and right-to-left marks",
        (*DATA, "d.csv", *FROZEN),
        "Run folder",
        holding("d.csv", TABLE + "a\x00\x07\x1b[2J\u202e film,positive\n"),
    ),
    Case(
        "quoted line ends, semicolons and a mark",
        (*DATA, "d.csv", *FROZEN),
        "Run folder",
        holding(
            "d.csv", b"\xef\xbb\xbf" + TABLE.replace(",", ";").replace("good film 0", '"good\r\n""film"" 0"').encode()
        ),
    ),
    Case(
        "a table with | and a delimiter asked for",
        (*DATA, "d.csv", "--delimiter", "|", *FROZEN),
        "Run folder",
        holding("d.csv", TABLE.replace(",", "|")),
    ),
    Case(
        "rows with labels that train lacks, left out",
        (*DATA, ".", "--set", "data.bad_rows=drop", *FROZEN),
        "Run folder",
        both(
            good("train.csv"),
            holding("test.csv", "text,label\na strange one,mixed\nan odd film,negative\na good one,positive\n"),
        ),
    ),
    Case(
        "a folder with an unlabelled test file",
        (*DATA, ".", *FROZEN),
        "Run folder",
        both(good("train.csv"), holding("test.csv", "text\na film\n")),
    ),
    Case("filler columns", (*DATA, "d.csv", *FROZEN), "Run folder", holding("d.csv", TABLE.replace("\n", ",,\n"))),
    Case("utf-16", (*DATA, "d.csv", *FROZEN), "Run folder", holding("d.csv", TABLE.encode("utf-16"))),
    Case(
        "a folder named like markup",
        (*TRAIN[:4], "--data", "d.csv", "--output", "[/red]", *QUICK, *FROZEN),
        r"\[/red\]",
        good(),
    ),
    Case(
        "predictions for a million characters",
        ("predict", "{run}", "--input", "d.csv", "--output", "[b].csv"),
        r"2 predictions written to \[b\]\.csv",
        holding("d.csv", f'text\n{ONE_MILLION}\n"=cmd()"\n'),
    ),
    Case(
        "labels named like paths and markup",
        ("tasks", "new", "mail", "--data", "d.csv"),
        r"\.\./\.\./x",
        holding("d.csv", TABLE.replace("positive", "../../x").replace("negative", "[/red]")),
    ),
    Case("a baseline's answer", ("predict", "{baseline}", "good film"), "positive"),
    Case(
        "an answer of several tasks", ("predict", "{together}", "good film", "--task", "sentiment"), "positive|negative"
    ),
    Case("merging several tasks", ("merge", "{together}", "--output", "merged"), "written to merged"),
    Case("a text that looks like markup", ("predict", "{run}", "[/bold] a [link=x]"), r"\[/bold\] a \[link=x\]"),
]
