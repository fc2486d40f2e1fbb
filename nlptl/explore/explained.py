"""What is known of a run's answers to some texts: shares of words, near rows, words of labels, faithfulness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from nlptl.errors import ConfigError
from nlptl.explore.faithfulness import Faithfulness
from nlptl.explore.nearest import Neighbour
from nlptl.inference.explanation import Explanation
from nlptl.inference.words import Span, says_something
from nlptl.storage.json_files import write_json

ENDINGS = (".json", ".html")
SHOWN = 20
"""Texts that are shown one by one."""
FEWEST = 2
"""Texts that a word must stand in to be called one of a label, where there are more than `SHOWN`."""


@dataclass(frozen=True)
class LabelWord:
    """A word that speaks for a label."""

    word: str
    """In lower case."""
    texts: int
    """Explained texts of the label that hold it."""
    share: float
    """What it adds to the label's logit, on average over the texts that hold it."""
    total: float
    """The same, on average over all texts of the label: what words are ordered by."""


def words_by_label(explanations: Sequence[Explanation], most: int = 10) -> dict[str, list[LabelWord]]:
    """The words that speak most for each label, over all texts explained for it.

    Args:
        explanations: of many texts.
        most: words of each label.
    """
    fewest = FEWEST if len(explanations) > SHOWN else 1
    found: dict[str, list[LabelWord]] = {}
    for label in sorted({one.label for one in explanations}):
        texts = [one for one in explanations if one.label == label]
        shares: dict[str, list[float]] = {}
        for one in texts:
            own: dict[str, float] = {}
            for word in one.words:
                if says_something(one.texts[word.text], Span(word.start, word.stop)):
                    own[word.word.lower()] = own.get(word.word.lower(), 0.0) + word.share
            for name, share in own.items():
                shares.setdefault(name, []).append(share)
        every = [
            LabelWord(name, len(those), sum(those) / len(those), sum(those) / len(texts))
            for name, those in shares.items()
            if len(those) >= fewest and sum(those) > 0
        ]
        found[label] = sorted(every, key=lambda one: -one.total)[:most]
    return found


@dataclass(frozen=True)
class Explained:
    """Explanations of some texts; in a notebook they show themselves."""

    run: str
    explanations: list[Explanation]
    by_label: dict[str, list[LabelWord]]
    """Label -> the words that speak most for it in the texts explained for it."""
    nearest: list[list[Neighbour]] = field(default_factory=list)
    """The nearest training rows of each text, where they were asked for."""
    faithfulness: Faithfulness | None = None

    @property
    def widest_gap(self) -> float:
        """The largest relative completeness gap of any text."""
        return max((one.relative_gap for one in self.explanations), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        near: list[Any] = [[asdict(row) for row in rows] for rows in self.nearest] or [None] * len(self.explanations)
        texts = [
            {**one.to_json(), **({} if rows is None else {"nearest": rows})}
            for one, rows in zip(self.explanations, near, strict=True)
        ]
        return {
            "run": self.run,
            "texts": texts,
            "by_label": {label: [asdict(word) for word in words] for label, words in self.by_label.items()},
            "faithfulness": None if self.faithfulness is None else self.faithfulness.to_json(),
        }

    def write(self, path: Path) -> None:
        """Write it as JSON, or as an HTML page, as the file's ending says.

        Raises:
            ConfigError: another ending.
            ArtifactError: the file cannot be written.
        """
        check_ending(path)
        if path.suffix.lower() == ".json":
            write_json(path, self.to_json())
            return
        title = escape(f"Explanations of {self.run}")
        head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        body = f"<body style='font-family: sans-serif'><h1>{title}</h1>{self._html(len(self.explanations))}</body>"
        aside = path.with_name(path.name + ".part")
        aside.write_text(f"{head}{body}</html>\n", encoding="utf-8")
        aside.replace(path)

    def _repr_html_(self) -> str:
        return self._html(SHOWN)

    def _html(self, most: int) -> str:
        shown = self.explanations[:most]
        near: list[Any] = [*self.nearest[:most], *[[]] * (len(shown) - len(self.nearest[:most]))]
        parts = [one._repr_html_() + _near_html(rows) for one, rows in zip(shown, near, strict=True)]
        if len(self.explanations) > len(shown):
            parts.append(f"and {len(self.explanations) - len(shown)} more texts")
        if len(self.explanations) > 1:
            rows = "".join(
                f"<tr><th>{escape(label)}</th><td>{escape(', '.join(word.word for word in words))}</td></tr>"
                for label, words in self.by_label.items()
            )
            parts.append(f"<table><caption>Words that speak most for each label</caption>{rows}</table>")
        if self.faithfulness is not None:
            parts.append(f"<p>{escape(self.faithfulness.sentence)}</p>")
        return "<hr>".join(parts)


def check_ending(path: Path) -> None:
    """Raises ConfigError for a file that explanations cannot be written as."""
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"--output {path}: explanations are written as {' or '.join(ENDINGS)}.")


def _near_html(rows: Sequence[Neighbour]) -> str:
    cells = "".join(
        f"<tr><td>{row.similarity:.3f}</td><td>{escape(str(row.label))}</td><td>{escape(str(row.text))}</td></tr>"
        for row in rows
    )
    return f"<table><caption>Nearest training rows</caption>{cells}</table>" if rows else ""
