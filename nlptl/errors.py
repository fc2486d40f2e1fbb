"""The errors a user can cause. Each message says what was asked, what is there, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class NlptlError(Exception):
    """Base of every error that is the user's to mend; the command line prints it without a traceback."""

    exit_code = 2


class ConfigError(NlptlError):
    """A setting, a flag or a task file is wrong.

    Args:
        message: what the user reads.
        faults: each fault alone, where the message lists several.
    """

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults) or (message,)


class DataError(NlptlError):
    """The data cannot be used as it is."""


class CheckpointError(NlptlError):
    """A pre-trained checkpoint cannot be found, trusted or opened."""


class ArtifactError(NlptlError):
    """A run folder is missing something, damaged, or did not survive its own check."""


class LaunchError(NlptlError):
    """The processes were started in a way that cannot train correctly."""


class LostProcessError(LaunchError):
    """Another process of the run ended or can no longer be reached; the run goes on from its last saved state."""

    exit_code = 76


class Preempted(NlptlError):
    """A signal asked training to stop; its state is saved, and the same command goes on from there."""

    exit_code = 75


class MissingExtraError(NlptlError):
    """An optional package is needed; names the extra that brings it."""


def joined(origin: str, errors: Sequence[NlptlError]) -> NlptlError:
    """One error for several: the error itself where there is only one, else a ConfigError that lists every fault.

    Args:
        origin: what has these faults, such as a file or "The call", for the first line.
        errors: one or more.
    """
    if len(errors) == 1:
        return errors[0]
    faults = [fault for error in errors for fault in getattr(error, "faults", (str(error),))]
    return ConfigError(f"{origin} has {len(faults)} faults:\n" + "\n".join(f"  - {f}" for f in faults), faults)


LONGEST_NAME = 200


def shortened(text: str, most: int = 100) -> str:
    """The text, or its beginning where it is too long for a message."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was most likely meant to be, or None."""
    if len(name) > LONGEST_NAME:  # no typing error; and the comparison takes time in the square of the length
        return None
    candidates = {k.lower(): k for k in known if len(k) <= LONGEST_NAME}
    match = difflib.get_close_matches(name.lower(), candidates, n=1, cutoff=0.6)
    return candidates[match[0]] if match else None


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """One sentence for a name that is not known: lists what is there, suggests the nearest."""
    names = sorted(known)
    text = f"Unknown {kind} {shortened(name)!r}. Available: {', '.join(names) or 'none'}."
    nearest = closest(name, names)
    return f"{text} Did you mean {nearest!r}?" if nearest else text
