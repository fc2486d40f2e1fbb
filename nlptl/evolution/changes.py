"""Which labels change, and how: what is asked for, checked against the labels of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nlptl.config.run import DecisionConfig
from nlptl.errors import ConfigError, joined, unknown
from nlptl.evaluation.decisions.costs import BETWEEN
from nlptl.tasks import DecisionSpec, TaskSpec


@dataclass(frozen=True)
class Changes:
    """What becomes of the labels of a run."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Old name -> new name."""
    merged: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """New label, or one of the old ones -> the old labels that become it."""
    added: Sequence[str] = ()
    """New labels."""

    @property
    def names(self) -> dict[str, str]:
        """Old label -> what it is called now; those that stay as they are, are not in it."""
        merged = {old: new for new, olds in self.merged.items() for old in olds if old != new}
        return {**self.renamed, **merged}

    def labels(self, known: Sequence[str]) -> list[str]:
        """The labels afterwards: each old one in its place, merged ones in that of the first, new ones last."""
        return list(dict.fromkeys([*(self.names.get(label, label) for label in known), *self.added]))

    def of(self, task: TaskSpec) -> TaskSpec:
        """The task afterwards.

        Raises:
            ConfigError: too few labels are left, or its decision policy does not take them.
        """
        names = self.names
        decision = task.decision.model_copy(update=of_decision(task.decision, names))
        data = {
            name: named.model_copy(
                update={"label_map": {old: names.get(new, new) for old, new in named.label_map.items()}}
            )
            for name, named in task.data.items()
        }
        positive = names.get(str(task.positive_label), task.positive_label)
        update = {"decision": decision, "positive_label": positive, "data": data, "labels": "from_data"}
        plain = task.model_copy(update=update)
        return plain.with_labels(self.labels(task.label_list()))


def of_decision(asked: DecisionSpec | DecisionConfig, names: Mapping[str, str]) -> dict[str, Any]:
    """What settings of a decision say of labels, under other names.

    Raises:
        ConfigError: labels are merged whose mistakes cost differently.
    """
    label = None if asked.label is None else names.get(asked.label, asked.label)
    return {"label": label, "costs": None if asked.costs is None else of_costs(asked.costs, names)}


def of_costs(costs: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """Costs of answers (GOLD>ANSWER) under other names; raises as `of_decision`."""
    found: dict[str, float] = {}
    for pair, cost in costs.items():
        gold, _, answer = pair.partition(BETWEEN)
        now = names.get(gold, gold), names.get(answer, answer)
        if now[0] == now[1] and gold != answer:
            continue  # no mistake any more
        name = BETWEEN.join(now)
        if found.setdefault(name, cost) != cost:
            raise ConfigError(
                f"Mistakes of the merged labels cost differently ({name}: {found[name]:g} and {cost:g}). Decide the "
                "run by another policy first: nlptl decide RUN --policy argmax"
            )
    return found


def checked(task: TaskSpec, changes: Changes) -> Changes:
    """The changes, where the labels of a task can undergo them.

    Raises:
        ConfigError: nothing changes, a label is not known, two would have one name, or the kinds of change do not go
            together; every fault is told.
    """
    known = task.label_list()
    faults = [*_unknown(changes, known), *_collisions(changes, known)]
    if not (changes.renamed or changes.merged or changes.added):
        faults.append("Nothing changes. Rename, merge or add a label.")
    if changes.renamed and (changes.merged or changes.added):
        faults.append("Renaming trains nothing: rename in a call of its own, before the others or after them.")
    if task.kind == "multi_label" and (changes.merged or changes.added):
        faults.append(
            "Texts of this run may have several labels: which of them have a new one too, nobody has said. Label the "
            "rows, and train again."
        )
    if faults:
        raise joined("The change of labels", [ConfigError(fault) for fault in faults])
    return changes


def _unknown(changes: Changes, known: Sequence[str]) -> list[str]:
    asked = [*changes.renamed, *(old for olds in changes.merged.values() for old in olds)]
    return [unknown("label of this run", label, known) for label in dict.fromkeys(asked) if label not in known]


def _collisions(changes: Changes, known: Sequence[str]) -> list[str]:
    faults = [
        f"Merging into {new!r} names {len(olds)} label(s); it takes two or more. To give one another name, rename it."
        for new, olds in changes.merged.items()
        if len(set(olds)) < 2
    ]
    olds = [old for those in changes.merged.values() for old in those]
    faults += [
        f"{old!r} is merged twice. Merge it into one label." for old in sorted({o for o in olds if olds.count(o) > 1})
    ]
    stay = [label for label in known if label not in changes.names]
    named = [
        *changes.renamed.values(),
        *changes.added,
        *(new for new in changes.merged if new not in changes.merged[new]),
    ]
    for name in dict.fromkeys(named):
        if not name.strip():
            faults.append("A label needs a name.")
        elif name in stay:
            faults.append(f"{name!r} is a label of this run already. Choose another name, or merge labels into it.")
        elif named.count(name) > 1:
            faults.append(f"{name!r} would be the name of two labels. Choose another, or merge them.")
    return faults


def as_noted(changes: Changes) -> dict[str, Any]:
    """What `metrics.json` says of them."""
    kinds = {
        "renamed": dict(changes.renamed),
        "merged": {new: list(olds) for new, olds in changes.merged.items()},
        "added": list(changes.added),
    }
    return {kind: value for kind, value in kinds.items() if value}
