"""Did going via other data help? The same task learned straight from the checkpoint, with the same seed and rows."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from nlptl.config.run import RunConfig
from nlptl.config.strategies import ViaConfig
from nlptl.evaluation.significance import over_rows
from nlptl.runs.artifact import STRAIGHT
from nlptl.runs.card import write_card
from nlptl.runs.lineage import VIA
from nlptl.runs.test_rows import rows_right
from nlptl.storage.json_files import read_json, write_json
from nlptl.strategies import pipeline

log = logging.getLogger("nlptl")


def compare_straight(config: RunConfig, folder: Path, given: Any = None) -> None:
    """Train the task straight from the checkpoint, and note in the run what going via the sources gave.

    Args:
        config: of the run, as asked for.
        folder: of the run.
        given: the Python data that the run was made from.

    Raises:
        NlptlError: as `pipeline.train` raises.
    """
    log.info("For comparison: the same task straight from the checkpoint")
    home = folder / STRAIGHT
    asked = config.model_copy(update={"via": ViaConfig(), "output": str(home)})
    pipeline.train(asked, given, True)
    if int(os.environ.get("RANK", "0")) > 0:
        return
    metrics, straight = read_json(folder / "metrics.json"), read_json(home / "metrics.json")
    right, other = rows_right(folder), rows_right(home)
    found = over_rows(right, other)
    metrics[VIA]["comparison"] = {
        "via": {split: metrics[split]["accuracy"] for split in ("validation", "test")},
        "straight": {split: straight[split]["accuracy"] for split in ("validation", "test")},
        **found.noted(),
    }
    write_json(folder / "metrics.json", metrics)
    write_card(folder)
