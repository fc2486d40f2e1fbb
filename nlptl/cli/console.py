"""What goes to the terminal: messages of the log beside a progress bar, errors, and how a shown command begins."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
import warnings
from pathlib import Path

from nlptl.storage.secrets import RedactSecrets, redact


class BesideBars(logging.StreamHandler):  # type: ignore[type-arg]
    """Takes a progress bar away while it writes, so that a message has lines of its own."""

    def emit(self, record: logging.LogRecord) -> None:
        """As any handler; whoever draws a bar has imported tqdm."""
        bars = sys.modules.get("tqdm.auto")
        if bars is None:
            super().emit(record)
            return
        with bars.tqdm.external_write_mode(file=self.stream):
            super().emit(record)


def configure_output(debug: bool) -> None:
    """The package's own messages on standard output; other libraries' only when they are errors, or with --debug."""
    handler = BesideBars(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(RedactSecrets())
    handler.setLevel(logging.INFO)  # --verbose takes it down
    log = logging.getLogger("nlptl")
    log.setLevel(logging.DEBUG if int(os.environ.get("RANK", "0")) == 0 else logging.ERROR)
    log.addHandler(handler)
    log.propagate = False
    if not debug:
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=UserWarning)


def tell_error(message: str) -> None:
    """One message, without secrets, and without letters that a terminal would act upon or cannot print."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in redact(message))
    print(f"error: {shown}", file=sys.stderr)


def program() -> str:
    """How a shown command begins: `nlptl`, or as this program was called where the shell knows no such name."""
    called = Path(sys.argv[0])
    return "nlptl" if called.name != "nlptl" or shutil.which("nlptl") else shlex.quote(str(called))
