"""What the old labels lose when labels change: the earlier run's test rows, answered before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nlptl.data.files import read_frame
from nlptl.data.text_keys import keys_of
from nlptl.evaluation.significance import WORSE, corrected, over_rows

if TYPE_CHECKING:
    from nlptl.inference.predictor import Run


def regression(run: Run, earlier: Path, names: Mapping[str, str], learned: pd.DataFrame) -> dict[str, Any]:
    """How many of the earlier run's test rows are right before and after, label by label, paired.

    An answer of before counts as right where it is, under the new names: of merged labels, one for the other. Each
    label is tested by McNemar's exact test, corrected for their number (Holm 1979).

    Args:
        run: with the new labels.
        earlier: the earlier run's folder.
        names: old label -> new one, where they differ.
        learned: texts that the new run learned from or chose by; rows with such a text are left out.

    Returns:
        The section `regression` of `metrics.json`; empty where the earlier run keeps no test rows that could be asked.
    """
    file = earlier / "predictions.csv"
    table = read_frame(file) if file.is_file() else pd.DataFrame()
    if table.empty:
        return {}
    texts = table[[column for column in ("text", "text_pair") if column in table]].map(str)
    kept = ~keys_of(texts).isin(set(keys_of(learned))).to_numpy()
    table, texts = table[kept], texts[kept]
    if table.empty:
        return {}
    wanted, said = ([names.get(str(name), str(name)) for name in table[c]] for c in ("label", "most_probable"))
    items = (
        list(texts["text"]) if "text_pair" not in texts else list(zip(texts["text"], texts["text_pair"], strict=True))
    )
    now = [run.labels[i] for i in run.predict_proba(items).argmax(1)]
    before, after = (np.array([a == w for a, w in zip(answers, wanted, strict=True)], float) for answers in (said, now))
    labels = sorted(set(wanted))
    places = {label: np.flatnonzero(np.array(wanted) == label) for label in labels}
    found = corrected([over_rows(after[places[label]], before[places[label]]) for label in labels])
    overall = over_rows(after, before)
    by_label = {
        label: {
            "rows": len(places[label]),
            "before": float(before[places[label]].mean()),
            "after": float(after[places[label]].mean()),
            "p": one.p,
        }
        for label, one in zip(labels, found, strict=True)
    }
    fallen = [label for label, one in zip(labels, found, strict=True) if one.outcome == WORSE]
    return {
        "left_out": int((~kept).sum()),
        "before": float(before.mean()),
        "after": float(after.mean()),
        **overall.noted(),
        "labels": by_label,
        "fallen": fallen,
        "fell": bool(fallen) or overall.outcome == WORSE,
    }
