"""Which other packages a run needs: those that registered its mode, strategy, decision policy or baseline."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nlptl.config.run import RunConfig
from nlptl.errors import ArtifactError
from nlptl.named import Registry
from nlptl.registry import BASELINES, MODES, POLICIES, PREDICTORS, REGISTRIES, STRATEGIES
from nlptl.tasks import TaskSpec


def packages_of(config: RunConfig, tasks: Iterable[TaskSpec], kind: str) -> list[dict[str, Any]]:
    """What the manifest notes of other packages; empty where nlptl brings all that the run is made of.

    Args:
        config: resolved, of the run.
        tasks: of the run.
        kind: of run, a name in `PREDICTORS`.
    """
    used: list[tuple[Registry[Any], str | None]] = [(PREDICTORS, kind), (STRATEGIES, config.strategy)]
    used += [(BASELINES, config.baseline.model)] if config.baseline.model else [(MODES, config.mode)]
    used += [(POLICIES, task.decision.policy) for task in tasks]
    noted: dict[tuple[str, str], dict[str, Any]] = {}
    for registry, name in used:
        package = registry.package(name) if name is not None else None
        if name is not None and package is not None:
            of = {"package": package.name, "version": package.version}
            noted[registry.kind, name] = {"kind": registry.kind, "name": name, **of}
    return list(noted.values())


def check_packages(folder: Path, noted: Iterable[dict[str, Any]]) -> None:
    """Refuse a run whose parts are registered by packages that are not here.

    Args:
        folder: of the run.
        noted: what `packages_of` gave, from the manifest.

    Raises:
        ArtifactError: names each part, the package that brought it, and how to get it.
    """
    lacking = [part for part in noted if part["kind"] in REGISTRIES and part["name"] not in REGISTRIES[part["kind"]]]
    if not lacking:
        return
    parts = "; ".join(f"the {part['kind']} {part['name']!r} of {_named(part)}" for part in lacking)
    raise ArtifactError(
        f"{folder} cannot be opened: it was made with {parts}, which is not installed here. {_advice(lacking)}"
    )


def _named(part: dict[str, Any]) -> str:
    if part.get("version"):
        return f"the package {part['package']} {part['version']}"
    return f"the module {part['package']}" if part.get("package") else "another module"


def _advice(lacking: list[dict[str, Any]]) -> str:
    packages = sorted({f"{part['package']}=={part['version']}" for part in lacking if part.get("version")})
    modules = sorted({str(part["package"]) for part in lacking if not part.get("version") and part.get("package")})
    said = [f"Install it: pip install {' '.join(packages)}"] if packages else []
    said += [f"Import the module that registers it first: {', '.join(modules)}"] if modules else []
    return ". ".join(said or ["Register it before opening the run"]) + "."
