"""Commands that say what is here: checkpoints, accelerate configs, environment, version."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.table import Table

from nlptl.cli.choices import CHOICES, completing
from nlptl.cli.help import OTHER
from nlptl.cli.options import out
from nlptl.errors import ConfigError


def checkpoints() -> None:
    """List the checkpoints known by name."""
    from nlptl.checkpoints import CHECKPOINTS

    table = Table("name", "Hub id", "pooling", "description")
    for name in CHECKPOINTS:
        known = CHECKPOINTS.get(name)
        table.add_row(name, known.hub_id, known.pooling, known.description)
    out.print(table)


def configs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Print the path of this one: <configs>.",
            autocompletion=completing("configs"),
            rich_help_panel=OTHER,
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the accelerate configs, or print one's path: accelerate launch --config_file $(nlptl configs cpu) ..."""
    from nlptl.errors import unknown
    from nlptl.storage.paths import bundled

    known = CHOICES["configs"]()
    if name is not None and name not in known:
        raise ConfigError(unknown("accelerate config", name, known))
    if name is not None:
        print(bundled("accelerate_configs") / f"{name}.yaml")
        return
    for stem, line in known.items():
        out.print(f"{stem:16} {line}", highlight=False)


def env() -> None:
    """Print what a bug report needs."""
    import platform

    import torch

    from nlptl.storage.paths import bundled, cache_dir
    from nlptl.storage.versions import environment
    from nlptl.training.runtime import local_runtime

    runtime = local_runtime()
    facts = {
        **environment(),
        "platform": platform.platform(),
        "processor": torch.cpu.get_capabilities().get("cpu_name") or platform.processor(),
        "threads": torch.get_num_threads(),
        "gpus": ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) or "none",
        "device and precision chosen": f"{runtime.device.type}, {runtime.precision}",
        "feature cache": cache_dir(),
        "tasks": bundled("tasks"),
        **{
            name: os.environ[name]
            for name in ("NLPTL_TASKS", "NLPTL_CACHE", "NLPTL_CACHE_LIMIT", "HF_HOME", "HF_HUB_OFFLINE")
            if name in os.environ
        },
    }
    for key, value in facts.items():
        print(f"{key}: {value}")


def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    print(installed("nlptl"))
