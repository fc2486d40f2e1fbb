"""One source of an intermediate training: labelled data, or a run that is finished already."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nlptl.checkpoints import Checkpoint, is_run
from nlptl.config.data import DataConfig
from nlptl.config.model import ModelConfig
from nlptl.config.records import write_yaml
from nlptl.config.run import ResolvedRun, RunConfig
from nlptl.config.strategies import MultiTaskConfig, ViaConfig
from nlptl.config.training import TrainingConfig
from nlptl.data.given import PYTHON_DATA
from nlptl.data.loading import Splits, load_splits
from nlptl.data.text_keys import keys_of
from nlptl.errors import ConfigError
from nlptl.pretraining.config import CorpusConfig, PretrainConfig
from nlptl.pretraining.pretrain import pretrain_config
from nlptl.runs.manifest import read_manifest, tasks_of
from nlptl.storage.paths import user_path
from nlptl.strategies import pipeline
from nlptl.tasks import TaskSpec

FEWEST_LABELS = 10
"""With fewer labels none is held out: what is learned from the others says little of new ones."""
HELD_OUT = 0.2
"""Share of the labels that are held out."""
STRATEGIES = {"contrastive": "contrastive", "classification": "fine_tune"}


class Budget(NamedTuple):
    """How much is learned from a source where nothing else is asked for."""

    rows: int
    epochs: int
    learning_rate: float


GENTLE = Budget(4_000, 1, 5e-5)
"""Other labels: little more than a direction is wanted of them."""
WHOLE = Budget(20_000, 2, 1e-4)
"""The task's own labels: what is learned is the task itself, on other texts."""


@dataclass(frozen=True)
class NamedSource:
    """A source as it was asked for."""

    name: str
    """A task's name made of it, which is also that of its folder."""
    shown: str


@dataclass(frozen=True)
class Learnt:
    """What a source gave."""

    folder: Path
    """A run or a checkpoint folder."""
    held_out: pd.DataFrame | None
    """Rows whose labels were kept out of training; None where there are too few labels, or none."""
    told: dict[str, Any]
    has_head: bool = False
    """Whether it is a run whose labels are the task's, in their order."""


def sources_of(config: RunConfig) -> list[list[NamedSource]]:
    """The sources that a run names: groups that are learned one after another, the sources of each together.

    Raises:
        ConfigError: one is not there or is named twice, or what cannot be learned together is to be.
    """
    via, found = config.via, list[NamedSource]()
    for shown in via.sources:
        path = user_path(shown)
        if not path.exists():
            raise ConfigError(f"--via {shown}: there is no such file, folder or run.")
        if any(shown == other.shown for other in found):
            raise ConfigError(f"--via {shown} is given twice. Name each source once.")
        name = re.sub(r"[^a-z0-9]+", "-", path.resolve().stem.lower()).strip("-")[:40] or "source"
        known = [other.name for other in found]
        found.append(NamedSource(f"{name}-{len(found) + 1}" if name in known else name, shown))
    if not via.together:
        return [[source] for source in found]
    runs = [source.shown for source in found if is_run(user_path(source.shown))]
    if runs or via.objective not in (None, "classification"):
        what = f"the finished run {runs[0]}" if runs else f"objective {via.objective}"
        raise ConfigError(
            f"via.together trains one classifier with a head for each source; {what} cannot be part of it. Leave it "
            "out: then sources are learned one after another."
        )
    return [found]


def learn_sources(
    config: ResolvedRun, group: list[NamedSource], checkpoint: Checkpoint, home: Path, target: Splits
) -> Learnt:
    """Train the encoder of a checkpoint on a source, or on several together; a run is taken as it is.

    Args:
        config: of the run that goes via the sources.
        group: what is learned from.
        checkpoint: that is trained on.
        home: where the training lies.
        target: what is learned after it; no text of its held-out splits is learned before.

    Raises:
        NlptlError: the data or the run cannot be used.
    """
    via, shown = config.via, ", ".join(source.shown for source in group)
    if is_run(user_path(group[0].shown)):
        run = user_path(group[0].shown)
        (*others, last) = tasks_of(run, read_manifest(run))
        in_order = last.label_list() == target.task.label_list()
        has_head = not others and in_order and _same_labels(last, target.task)
        return Learnt(run, None, {"source": shown, "objective": "run"}, has_head)
    given, held_out, repeated, same, budget = {}, list[pd.DataFrame](), 0, False, GENTLE
    reported_on = set(pd.concat([keys_of(target.validation), keys_of(target.test)]))
    for source in group:
        task = TaskSpec(name=source.name, description=f"Learned before {config.task}")
        wanted = DataConfig(source=source.shown, text_columns=via.text_columns, label_column=via.label_column)
        splits = load_splits(task, wanted, config.seed)
        if len(group) == 1 and via.objective in (None, "classification") and _same_labels(splits.task, target.task):
            same, budget, task = True, WHOLE, task.with_labels(target.task.label_list())
        (home / "tasks" / source.name).mkdir(parents=True, exist_ok=True)
        write_yaml(home / "tasks" / source.name / "task.yaml", task)
        learned, apart = _without_some_labels(splits, config.seed, via)
        known = {name: keys_of(frame).isin(reported_on) for name, frame in learned.items()}
        repeated += sum(int(each.sum()) for each in known.values())
        given[source.name] = {
            name: _at_most(frame[~known[name]], via.rows or budget.rows, config.seed) for name, frame in learned.items()
        }
        held_out += [apart] if apart is not None else []
    train = [rows["train"] for rows in given.values()]
    objective = via.objective or ("classification" if via.together or same else "contrastive")
    told: dict[str, Any] = {
        "source": shown,
        "objective": objective,
        "rows": sum(map(len, train)),
        "labels": sum(rows["label"].nunique() for rows in train),
        "repeated_texts": repeated,
        "held_out_labels": sum(rows["label"].nunique() for rows in held_out),
    }
    apart = pd.concat(held_out, ignore_index=True) if held_out else None
    if objective == "unlabelled":
        return Learnt(_pretrain(config, pd.concat(train), checkpoint, home), apart, told)
    several = len(given) > 1
    rows = given if several else given[group[0].name]
    asked = RunConfig(
        task="+".join(given),
        data=DataConfig(source=None if several else PYTHON_DATA),
        multi_task=MultiTaskConfig(sources=dict.fromkeys(given, PYTHON_DATA) if several else {}),
        tasks_dir=str(home / "tasks"),
        mode=via.mode,
        strategy=STRATEGIES[objective],
        checkpoint=checkpoint.name,
        seed=config.seed,
        output=str(home / "run"),
        model=ModelConfig(pooling=config.model.pooling, max_length=config.model.max_length),
        training=TrainingConfig(
            epochs=via.epochs or budget.epochs, learning_rate=via.learning_rate or budget.learning_rate, refit=False
        ),
        runtime=config.runtime,
    )
    return Learnt(pipeline.train(asked, rows, resume=True), apart, told, same)


def _same_labels(source: TaskSpec, target: TaskSpec) -> bool:
    return source.kind == target.kind == "single_label" and set(source.label_list()) == set(target.label_list())


def _pretrain(config: ResolvedRun, rows: pd.DataFrame, checkpoint: Checkpoint, home: Path) -> Path:
    """Contrast without labels: each text with itself under another dropout (Gao et al. 2021; Zhang et al. 2021)."""
    folder = home / "pretrained"
    if folder.exists():
        return folder
    length = config.model.max_length
    asked = PretrainConfig(
        objective="simcse",
        checkpoint=checkpoint.name,
        seed=config.seed,
        output=str(folder),
        corpus=CorpusConfig() if length == "auto" else CorpusConfig(max_length=length),
        runtime=config.runtime,
    )
    return pretrain_config(asked, rows["text"].tolist())


def _without_some_labels(splits: Splits, seed: int, via: ViaConfig) -> tuple[dict[str, pd.DataFrame], Any]:
    """The splits without the rows of some labels, and these rows."""
    frames, labels = splits.frames(), splits.task.label_list()
    if via.interpolation is not None or len(labels) < FEWEST_LABELS:
        return frames, None
    order = np.random.default_rng([seed, 11]).permutation(len(labels))
    kept_out = {labels[i] for i in order[: max(2, round(HELD_OUT * len(labels)))]}
    together = pd.concat(list(frames.values()), ignore_index=True)
    held_out = together[together["label"].isin(kept_out)].reset_index(drop=True)
    rest = {name: frame[~frame["label"].isin(kept_out)].reset_index(drop=True) for name, frame in frames.items()}
    return rest, held_out


def _at_most(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """So many rows at most, shared evenly among the labels as far as they have them."""
    if len(frame) <= rows:
        return frame
    mixed = frame.sample(frac=1.0, random_state=seed)
    turn = mixed.groupby("label").cumcount()
    return mixed.iloc[turn.argsort(kind="stable")[:rows]].reset_index(drop=True)
