"""Where things lie: the bundled files, the user's paths, and the cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from nlptl.errors import ConfigError, NlptlError

_PACKAGE = Path(__file__).resolve().parent.parent


def bundled(name: str) -> Path:
    """The bundled folder `name`: inside the package in a wheel, at the repository's top in a checkout."""
    for folder in (_PACKAGE / "_bundled" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise NlptlError(f"The bundled folder {name!r} is missing from this installation. Reinstall nlptl.")


def user_path(text: str | Path) -> Path:
    """A path as a user wrote it, `~` being the home folder.

    Raises:
        ConfigError: `~name` of a user that does not exist.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{str(text)!r}: there is no home folder of that name. Write the path in full.") from error


def cache_dir() -> Path:
    """Where features and token ids are kept: `NLPTL_CACHE`, else `$XDG_CACHE_HOME/nlptl`, else `~/.cache/nlptl`."""
    if chosen := os.environ.get("NLPTL_CACHE"):
        return user_path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nlptl"
