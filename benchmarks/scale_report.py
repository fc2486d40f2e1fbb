"""Runs `python ARGUMENTS`, then says what the run folder's metrics.json says of the time: `scale_report RUN ...`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Run, then report; a failure of the command is a failure here."""
    done = subprocess.run([sys.executable, *sys.argv[2:]], check=False)
    if done.returncode:
        sys.exit(done.returncode)
    metrics = json.loads((Path(sys.argv[1]) / "metrics.json").read_text(encoding="utf-8"))
    print(json.dumps({**metrics["time"], "losses": metrics["training"]["losses"]}))


if __name__ == "__main__":
    main()
