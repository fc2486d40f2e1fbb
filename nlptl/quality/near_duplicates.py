"""Texts that stand among the rows more than once: the same, nearly the same, or the same in other words.

Neighbours in embedding space are candidates; whether two texts are nearly the same is then decided by their letters,
so that the answer depends on the two texts alone and not on how dense the set around them is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import torch

from nlptl.data.text_keys import keys_of, text_key
from nlptl.quality.rows import Rows

log = logging.getLogger("nlptl")
SAME, NEARLY, MEANING = "same text", "nearly the same text", "same meaning"
CANDIDATE = 0.8
"""Cosine from which on the letters of two texts are compared."""
ALIKE = 0.95
"""Cosine from which on two texts of other words count as the same in meaning."""
JACCARD = 0.75
"""Share of two texts' groups of three letters that both have."""
RATIO = 0.9
"""Share of two texts' letters that stand in both in the same order (Ratcliff and Metzener 1988)."""
LONGEST = 600
"""Letters of a text up to which their order is compared, in time of their square; of more, groups of three alone."""
NEIGHBOURS = 20
"""Candidates of each text, the nearest ones."""
MOST = 100_000
"""Texts; of more, only the same ones are found: each is compared with each other one."""
BLOCK = 1024


@dataclass(frozen=True)
class Pair:
    """Two rows whose texts are alike."""

    first: int
    second: int
    kind: str
    cosine: float


@dataclass(frozen=True)
class Duplicates:
    """Rows whose texts are alike."""

    pairs: list[Pair]
    """Of each group of same texts, the first row with each other one."""
    groups: np.ndarray
    """(N,) one number for all rows that are the same or nearly the same text; they belong into one fold."""
    searched: bool
    """Whether near-duplicates were looked for, beside the same texts."""

    def across(self, splits: np.ndarray) -> list[Pair]:
        """The pairs whose rows are in two splits: (N,) the rows' splits."""
        return [pair for pair in self.pairs if splits[pair.first] != splits[pair.second]]


def find_duplicates(rows: Rows, vectors: np.ndarray) -> Duplicates:
    """Find all pairs of rows whose texts are alike.

    Args:
        rows: that are compared with each other.
        vectors: (N, H) embeddings of their texts.
    """
    keys = keys_of(rows.frame)
    first = keys.groupby(keys, sort=False).transform(lambda same: same.index[0]).to_numpy(np.int64)
    pairs = [Pair(int(one), i, SAME, 1.0) for i, one in enumerate(first) if one != i]
    distinct = np.unique(first)
    searched = len(distinct) <= MOST
    if searched:
        pairs += _near(rows.texts, distinct, vectors)
    else:
        log.warning(
            f"{len(distinct)} different texts: near-duplicates are looked for among at most {MOST}; only rows of the "
            "same text (but for case, spaces and punctuation) were found"
        )
    return Duplicates(pairs, _joined(len(keys), pairs), searched)


def nearly_same(first: str, second: str) -> bool:
    """Whether two texts differ by a few letters only; without case, spaces and punctuation."""
    one, other = text_key(first), text_key(second)
    grams = _grams(one), _grams(other)
    if len(grams[0] & grams[1]) >= JACCARD * len(grams[0] | grams[1]):
        return True
    if max(len(one), len(other)) > LONGEST:
        return False
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.real_quick_ratio() >= RATIO and matcher.quick_ratio() >= RATIO and matcher.ratio() >= RATIO


def _near(texts: list[str], distinct: np.ndarray, vectors: np.ndarray) -> list[Pair]:
    found = []
    for i, j, cosine in _neighbours(vectors[distinct]):
        first, second = sorted((int(distinct[i]), int(distinct[j])))
        if nearly_same(texts[first], texts[second]):
            found.append(Pair(first, second, NEARLY, cosine))
        elif cosine >= ALIKE and _numbers(texts[first]) == _numbers(texts[second]):
            found.append(Pair(first, second, MEANING, cosine))
    return found


def _neighbours(vectors: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Pairs i < j of which one is among the nearest of the other, with their cosine, from `CANDIDATE` up."""
    units = torch.nn.functional.normalize(torch.from_numpy(vectors), dim=1)
    most = min(NEIGHBOURS + 1, len(units))
    seen: set[tuple[int, int]] = set()
    for start in range(0, len(units), BLOCK):
        cosines, places = (units[start : start + BLOCK] @ units.T).topk(most, dim=1)
        for row, column in torch.nonzero(cosines >= CANDIDATE).tolist():
            i, j = sorted((start + row, int(places[row, column])))
            if i < j and (i, j) not in seen:
                seen.add((i, j))
                yield i, j, min(float(cosines[row, column]), 1.0)


def _grams(text: str) -> set[str]:
    padded = f" {text} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def _numbers(text: str) -> list[str]:
    """Encoders hardly tell numbers apart; texts do not mean the same where theirs differ."""
    return re.findall(r"\d+", text)


def _joined(count: int, pairs: list[Pair]) -> np.ndarray:
    """Group numbers of rows: those that a chain of pairs of the same or nearly the same text joins share one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = np.array([(p.first, p.second) for p in pairs if p.kind != MEANING], np.int64).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
