"""A second domain beside the source: its texts to adapt to, and its labels, where there are any, to report on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from nlptl.config.data import DataConfig
from nlptl.data import audit as auditing
from nlptl.data.audit import Audit
from nlptl.data.loading import Splits, audited, load_splits, test_seed
from nlptl.data.sources import Source, open_source
from nlptl.data.splits import cut
from nlptl.data.text_keys import keys_of
from nlptl.errors import DataError
from nlptl.tasks import TaskSpec

# With fewer labelled rows an oracle says nothing.
ORACLE_ROWS = 20


@dataclass(frozen=True)
class Domains:
    """Python data of two domains; None: read what the configuration names."""

    source: Any = None
    target: Any = None
    target_test: Any = None


def load_domains(task: TaskSpec, config: DataConfig, seed: int, given: Any = None) -> Splits:
    """The source's splits as `load_splits` gives them and, where the configuration names a target, the target's rows.

    Then `more["target"]` holds the texts to adapt to, without labels. Where the target has labels, `test` is the
    target's test split, `more["source_test"]` the source's, and `more["oracle_train"]` and `more["oracle_validation"]`
    are the other labelled rows of the target. Nothing but these last two and `test` carries a target's label.

    Args:
        task: what is learned.
        config: what to read.
        seed: for splits and shots.
        given: Python data: the source, or `Domains`.

    Raises:
        DataError: all faults of a domain's data at once.
    """
    domains = given if isinstance(given, Domains) else Domains(given)
    splits = load_splits(task, config, seed, domains.source)
    if config.target is None:
        return splits
    rows, test = _read_target(splits.task, config, domains, splits.audit)
    labelled = rows[rows["label"].notna()] if "label" in rows else rows.iloc[:0]
    if test is None and len(labelled):
        labelled, test = cut(labelled, config.test_fraction, test_seed(config, seed))
        rows = rows[~rows.index.isin(test.index)]
    splits.audit.stop_if_faulty()
    texts = rows.drop(columns="label", errors="ignore").reset_index(drop=True)
    if texts.empty:
        raise DataError(f"The target {config.target} holds no rows to adapt to.")
    if test is None:
        return replace(splits, more={"target": texts})
    return _with_test(splits, config, seed, texts, labelled, test.reset_index(drop=True))


def _with_test(
    splits: Splits, config: DataConfig, seed: int, texts: pd.DataFrame, labelled: pd.DataFrame, test: pd.DataFrame
) -> Splits:
    """Report on the target's test rows: no other labelled row may repeat one of them."""
    frames = {"train": splits.train, "validation": splits.validation, "test": test}
    auditing.drop_leaks(frames, config.leaks == "drop", splits.audit)
    more = {"target": texts, "source_test": splits.test}
    if len(labelled):
        labelled = labelled[~keys_of(labelled).isin(set(keys_of(test)))]
    if len(labelled) >= ORACLE_ROWS and labelled["label"].map(str).nunique() > 1:
        train, validation = cut(labelled, config.validation_fraction, seed)
        more |= {"oracle_train": train.reset_index(drop=True), "oracle_validation": validation.reset_index(drop=True)}
    train, validation = (frames[name].reset_index(drop=True) for name in ("train", "validation"))
    return replace(splits, train=train, validation=validation, test=test, more=more)


def _read_target(
    task: TaskSpec, config: DataConfig, domains: Domains, audit: Audit
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The target's rows, with the column `label` where any has one, and its own labelled test rows, if it has some."""
    wanted = config.model_copy(update={"source": config.target, "validation": None, "test": None})
    source = open_source(task, wanted, domains.target)
    audit.warnings += source.notes
    if config.target_test is not None:
        wanted = config.model_copy(update={"source": config.target_test, "validation": None, "test": None})
        named = open_source(task, wanted, domains.target_test)
        source.frames["test"], source.origins["test"] = named.frames["train"], named.origins["train"]
    frames = audited(_renamed(source), task, config, audit, labelled=False)
    audit.stop_if_faulty()
    test = frames.pop("target_test", None)
    rows = pd.concat(list(frames.values()), ignore_index=True)
    if test is not None and ("label" not in test or test["label"].isna().any()):
        if config.target_test is not None:
            raise DataError(f"{config.target_test} is to report on, so each of its rows needs a label; some have none.")
        rows, test = pd.concat([rows, test], ignore_index=True), None
    if "label" in rows:
        rows["label"] = rows["label"].astype(object).where(rows["label"].notna(), None)
    return rows, test


def _renamed(source: Source) -> Source:
    """Messages about the target's splits must not name the source's."""
    frames = {f"target_{split}": frame for split, frame in source.frames.items()}
    origins = {f"target_{split}": origin for split, origin in source.origins.items()}
    return replace(source, frames=frames, origins=origins)
