"""What can be compared: classical models, training from scratch, and the ways to transfer; as settings of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nlptl.errors import ConfigError, unknown
from nlptl.registry import BASELINES, MODES, STRATEGIES

Kind = Literal["classical", "scratch", "transfer"]
TFIDF, SCRATCH = "tfidf", "scratch"
USUAL = (TFIDF, "feature_extraction", "lora", "full")
"""The methods of a comparison that names none."""
OTHER_NAMES = {"tree": "decision_tree", "svm": "linear_svm", "frozen": "feature_extraction"}
"""What somebody may call it -> its name."""
ELSEWHERE = {
    "fine_tune": "Fine-tuning is compared by its mode: full, lora.",
    "domain_adaptation": "Domains are compared by `nlptl adapt --domains`.",
}
"""Strategies that are no method -> why."""


@dataclass(frozen=True)
class Method:
    """One way to learn the task: the runs that it takes, of which the best on validation counts."""

    name: str
    kind: Kind
    help: str
    runs: Mapping[str, Mapping[str, Any]]
    """Name of a run -> the dotted settings that make it."""


def known_methods() -> dict[str, str]:
    """Every method that can be named, and its line of help."""
    found = {
        TFIDF: f"the best of the classical models on TF-IDF: {', '.join(BASELINES)}",
        **{name: BASELINES.help(name) for name in BASELINES},
        SCRATCH: "the checkpoint's architecture from random weights",
        **{name: MODES.help(name) for name in MODES},
        **{name: STRATEGIES.help(name) for name in STRATEGIES if name not in ELSEWHERE},
    }
    return {**found, **{alias: found[name] for alias, name in OTHER_NAMES.items() if name in found}}


def methods_of(names: Sequence[str] | None) -> list[Method]:
    """The methods by their names.

    Args:
        names: None: the usual ones.

    Raises:
        ConfigError: a name that there is not, one that is given twice, or a single method, which compares with nothing.
    """
    asked = [OTHER_NAMES.get(name, name) for name in names or USUAL]
    for name in asked:
        if name in ELSEWHERE:
            raise ConfigError(f"{name!r} is no method to compare. {ELSEWHERE[name]}")
        if name not in known_methods():
            raise ConfigError(unknown("method", name, known_methods()))
    _refuse_repeats(asked)
    if len(asked) < 2:
        raise ConfigError(f"A comparison needs two methods or more; given: {asked[0]}.")
    return [_method(name) for name in asked]


def _method(name: str) -> Method:
    help_line = known_methods()[name]
    if name == TFIDF:
        return Method(name, "classical", help_line, {each: _classical(each) for each in BASELINES})
    if name in BASELINES:
        return Method(name, "classical", help_line, {name: _classical(name)})
    fine_tuned = {"mode": "full", "strategy": "fine_tune"}
    if name == SCRATCH:
        return Method(name, "scratch", help_line, {name: {**fine_tuned, "model.weights": "random"}})
    # The same way to learn at every size: by default a mode may take another strategy where there are few labels.
    own = {"mode": name} if name in MODES else {"strategy": name}
    return Method(name, "transfer", help_line, {name: {**fine_tuned, **own}})


def _classical(model: str) -> dict[str, Any]:
    return {"baseline.model": model}


def _refuse_repeats(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"The method {name!r} is named twice.")
        seen.add(name)
