"""The house stays as CONTRIBUTING.md draws it: small rooms, short files, no import circles, plain words."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 330
"""Lines of a file; one that needs more is two."""
MOST_FILES = 20
"""Files of a room, `__init__.py` included."""
PRIVATE = {
    "kept_heads": "cached_heads",
    "sealed": "atomic",
    "thaw": "unfreeze",
    "believed": "pseudo-labelled",
    "cut up": "sharded",
    "recordings": "CUDA graphs",
}
"""Words of earlier versions that only insiders understood -> the field's words."""


@pytest.fixture(scope="module")
def structure():
    spec = importlib.util.spec_from_file_location("structure", ROOT / "benchmarks" / "structure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rooms_are_small_and_files_short(structure):
    found = structure.rooms(ROOT / "nlptl")
    assert not {name: room["files"] for name, room in found.items() if room["files"] > MOST_FILES}
    assert not {name: room["longest"] for name, room in found.items() if room["longest"] > LONGEST}


def test_no_module_imports_itself_through_others(structure):
    assert structure.circles(ROOT / "nlptl") == []


def test_a_circle_would_be_found(structure, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text("from package.two import b\n")
    (package / "two.py").write_text("from package import one\n")
    assert structure.circles(package) == [["package.one", "package.two"]]


def test_every_room_is_drawn_in_contributing():
    drawn = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {path.parent.relative_to(ROOT / "nlptl").as_posix() for path in (ROOT / "nlptl").rglob("__init__.py")}
    assert not [room for room in rooms if room != "." and not re.search(rf"\b{room.split('/')[-1]}/", drawn)]


@pytest.mark.parametrize("word", PRIVATE)
def test_words_are_those_of_the_field(word):
    said = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "nlptl").rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if word in line.lower()
    ]
    assert not said, f"write {PRIVATE[word]!r}: {said}"
