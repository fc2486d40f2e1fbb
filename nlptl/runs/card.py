"""The README.md of a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlptl.config.records import read_record
from nlptl.config.run import RunConfig
from nlptl.evaluation.wording import (
    adaptation_sentence,
    comparison_sentences,
    evolution_sentences,
    forgetting_sentences,
    long_text_sentence,
    shown,
    via_sentences,
)
from nlptl.runs.answers import FILE, read_answers
from nlptl.runs.lineage import lineage_line
from nlptl.runs.manifest import HEADS
from nlptl.runs.multi_task_card import write_joint_card
from nlptl.runs.split_intervals import split_intervals
from nlptl.storage.json_files import read_json
from nlptl.tasks import TaskSpec

_MODELS = {"source_only": "source only", "adapted": "adapted", "oracle": "oracle"}
_CARD = """---
library_name: nlptl
pipeline_tag: text-classification
tags: [text-classification, transfer-learning, nlptl]
---
# {task}: {title}

{description}

| | validation | test | 95 % interval on test |
|---|---|---|---|
{rows}

Top-level numbers measure the most probable label; "as decided" is what `predict` answers under the decision policy
`{policy}`, fitted on validation{cut}. The test split only reports; intervals are over its rows.{note}

- Labels ({count}): {labels}
- Data: {source}; {train} training, {validation} validation, {test} test rows; seed {seed}
{long_texts}- {origin}{lineage}
- Trainable parameters: {trainable:,} of {parameters:,}
- Made with {versions}
{adaptation}{via}{forgetting}{evolution}{comparison}
## Use
```python
import nlptl
nlptl.load("{folder}").predict(["a text"])
```
`nlptl report {folder}` writes [report.html](report.html) beside this card: curves, thresholds, parts of the test rows,
and the worst mistakes.
## Limits
Measured on the test split above and nowhere else. Texts unlike the training data (other languages, domains, lengths)
may be classified wrongly and with confidence. Look at the errors in `predictions.csv` before relying on it.
"""


def write_card(folder: Path) -> Path:
    """Write the model card of a finished run from what the run folder says.

    Raises:
        ArtifactError: the folder is incomplete.
    """
    if (folder / HEADS).is_dir():
        return write_joint_card(folder)
    metrics = read_json(folder / "metrics.json")
    config = read_record(RunConfig, folder / "run.yaml")
    task = read_record(TaskSpec, folder / "task.yaml")
    splits = (metrics["validation"], metrics["test"])
    names = [name for name, value in splits[1].items() if isinstance(value, int | float) or value is None]
    found = split_intervals(task, splits[1], read_answers(folder)["test"] if (folder / FILE).is_file() else None)
    rows = [
        f"| {name} | {shown(splits[0].get(name))} | {shown(splits[1].get(name))} | {found.get(name) or '-'} |"
        for name in names
    ]
    for name in ("accuracy", "macro_f1"):
        if name not in splits[1].get("decided", {}):  # of a run of an earlier version, or sets of labels
            continue
        rows.append(
            f"| {name} as decided | {shown(splits[0]['decided'][name])} | {shown(splits[1]['decided'][name])} | - |"
        )
    labels, decided = task.label_list(), splits[1].get("decided", {})
    model, data = metrics["model"], metrics["data"]
    title, origin = _origin(config, metrics)
    text = _CARD.format(
        task=task.name,
        title=title,
        origin=origin,
        lineage=lineage_line(folder),
        description=task.description,
        rows="\n".join(rows),
        policy=decided.get("policy", task.decision.policy),
        cut=_cut(read_json(folder / "decision.json")),
        note=f" {decided['note']}" if "note" in decided else "",
        count=len(labels),
        labels=", ".join(labels[:100]),
        source=config.data.source or "sample",
        train=data["train"],
        validation=data["validation"],
        test=data["test"],
        seed=config.seed,
        long_texts=_long_texts(metrics.get("long_texts")),
        trainable=model["trainable_parameters"],
        parameters=model["parameters"],
        versions=", ".join(f"{name} {number}" for name, number in metrics["versions"].items()),
        adaptation=_adaptation_section(metrics["adaptation"], task.metric) if "adaptation" in metrics else "",
        comparison=_comparison_section(metrics["comparison"]) if "comparison" in metrics else "",
        via=_via_section(metrics["via"]) if "comparison" in metrics.get("via", {}) else "",
        evolution=_evolution_section(metrics["evolution"]) if "evolution" in metrics else "",
        forgetting=_forgetting_section(metrics["forgetting"]) if "forgetting" in metrics else "",
        folder=folder.name,
    )
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return path


def _origin(config: RunConfig, metrics: dict[str, Any]) -> tuple[str, str]:
    """The card's title, and what the run was made from."""
    model = metrics["model"]
    if "baseline" in model:
        training = metrics["training"]
        setting = ", ".join(f"{name}={value}" for name, value in training["setting"].items())
        features = f"{training['features']}, {model['features']:,} terms"
        origin = f"A classical model on TF-IDF ({features}); chosen on validation: {setting}"
        return f"{model['baseline']} on TF-IDF", origin
    checkpoint = model["checkpoint"]
    start = "" if config.model.weights == "pretrained" else ", random weights instead of its own"
    origin = (
        f"Checkpoint: {checkpoint['name']} ({checkpoint['source']}), revision `{checkpoint['revision']}`, "
        f"{model['pooling']} pooling{start}"
    )
    return f"{config.mode} on {checkpoint['name']}{start}", origin


def _cut(decision: dict[str, Any]) -> str:
    """Where the policy cuts, if it does; a probability above 1 is never reached."""
    threshold, label, scorer = (decision.get(name) for name in ("threshold", "label", "scorer"))
    if scorer is not None:
        return f" (`{label}`: below {threshold:.4g} by the scorer `{scorer}`)"
    if threshold is None or threshold > 1:
        return ""
    return f" (`{label}`: threshold {threshold:.4f})" if label else f" (threshold {threshold:.4f})"


def _via_section(facts: dict[str, Any]) -> str:
    """A section of the model card."""
    return f"""
## Via other data
{via_sentences(facts)} The run that went straight lies in `straight/`.
"""


def _forgetting_section(facts: dict[str, Any]) -> str:
    """A section of the model card."""
    return f"""
## What was forgotten
{forgetting_sentences(facts)}
"""


def _evolution_section(facts: dict[str, Any]) -> str:
    return f"\n## Labels that changed\n{evolution_sentences(facts)}\n"


def _long_texts(facts: dict[str, Any] | None) -> str:
    """A line of the model card; runs of before it was measured, and baselines, which read texts whole, have none."""
    return f"- {long_text_sentence(facts, facts['splits']['test'])}\n" if facts else ""


def _adaptation_section(facts: dict[str, Any], metric: str) -> str:
    """A section of the model card."""
    there = [name for name in _MODELS if facts[name] is not None]
    values = [f"{_MODELS[name]} {shown(facts[name]['test'][metric])}" for name in there]
    doubts = "".join(f"\n- Sign of harm, seen without labels: {doubt}" for doubt in facts["doubts"])
    return f"""
## Domain adaptation
Adapted by `{facts["method"]}` to {facts["target_rows"]} texts of another domain, without their labels. Validation above
is the source's, test is the {facts["reported_on"]}'s.

- {metric} on test: {", ".join(values)}
- {adaptation_sentence(facts)}{doubts}
"""


def _comparison_section(facts: dict[str, Any]) -> str:
    """A section of the model card."""
    rows = [
        f"| {name} | {shown(values['validation'])} | {shown(values['test'])} |"
        for name, values in {"this run": facts["run"], **facts["baselines"]}.items()
    ]
    lines = "\n".join(rows)
    return f"""
## Compared with words alone
{comparison_sentences(facts)}

The baselines were tuned and fitted on the same splits, as `nlptl baseline` does it; they lie in `baselines/`.

| {facts["metric"]} | validation | test |
|---|---|---|
{lines}
"""
