"""Sizes and ages as people write them."""

from __future__ import annotations

import re

from nlptl.errors import ConfigError

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SPANS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_size(text: str) -> int:
    """Bytes from `500MB`, `10 GB`, `1.5GiB`, or a plain number of bytes.

    Raises:
        ConfigError: anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ConfigError(f"{text!r} is no size. Write for example 500MB, 10GB or 0 (cache nothing).")
    return round(float(match[1]) * _UNITS[match[2]])


def parse_age(text: str) -> float:
    """Seconds from `30m`, `12h`, `7d` or `2w`.

    Raises:
        ConfigError: anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip().lower())
    if match is None:
        raise ConfigError(f"{text!r} is no age. Write for example 30m (minutes), 12h, 7d or 2w.")
    return float(match[1]) * _SPANS[match[2]]


def show_size(size: int) -> str:
    """Bytes as people write them: 999 B, 1.5 kB, 12.3 MB, 4.0 GB."""
    if size < 1000:
        return f"{size} B"
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}"


def show_span(seconds: float) -> str:
    """Seconds as people write them: 0.4 s, 12 s, 4 min, 1.5 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"
