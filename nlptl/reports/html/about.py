"""What a run is: task, data, checkpoint, lineage; its time; versions; how to repeat it."""

from __future__ import annotations

import shlex
from typing import Any

from nlptl.evaluation.wording import lineage_sentence, long_text_sentence, titled
from nlptl.reports.facts.run import Part, RunFacts
from nlptl.reports.facts.words import shown3
from nlptl.reports.html.markup import Content, Html, element, facts_list, joined, listed, named, table
from nlptl.reports.html.page import note

MOST_LABELS_NAMED = 30


def about(facts: RunFacts) -> Html:
    """What the run is."""
    model, config = facts.metrics["model"], facts.config
    pairs: list[tuple[Content, Content]] = [("Folder", facts.folder.resolve().name), ("Kind", _kind(facts))]
    if "checkpoint" in model:
        checkpoint = model["checkpoint"]
        pairs += [
            ("Checkpoint", joined(named(checkpoint["name"]), f" ({checkpoint['source']})")),
            ("Revision", element("code", checkpoint["revision"])),
            ("Pooling", model.get("pooling")),
        ]
    lineage = facts.manifest.get("lineage") or []
    pairs += [
        ("Learned before", lineage_sentence(lineage)[:1000] if len(lineage) > 1 else None),
        ("Parameters", f"{model['parameters']:,}, of which {model['trainable_parameters']:,} were trained"),
        ("Seed", config.seed),
    ]
    for part in facts.parts:
        pairs.append(("Task", joined(named(part.task.name), f", version {part.task.version}: {_labels(part)}")))
    return facts_list(pairs)


def _kind(facts: RunFacts) -> str:
    model, config = facts.metrics["model"], facts.config
    if "baseline" in model:
        setting = ", ".join(f"{name}={value}" for name, value in facts.metrics["training"].get("setting", {}).items())
        return f"A classical model on TF-IDF: {model['baseline']}{f', {setting}' if setting else ''}"
    return f"Mode {config.mode}, strategy {config.strategy}"


def _labels(part: Part) -> str:
    labels = part.labels
    more = f" and {len(labels) - MOST_LABELS_NAMED} more" if len(labels) > MOST_LABELS_NAMED else ""
    several = " (several may apply)" if part.several_labels else ""
    return f"{len(labels)} labels{several}: {', '.join(name[:60] for name in labels[:MOST_LABELS_NAMED])}{more}"


def data(facts: RunFacts, part: Part) -> Html:
    """Rows, how they were read, and what the audit found in them."""
    known = part.report["data"]
    several = len(facts.parts) > 1
    source = facts.config.multi_task.sources.get(part.task.name) if several else facts.config.data.source
    rows = [[split, f"{known[split]:,}"] for split in ("train", "validation", "test")]
    read_as = known.get("read_as") or {}
    audit = known.get("audit") or {}
    found = [joined(element("strong", f"{count:,}"), f" {name.replace('_', ' ')}") for name, count in audit.items()]
    long_texts = facts.metrics.get("long_texts")
    if long_texts:
        test = long_texts["tasks"][part.task.name]["test"] if several else long_texts["splits"]["test"]
    return joined(
        facts_list(
            [
                ("Source", (source or "the task's bundled sample")[-300:]),
                ("Read as", _read_as(read_as)),
                ("Long texts", _long_texts(long_texts, test) if long_texts else None),
            ]
        ),
        table("Rows of each split", ["split", "rows"], rows),
        element("h3", "What the audit found"),
        listed(found) if found else element("p", "Nothing: no empty cells, no leaks between splits, no odd labels."),
    )


def _long_texts(facts: dict[str, Any], test: dict[str, Any]) -> str:
    if not test["longer"]:
        return f"No test text is longer than the {facts['max_length']} tokens that are read at once."
    return f"{long_text_sentence(facts, test)}."


def _read_as(read_as: dict[str, Any]) -> str | None:
    if not read_as:
        return None
    mapped = ", ".join(f"{old}={new}" for old, new in list((read_as.get("label_map") or {}).items())[:20])
    columns = ", ".join(map(str, read_as.get("text_columns", [])))
    return f"text: {columns}; label: {read_as.get('label_column')}{f'; {mapped}' if mapped else ''}"[:500]


def cost(facts: RunFacts) -> Html:
    """Seconds, memory and where it ran."""
    time, runtime = facts.metrics.get("time", {}), facts.metrics.get("runtime", {})
    pairs: list[tuple[Content, Content]] = [
        (titled(name.removesuffix("_seconds").removesuffix("_gigabytes")), _amount(name, value))
        for name, value in time.items()
    ]
    where = ", ".join(f"{name} {value}" for name, value in runtime.items())
    size = sum(path.stat().st_size for path in (facts.folder / "model").rglob("*") if path.is_file())
    return facts_list([("Computed on", where), *pairs, ("Size on disk", f"{size / 1e6:,.1f} MB (model/)")])


def _amount(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if name.endswith("_seconds"):
        return f"{value:,.2f} s"
    if name.endswith("_gigabytes"):
        return f"{value:.2f} GB"
    return f"{value:,.0f}" if value >= 100 else shown3(float(value))


def repeat(facts: RunFacts) -> Html:
    """The command that trains it again, and the versions it stood on."""
    command = f"nlptl train --config {shlex.quote(str(facts.folder / 'run.yaml'))} --output again"
    versions = ", ".join(f"{name} {number}" for name, number in facts.metrics.get("versions", {}).items())
    python_data = any(
        source == "(python data)" for source in (facts.config.data.source, *facts.config.multi_task.sources.values())
    )
    return joined(
        element("pre", element("code", command), tabindex=0, aria_label="Command"),
        note("The data were given in Python; give them again: nlptl.train(config=..., data=...).")
        if python_data
        else "",
        facts_list([("Versions", versions)]),
    )
