"""Options that take several values: with commas between them, or repeated; not as loose words behind."""

from __future__ import annotations

from pathlib import Path

from nlptl.checkpoints import CHECKPOINTS
from nlptl.errors import ConfigError
from nlptl.tasks import find_tasks


def listed(values: list[str] | None) -> list[str]:
    """The values of an option that is repeated or takes several with commas between them.

    A name with a comma in it is one value where such a file exists.
    """
    found: list[str] = []
    for value in values or []:
        parts = [value] if Path(value).exists() else value.split(",")
        found += [part.strip() for part in parts if part.strip()]
    return found


def refuse_loose_words(command: str, option: str, given: list[str], words: list[str], tasks_dir: str | None) -> None:
    """Refuse words behind an option that takes one value each time, and say how several are written.

    Args:
        command: such as `nlptl rank`.
        option: such as `--checkpoints`.
        given: the option's values.
        words: the command's arguments, of which one at most is the task.
        tasks_dir: where the user's own tasks are.

    Raises:
        ConfigError: there is more than one word, or the only one is no task while the option has a value.
    """
    known = find_tasks(tasks_dir)
    task = next((word for word in words if word in known), None)
    others = [word for word in words if word != task]
    if not others or (len(words) == 1 and not (given and _names_a_thing(words[0]))):
        return
    several = ",".join([*given, *others])
    raise ConfigError(
        f"{', '.join(map(repr, others))}: {option} takes several with commas between them, or is repeated. "
        f"Write: {command} {task or 'TASK'} {option} {several}"
    )


def _names_a_thing(word: str) -> bool:
    """Whether a word that is no task looks like a checkpoint or a file."""
    return word in CHECKPOINTS or Path(word).exists() or "/" in word or bool(Path(word).suffix)
