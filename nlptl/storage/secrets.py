"""Keeping secrets out of what is written: run.yaml, logs, cards and messages."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

_LOGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s:@]*:[^/\s@]+@")
_TOKENS = re.compile(r"\b(?:hf_[A-Za-z0-9]{16,}|github_pat_\w{16,}|gh[pousr]_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{16})\b")
_SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
SHORTEST = 8  # a shorter value of a variable stands in ordinary words, and hides nothing worth hiding


def redact(text: str) -> str:
    """The text with `***` for logins in URLs, access tokens, and values of variables named like a secret."""
    text = _TOKENS.sub("***", _LOGIN.sub(r"\g<scheme>***@", text))
    for value in _secret_values():
        text = text.replace(value, "***")
    return text


def holds_secret(text: str) -> bool:
    """Whether `redact` would change the text."""
    return redact(text) != text


class RedactSecrets(logging.Filter):
    """Put on a log handler: no record leaves it with a secret in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; it always passes."""
        message = record.getMessage()
        if holds_secret(message):
            record.msg, record.args = redact(message), None
        return True


def _secret_values() -> list[str]:
    """Longest first, so that a value inside another one leaves no remainder behind."""
    found = {v for name, v in os.environ.items() if _SECRET_NAMES.search(name) and len(v) >= SHORTEST}
    # A switch such as SOME_TOKEN_CACHE=disabled is no secret, nor is a path to where one is kept.
    return sorted((v for v in found if not (v.isalpha() and len(v) < 16) and not Path(v).exists()), key=len)[::-1]
