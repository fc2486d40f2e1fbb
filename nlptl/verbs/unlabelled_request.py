"""As `nlptl.verbs.request`, for the verbs that learn from texts without labels: pretrain and discover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptl.checkpoints import check_checkpoint
from nlptl.config.applicability import tell
from nlptl.config.overrides import merge_settings, validated
from nlptl.config.records import plain
from nlptl.errors import NlptlError
from nlptl.explore.config import DiscoverConfig
from nlptl.models.shapes import SHAPES
from nlptl.pretraining.applicability import check_pretraining
from nlptl.pretraining.config import PretrainConfig
from nlptl.registry import OBJECTIVES
from nlptl.verbs.request import find_tasks_of


def checked_pretraining(
    file: str | Path | None, settings: Mapping[str, Any], faults: Sequence[NlptlError] = ()
) -> PretrainConfig:
    """As `checked_config`, for a pre-training.

    Raises:
        NlptlError: every fault of the settings, each name that there is not, and settings that have no effect.
    """
    values, wrong = merge_settings(PretrainConfig, file, settings)
    missing = find_tasks_of(values)[1]
    checks = (
        (OBJECTIVES.check, values.get("objective")),
        (check_checkpoint, plain(values.get("checkpoint"))),
        (SHAPES.check, values.get("shape")),
    )
    for check, name in checks:
        try:
            if isinstance(name, str):
                check(name)
        except NlptlError as error:
            missing.append(error)
    config = validated(PretrainConfig, values, file, [*faults, *wrong, *missing])
    check_pretraining(config, {key.replace("__", ".") for key, value in settings.items() if value is not None})
    return config


def checked_discovery(
    file: str | Path | None, settings: Mapping[str, Any], faults: Sequence[NlptlError] = ()
) -> DiscoverConfig:
    """As `checked_config`, for a search for groups of texts.

    Raises:
        NlptlError: every fault of the settings, each name that there is not, and settings that have no effect.
    """
    values, wrong = merge_settings(DiscoverConfig, file, settings)
    missing: list[NlptlError] = []
    try:
        if isinstance(checkpoint := plain(values.get("checkpoint")), str):
            check_checkpoint(checkpoint)
    except NlptlError as error:
        missing.append(error)
    config = validated(DiscoverConfig, values, file, [*faults, *wrong, *missing])
    given = {key.replace("__", ".") for key, value in settings.items() if value is not None}
    refused: dict[str, str] = {}
    if config.groups.method == "hdbscan":
        why = "hdbscan finds the number of groups and the texts of none by itself"
        refused = {key: why for key in ("groups.number", "groups.most", "groups.noise") if key in given}
    elif config.groups.number is not None and "groups.most" in given:
        refused = {"groups.most": "groups.number gives the number of groups, and none is searched for"}
    tell(refused, {})
    return config
