"""Audit of the dependencies: `python .ci/audit.py`; exit code 1 where something is wrong.

What is installed for nlptl has to be what `constraints.txt` records, version by version. Then pip-audit looks the
record up in a database of vulnerabilities, where that can be reached; else the record is all there is, which is said.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

RECORD = Path(__file__).parent.parent / "constraints.txt"
DATABASE = "https://api.osv.dev"
INSTALLER = {"pip"}  # comes with Python


def recorded(file: Path = RECORD) -> dict[str, str]:
    """Versions by canonical name."""
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", file.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pinned}


def unrecorded(known: dict[str, str], root: str = "nlptl") -> tuple[int, list[str]]:
    """How many distributions are installed for `root` and its extras, and what is wrong with which of them.

    What a recorded one pins exactly counts as recorded: so torch does with the libraries of its CUDA build.
    """
    top = canonicalize_name(root)
    waiting, seen = [(top, extra) for extra in ("", *_extras(root))], set[tuple[str, str]]()
    installed: dict[str, str] = {}
    covered = set(known)
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed
        installed[name] = Version(found.version).public  # 2.13.0 of 2.13.0+cpu
        for needed in _needed(found.requires or [], extra):
            key = canonicalize_name(needed.name)
            if name in covered and any(part.operator == "==" and "*" not in part.version for part in needed.specifier):
                covered.add(key)
            waiting += [(key, more) for more in ("", *needed.extras)]
    others = sorted(set(installed) - INSTALLER - {top})
    wrong = [name for name in others if installed[name] != known.get(name, installed[name]) or name not in covered]
    return len(others), [f"{n} {installed[n]} is installed, {known.get(n, 'nothing')} is recorded" for n in wrong]


def _extras(root: str) -> list[str]:
    return metadata.metadata(root).get_all("Provides-Extra") or []


def _needed(lines: Iterable[str], extra: str) -> Iterable[Requirement]:
    return (need for need in map(Requirement, lines) if need.marker is None or need.marker.evaluate({"extra": extra}))


def _reachable() -> bool:
    try:
        urlopen(DATABASE, timeout=5).close()
    except HTTPError:
        return True  # it answers, if only that there is nothing at its root
    except (URLError, OSError):
        return False
    return True


def main() -> int:
    """Report on standard output."""
    count, faults = unrecorded(recorded())
    for fault in faults:
        print(f"NOT RECORDED: {fault}")
    if faults:
        print(f"Install with -c {RECORD.name}, or review these and record them there.")
        return 1
    print(f"The {count} packages installed for nlptl are those that {RECORD.name} records.")
    if not _reachable():
        print(f"NOT LOOKED UP: {DATABASE}, where pip-audit finds vulnerabilities, cannot be reached.")
        return 0
    options = ["--vulnerability-service", "osv", "--no-deps", "--disable-pip", "-r", str(RECORD)]
    return subprocess.run([sys.executable, "-m", "pip_audit", *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
