"""What each registry holds: its own entries with their line of help, and the entry-point group that adds to it."""

from __future__ import annotations

from markup import code, entry, plain

from nlptl.named import Registry
from nlptl.registry import REGISTRIES


def markdown() -> str:
    """A section per registry."""
    return "\n".join(_section(registry) for registry in REGISTRIES.values())


def _section(registry: Registry[object]) -> str:
    group = f"Entry-point group {code(registry.group)}.\n" if registry.group else ""
    own = (name for name in registry if registry.package(name) is None)
    entries = (entry(code(name), plain(registry.help(name))) for name in own)
    return "\n".join([f"### Registry: {registry.kind}\n", group, *entries])
