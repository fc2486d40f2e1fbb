"""The README.md of a run folder."""

from __future__ import annotations

from pathlib import Path

from nlptl.artifacts import read_json
from nlptl.config import RunConfig
from nlptl.reports.adaptation import adaptation_section
from nlptl.reports.tables import shown
from nlptl.schema import read_yaml, validate
from nlptl.tasks import TaskSpec

_CARD = """---
library_name: nlptl
pipeline_tag: text-classification
tags: [text-classification, transfer-learning, nlptl]
---
# {task}: {mode} on {checkpoint}

{description}

| | validation | test |
|---|---|---|
{rows}

Top-level numbers measure the most probable label; "as decided" is what `predict` answers under the decision policy
`{policy}`, fitted on validation. The test split only reports.

- Labels ({count}): {labels}
- Data: {source}; {train} training, {validation} validation, {test} test rows; seed {seed}
- Checkpoint: {checkpoint} ({checkpoint_source}), revision `{revision}`, {pooling} pooling
- Trainable parameters: {trainable:,} of {parameters:,}
- Made with {versions}
{adaptation}
## Use
```python
import nlptl
nlptl.load("{folder}").predict(["a text"])
```
## Limits
Measured on the test split above and nowhere else. Texts unlike the training data (other languages, domains, lengths)
may be classified wrongly and with confidence. Look at the errors in `predictions.csv` before relying on it.
"""


def write_card(folder: Path) -> Path:
    """Write the model card of a finished run from what the run folder says.

    Raises:
        ArtifactError: the folder is incomplete.
    """
    metrics = read_json(folder / "metrics.json")
    config = validate(RunConfig, read_yaml(folder / "run.yaml"), str(folder / "run.yaml"))
    task = validate(TaskSpec, read_yaml(folder / "task.yaml"), str(folder / "task.yaml"))
    splits = (metrics["validation"], metrics["test"])
    names = [name for name, value in splits[1].items() if isinstance(value, int | float) or value is None]
    rows = [f"| {name} | {shown(splits[0].get(name))} | {shown(splits[1].get(name))} |" for name in names]
    for name in ("accuracy", "macro_f1") if "decided" in splits[1] else ():
        rows.append(
            f"| {name} as decided | {shown(splits[0]['decided'][name])} | {shown(splits[1]['decided'][name])} |"
        )
    labels = task.label_list()
    model, data = metrics["model"], metrics["data"]
    text = _CARD.format(
        task=task.name,
        mode=config.mode,
        checkpoint=model["checkpoint"]["name"],
        description=task.description,
        rows="\n".join(rows),
        policy=task.decision.policy,
        count=len(labels),
        labels=", ".join(labels[:100]),
        source=config.data.source or "sample",
        train=data["train"],
        validation=data["validation"],
        test=data["test"],
        seed=config.seed,
        checkpoint_source=model["checkpoint"]["source"],
        revision=model["checkpoint"]["revision"],
        pooling=model["pooling"],
        trainable=model["trainable_parameters"],
        parameters=model["parameters"],
        versions=", ".join(f"{name} {number}" for name, number in metrics["versions"].items()),
        adaptation=adaptation_section(metrics["adaptation"], task.metric) if "adaptation" in metrics else "",
        folder=folder.name,
    )
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return path
