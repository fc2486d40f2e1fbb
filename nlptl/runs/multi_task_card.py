"""The README.md of a run of several tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlptl.config.records import read_record
from nlptl.config.run import RunConfig
from nlptl.evaluation.wording import long_text_sentence, shown
from nlptl.runs.artifact import head_folder
from nlptl.runs.lineage import lineage_line
from nlptl.storage.json_files import read_json
from nlptl.tasks import TaskSpec, task_names

_CARD = """---
library_name: nlptl
pipeline_tag: text-classification
tags: [text-classification, transfer-learning, multi-task, nlptl]
---
# {names}: {mode} on {checkpoint}

One encoder, a head for each task, trained in mixed batches ({sampling} sampling).

| task | metric | validation | test | alone, test | difference | forgetting |
|---|---|---|---|---|---|---|
{rows}

"alone" is the same task trained by itself with the same settings, where that was measured; "difference" is what
training together added on test; "forgetting" is how far the kept state lies below the task's own best state of this
training, on validation. The mean of the tasks' metrics on validation chose the state; the test split only reports.

{tasks}
- Checkpoint: {checkpoint} ({source}), revision `{revision}`, {pooling} pooling; seed {seed}{lineage}
- Trainable parameters: {trainable:,} of {parameters:,}
- Made with {versions}

## Use
```python
import nlptl
nlptl.load("{folder}").task("{first}").predict(["a text"])
```
## Limits
Measured on the test splits above and nowhere else. Texts unlike the training data (other languages, domains, lengths)
may be classified wrongly and with confidence. Look at the errors in `heads/TASK/predictions.csv` before relying on it.
"""


def write_joint_card(folder: Path) -> Path:
    """Write the model card of a finished multi-task run from what the run folder says.

    Raises:
        ArtifactError: the folder is incomplete.
    """
    metrics = read_json(folder / "metrics.json")
    config = read_record(RunConfig, folder / "run.yaml")
    names = task_names(config.task)
    model = metrics["model"]
    text = _CARD.format(
        names=", ".join(names),
        lineage=lineage_line(folder),
        mode=config.mode,
        checkpoint=model["checkpoint"]["name"],
        sampling=config.multi_task.sampling,
        rows="\n".join(_row(name, metrics["tasks"][name]) for name in names),
        tasks="\n".join(
            _about(folder, name, config, metrics["tasks"][name]["data"], metrics.get("long_texts")) for name in names
        ),
        source=model["checkpoint"]["source"],
        revision=model["checkpoint"]["revision"],
        pooling=model["pooling"],
        seed=config.seed,
        trainable=model["trainable_parameters"],
        parameters=model["parameters"],
        versions=", ".join(f"{name} {number}" for name, number in metrics["versions"].items()),
        folder=folder.name,
        first=names[0],
    )
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return path


def _row(name: str, facts: dict[str, Any]) -> str:
    metric = facts["metric"]
    cells = [shown(facts[split][metric]) for split in ("validation", "test")]
    cells += [shown(facts.get(part, {}).get("test")) for part in ("alone", "difference")]
    return f"| {name} | {metric} | {' | '.join(cells)} | {shown(facts.get('forgetting'))} |"


def _about(folder: Path, name: str, config: RunConfig, data: dict[str, Any], long_texts: dict[str, Any] | None) -> str:
    task = read_record(TaskSpec, head_folder(folder, name, tasks=2) / "task.yaml")
    labels = task.label_list()
    read = f". {long_text_sentence(long_texts, long_texts['tasks'][name]['test'])}" if long_texts else ""
    return (
        f"- {name}: {task.description} Labels ({len(labels)}): {', '.join(labels[:100])}. Data: "
        f"{config.multi_task.sources.get(name, 'sample')}; {data['train']} training, {data['validation']} validation, "
        f"{data['test']} test rows. Decision policy: `{task.decision.policy}`{read}"
    )
