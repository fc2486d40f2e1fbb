"""Which settings have an effect on which pre-training; one that has none is refused where a user gives it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from nlptl.config.applicability import tell
from nlptl.config.overrides import dotted_keys
from nlptl.pretraining.config import PretrainConfig

OWN_DETAILS = {
    "masked_lm": ("details.mask", "details.whole_words", "details.head_warmup"),
    "simcse": ("details.temperature",),
    "tsdae": ("details.deletion",),
}
"""The settings that one objective reads; an objective of another package may read any of them."""


class Rule(NamedTuple):
    """Settings that have an effect on some pre-trainings only."""

    keys: tuple[str, ...]
    """Dotted settings; `section.*` for all of a section."""
    applies: Callable[[PretrainConfig], bool]
    reason: str
    harmless: bool = False
    """True: left aside with a warning. False: refused."""


def _of_objective(name: str) -> Callable[[PretrainConfig], bool]:
    return lambda config: config.objective == name or config.objective not in OWN_DETAILS


RULES = (
    *(Rule(keys, _of_objective(name), f"it belongs to objective {name}") for name, keys in OWN_DETAILS.items()),
    Rule(("details.head_warmup",), lambda c: c.checkpoint is not None, "a new encoder learns with its head at once"),
    Rule(
        ("tokenizer.kind", "tokenizer.size", "tokenizer.lowercase"),
        lambda c: c.shape is not None,
        "a checkpoint brings its tokenizer; a new one is made for a new encoder (shape)",
    ),
    Rule(
        ("tokenizer.extend", "tokenizer.extend_occurrences"),
        lambda c: c.checkpoint is not None,
        "the tokenizer of a new encoder is made from the corpus (tokenizer.size)",
    ),
    Rule(("tokenizer.extend_occurrences",), lambda c: c.tokenizer.extend > 0, "it belongs to tokenizer.extend"),
    Rule(
        ("corpus.sources", "corpus.text_column", "corpus.encoding", "corpus.delimiter", "corpus.quotes"),
        lambda c: c.task is None,
        "the texts are those of a task (data.source, data.text_columns, data.encoding)",
    ),
    Rule(("data.*",), lambda c: c.task is not None, "it belongs to the texts of a task (task)"),
    Rule(("data.label_names",), lambda c: False, "labels' names are learned from beside labelled texts (nlptl train)"),
    Rule(
        ("data.target", "data.target_test"),
        lambda c: False,
        "it belongs to strategy domain_adaptation (nlptl adapt)",
    ),
    Rule(
        ("training.refit", "training.class_weights", "training.label_smoothing"),
        lambda c: False,
        "unlabelled texts have no labels",
    ),
    Rule(("training.epochs",), lambda c: c.steps is None, "steps says how long it learns"),
    Rule(
        ("runtime.gradient_checkpointing", "runtime.compile", "runtime.measure_peak"),
        lambda c: False,
        "pre-training does not use it",
        harmless=True,
    ),
)


def check_pretraining(config: PretrainConfig, given: Collection[str]) -> None:
    """Refuse settings of a call that would have no effect, or warn of them; a file may state them.

    Args:
        config: what will be done.
        given: dotted settings that keywords, flags or `--set` gave.

    Raises:
        ConfigError: lists every setting that was given and has no effect.
    """
    refused: dict[str, str] = {}
    aside: dict[str, str] = {}
    for key in dotted_keys(PretrainConfig):
        rule = broken_rule(key, config)
        if rule is not None and key in given:
            (aside if rule.harmless else refused)[key] = rule.reason
    tell(refused, aside)


def broken_rule(key: str, config: PretrainConfig) -> Rule | None:
    """The rule by which a setting has no effect on a pre-training; None where it has one."""
    section = f"{key.partition('.')[0]}.*"
    return next((r for r in RULES if (key in r.keys or section in r.keys) and not r.applies(config)), None)
