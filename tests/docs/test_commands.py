"""Every `nlptl ...` line of every page names a command and options that exist, whether the block is run or not."""

from __future__ import annotations

import re

import pytest

from tests.docs.commands import options_of, verbs
from tests.docs.pages import ROOT, blocks, nlptl_calls, pages

CALLS = [
    (f"{page.relative_to(ROOT)}:{line}", words)
    for page in pages()
    for block in blocks(page)
    if block.language == "bash"
    for line, command in block.commands()
    for words in nlptl_calls(command)
]


def faults(words: list[str]) -> list[str]:
    """What a call names that there is not."""
    depth = next(n for n in (2, 1, 0) if tuple(words[:n]) in options_of())
    known = options_of()[tuple(words[:depth])] | options_of()[()]
    if depth == 0 and words and not words[0].startswith("-"):
        return [f"nlptl {words[0]} is no command"]
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [f"{flag} is not an option of nlptl {' '.join(words[:depth])}" for flag in given if flag not in known]


@pytest.mark.parametrize(
    ("place", "words"), CALLS, ids=[f"{place} {words[0] if words else ''}" for place, words in CALLS]
)
def test_line_fits_the_command_line(place: str, words: list[str]) -> None:
    assert faults(words) == [], place


def test_what_is_not_there_is_found() -> None:
    assert faults(["train", "sentiment", "--mode", "lora"]) == []
    assert faults(["cache", "clear", "--older-than", "7d"]) == []
    assert faults(["trian", "sentiment"]) == ["nlptl trian is no command"]
    assert faults(["train", "--modus=lora"]) == ["--modus is not an option of nlptl train"]


def test_every_command_is_named_on_a_page_that_shows_its_use() -> None:
    # The sources of pages: what is generated from the commands themselves does not count.
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages())
    missing = [" ".join(verb) for verb in verbs() if not re.search(rf"nlptl {' '.join(verb)}(?![\w-])", text)]
    assert missing == []
