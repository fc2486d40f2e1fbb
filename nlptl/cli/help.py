"""Help texts whose choices come from the registries, filled in when help is asked for.

So installed packages that add a mode or a baseline appear in `--help`, and nothing is looked up for other commands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

from nlptl.registry import BASELINES, MODES, OBJECTIVES, STRATEGIES, Registry

_REGISTRIES: Mapping[str, Registry[Any]] = {
    "modes": MODES,
    "strategies": STRATEGIES,
    "baselines": BASELINES,
    "objectives": OBJECTIVES,
}


def choices_text(registry: Registry[Any]) -> str:
    """Every name of a registry with its line of help; nothing is imported for it."""
    described = [f"{name} ({registry.help(name)})" if registry.help(name) else name for name in registry]
    return "; ".join(described)


def filled(text: str) -> str:
    """A help text in which `<modes>` and the like are replaced by the registry's choices."""
    return re.sub(r"<(\w+)>", lambda found: choices_text(_REGISTRIES[found[1]]), text)


class ChoicesCommand(TyperCommand):
    """A command whose options name the choices of registries in their help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                setattr(parameter, "help", filled(text))  # noqa: B010  arguments and options share no type with a help
        super().format_help(ctx, formatter)
