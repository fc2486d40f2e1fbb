"""What an option may be: the names that help shows and that the shell completes.

Names come from the registries and from the types of settings, and are asked for when help or a completion is: installed
packages that add a mode or a baseline appear, and other commands look nothing up. Any other value is taken as well, and
answered by whoever reads it, with the other faults of the command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from rich.markup import escape

from nlptl.checkpoints import CHECKPOINTS
from nlptl.comparison.methods import known_methods
from nlptl.config.records import Record
from nlptl.config.run import AUTO, PROBABILITY, RunConfig
from nlptl.explore.config import DiscoverConfig
from nlptl.inference.export import names as export_names
from nlptl.models.shapes import SHAPES
from nlptl.named import Registry
from nlptl.pretraining.config import PretrainConfig
from nlptl.quality.config import FOLDS_FROM
from nlptl.registry import ATTACKS, BASELINES, MODES, OBJECTIVES, POLICIES, SCORERS, STRATEGIES
from nlptl.storage.cache import EARLIER, KINDS, UNFINISHED
from nlptl.storage.paths import bundled
from nlptl.tasks import find_tasks

Names = Mapping[str, str]
"""Name -> its line of help, which may be empty."""
EVERY = "all"
EXPLANATIONS = {"table": "to read", "json": "one object"}
FORMATS = {"table": "to read", "json": "one object a line", "tsv": "one line a text"}


def _of(registry: Registry[Any]) -> Callable[[], Names]:
    return lambda: {name: registry.help(name) for name in registry}


def _literal(record: type[Record], key: str) -> Callable[[], Names]:
    """The values that a setting's type lists."""

    def names() -> Names:
        section, _, name = key.rpartition(".")
        home = record.model_fields[section].annotation if section else record
        assert isinstance(home, type)
        assert issubclass(home, Record)
        kind = home.model_fields[name].annotation
        found = [value for part in (kind, *get_args(kind)) for value in get_args(part) if isinstance(value, str)]
        return dict.fromkeys(found, "")

    return names


def _tasks() -> Names:
    registry = find_tasks()
    return {name: registry.get(name).description for name in registry}


def _checkpoints() -> Names:
    return {name: CHECKPOINTS.get(name).description for name in CHECKPOINTS}


def _configs() -> Names:
    files = sorted(bundled("accelerate_configs").glob("*.yaml"))
    return {file.stem: file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for file in files}


def _runs() -> Names:
    """Finished runs here and in the folder where they usually are."""
    return {str(file.parent): "" for where in ("*", "runs/*") for file in sorted(Path().glob(f"{where}/manifest.json"))}


CHOICES: dict[str, Callable[[], Names]] = {
    "methods": known_methods,
    "modes": _of(MODES),
    "strategies": _of(STRATEGIES),
    "baselines": _of(BASELINES),
    "baselines-or-all": lambda: {**_of(BASELINES)(), EVERY: "each of them, to compare"},
    "attacks": _of(ATTACKS),
    "normalisers": _literal(RunConfig, "data.normaliser"),
    "objectives": _of(OBJECTIVES),
    "shapes": _of(SHAPES),
    "tokenizers": _literal(PretrainConfig, "tokenizer.kind"),
    "adaptations": _literal(RunConfig, "adaptation.method"),
    "groupings": _literal(DiscoverConfig, "groups.method"),
    "precisions": _literal(RunConfig, "runtime.precision"),
    "quotes": _literal(RunConfig, "data.quotes"),
    "bad-rows": _literal(RunConfig, "data.bad_rows"),
    "head-starts": _literal(RunConfig, "model.head_start"),
    "policies": _of(POLICIES),
    "calibrations": _literal(RunConfig, "decision.calibration"),
    "rejections": _literal(RunConfig, "decision.reject"),
    "scorers": lambda: {
        AUTO: "the best on half of validation's rows",
        PROBABILITY: "that of the most probable label",
        **_of(SCORERS)(),
    },
    "sets": _literal(RunConfig, "decision.sets"),
    "decisions": lambda: {"argmax": "the most probable label, instead of the run's own decision policy"},
    "explanations": lambda: EXPLANATIONS,
    "formats": lambda: FORMATS,
    "exports": lambda: export_names.FORMATS,
    "export-precisions": lambda: export_names.PRECISIONS,
    "cache-kinds": lambda: dict.fromkeys((*KINDS, EARLIER, UNFINISHED), ""),
    "kinds": lambda: {"single_label": "one", "multi_label": "any number, or none"},
    "folds-from": lambda: FOLDS_FROM,
    "tasks": _tasks,
    "checkpoints": _checkpoints,
    "configs": _configs,
    "runs": _runs,
}
"""What is chosen -> its names. In the help of a command `<modes>` is replaced by all of them."""


def completing(what: str) -> Callable[[str], list[tuple[str, str]]]:
    """For typer's `autocompletion`: the names that go on as the word begins, each with its line of help.

    Args:
        what: a key of `CHOICES`. A word of several names, a+b or a,b, is completed at its last one.
    """

    def complete(incomplete: str) -> list[tuple[str, str]]:
        found = re.match(r"(.*[+,])?(.*)", incomplete, re.DOTALL)
        before, last = (found[1] or "", found[2]) if found else ("", incomplete)
        return [(before + name, line) for name, line in CHOICES[what]().items() if name.startswith(last)]

    return complete


def filled(text: str) -> str:
    """A help text in which `<modes>` and the like are replaced by the names and their lines of help."""
    return re.sub(r"<([\w-]+)>", lambda found: _described(CHOICES[found[1]]()), text)


def metavar(text: str) -> str:
    """What stands for an option's value: `<modes>` becomes the names themselves."""
    whole = re.fullmatch(r"<([\w-]+)>", text)
    return f"[{' | '.join(CHOICES[whole[1]]())}]" if whole else text


def _described(names: Names) -> str:
    return "; ".join(f"{name} ({escape(line)})" if line else name for name, line in names.items())
