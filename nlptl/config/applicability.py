"""Which settings have an effect on which run; one that has none is refused where a user gives it.

Every setting applies to every run, except as a rule of the table `nlptl.config.rules.RULES` says. A rule speaks of
what a run is (whether its encoder learns, whether it has adapters, how many tasks it has), and of names only where a
section of settings belongs to one strategy or method. So modes and strategies of outside packages are covered too.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from nlptl.config.overrides import dotted_keys
from nlptl.config.rules import broken_rule
from nlptl.config.run import RunConfig
from nlptl.config.situation import Situation
from nlptl.errors import ConfigError, joined

log = logging.getLogger("nlptl")


def check_applicability(
    situation: Situation, given: Collection[str], stated: Mapping[str, Any], defaults: Collection[Mapping[str, Any]]
) -> None:
    """Refuse settings of a call that would have no effect, or warn of them.

    A file may state more than applies to the run: the run.yaml of a finished run states every setting. So what only the
    file says is never refused; where it is neither the setting's default nor that of a mode, a warning names it.

    Args:
        situation: the run.
        given: dotted settings that keywords, flags or `--set` gave.
        stated: dotted settings of the file, and their values.
        defaults: values of dotted settings that are filled in where nothing is said.

    Raises:
        ConfigError: lists every setting that was given and has no effect.
    """
    usual = [settings_of(RunConfig(task=situation.config.task)), *defaults]
    refused: dict[str, str] = {}
    aside: dict[str, str] = {}
    for key in dotted_keys():
        rule = broken_rule(key, situation)
        if rule is None:
            continue
        if key in given and not rule.harmless:
            refused[key] = rule.sentence(situation)
        elif key in given or (key in stated and all(stated[key] != known.get(key) for known in usual)):
            aside[key] = rule.sentence(situation)
    tell(refused, aside)


def tell(refused: Mapping[str, str], aside: Mapping[str, str]) -> None:
    """Refuse settings without effect, and warn of others.

    Args:
        refused: setting -> why it has no effect.
        aside: likewise, for those that are left aside.

    Raises:
        ConfigError: lists every refused setting.
    """
    if refused:
        faults = [ConfigError(f"{key} would have no effect: {why}. Leave it out.") for key, why in refused.items()]
        raise joined("The configuration", faults)
    for why in dict.fromkeys(aside.values()):
        keys = ", ".join(key for key, reason in aside.items() if reason == why)
        log.warning(f"Settings without effect, left aside: {keys} ({why})")


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Every setting of a configuration by its dotted key."""
    return flattened(config.model_dump(mode="json"))


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values of a RunConfig by dotted key; open ones (None) and keys that are no settings are left out."""
    found = {}
    for key in dotted_keys():
        section, _, name = key.rpartition(".")
        home = values.get(section) if section else values
        value = home.get(name) if isinstance(home, Mapping) else None
        if value is not None:
            found[key] = value
    return found
