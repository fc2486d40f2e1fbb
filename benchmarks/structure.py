"""The structure of the package in numbers: rooms, files, import circles, and the files on the straight path.

    python benchmarks/structure.py                     # of the checkout this file lies in
    python benchmarks/structure.py --root OTHER        # of another checkout, such as an older commit

The straight path is a real `nlptl train sentiment --mode lora` of one epoch. Counted are the files of the package in
which any function was called (after imports), and those of them that were handed the configuration or a section of it.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
TRACED = """
import json, sys
from pathlib import Path
root, output = sys.argv[1:]
entered, handed = set(), set()

def watch(frame, event, _):
    file = frame.f_code.co_filename
    if event != "call" or not file.startswith(root):
        return
    code = frame.f_code
    if code.co_name == "<module>":
        return
    entered.add(file)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for name in names:
        kinds = {base.__name__ for base in type(frame.f_locals.get(name)).__mro__}
        if "Record" in kinds and not kinds & {"TaskSpec", "NamedData", "ModeDefaults", "DecisionSpec"}:
            handed.add(file)

import nlptl
from nlptl.api import train
sys.setprofile(watch)
settings = {"training.epochs": 1, "runtime.progress": False}
train("sentiment", mode="lora", output=output + "/run", settings=settings)
sys.setprofile(None)
Path(output, "seen.json").write_text(json.dumps({"entered": sorted(entered), "handed": sorted(handed)}))
"""


def rooms(package: Path) -> dict[str, dict[str, int]]:
    """Folder of the package -> number of files, of lines, and the lines of its longest file."""
    found: dict[str, list[int]] = {}
    for file in sorted(package.rglob("*.py")):
        room = file.parent.relative_to(package.parent).as_posix()
        found.setdefault(room, []).append(len(file.read_text(encoding="utf-8").splitlines()))
    return {name: {"files": len(n), "lines": sum(n), "longest": max(n)} for name, n in found.items()}


def circles(package: Path) -> list[list[str]]:
    """Groups of modules that import each other at import time, directly or through others."""
    graph = {name: set(_imported(file, package)) for name, file in _modules(package).items()}
    reached = {name: _reachable(graph, name) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(sorted(group) for group in groups if group)


def _modules(package: Path) -> dict[str, Path]:
    files = sorted(package.rglob("*.py"))
    return {".".join(f.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


def _imported(file: Path, package: Path) -> Iterator[str]:
    known = _modules(package)
    for node in ast.parse(file.read_text(encoding="utf-8")).body:  # what stands inside functions runs later
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == package.name:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in graph.get(waiting.pop(), set()) - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def straight_path(root: Path) -> dict[str, list[str]]:
    """Files entered, and files handed the configuration, while `nlptl train sentiment --mode lora` runs."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(root), "NLPTL_CACHE": folder}
        command = [sys.executable, "-c", TRACED, str(root / "nlptl"), folder]
        subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True, text=True)
        seen: dict[str, list[str]] = json.loads(Path(folder, "seen.json").read_text())
    return {kind: [str(Path(file).relative_to(root)) for file in files] for kind, files in seen.items()}


def measure(root: Path) -> dict[str, Any]:
    """All of it."""
    package = root / "nlptl"
    return {"rooms": rooms(package), "circles": circles(package), "path": straight_path(root)}


def table(found: dict[str, Any]) -> str:
    """The rooms, and a line on the rest, as Markdown."""
    lines = ["| room | files | lines | longest file |", "|---|---|---|---|"]
    for name, room in found["rooms"].items():
        lines.append(f"| {name} | {room['files']} | {room['lines']} | {room['longest']} |")
    every = found["rooms"].values()
    longest = max(room["longest"] for room in every)
    lines.append(f"| all | {sum(r['files'] for r in every)} | {sum(r['lines'] for r in every)} | {longest} |")
    lines.append("")
    path = found["path"]
    homes = {tuple(Path(file).parts[:2]) for file in path["handed"]}
    lines.append(
        f"Import circles: {len(found['circles'])}. Straight path: {len(path['entered'])} files entered, "
        f"{len(path['handed'])} of them, in {len(homes)} rooms, handed the configuration or a section of it."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=HERE)
    parser.add_argument("--paths", action="store_true", help="Also list the files of the straight path.")
    given = parser.parse_args()
    found = measure(given.root.resolve())
    print(table(found))
    if given.paths:
        for kind, files in found["path"].items():
            print(f"\n{kind}:", *files, sep="\n  ")


if __name__ == "__main__":
    main()
