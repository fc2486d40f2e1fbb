"""The words that are typical of each of several groups of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

WORDS_IN_NAME = 3


def typical_words(texts: Sequence[str], groups: np.ndarray, most: int) -> list[list[str]]:
    """Words by class-based TF-IDF (Grootendorst 2022): frequent in the group, rare in the others.

    The weight of word w in group g is tf(w, g) * log(1 + A / f(w)), with tf the word's share of the group's words, f
    its count over all groups, and A the mean number of words of a group.

    Args:
        texts: the texts.
        groups: (texts,) group of each, -1 for none.
        most: words per group.

    Returns:
        Per group, its words, most typical first; fewer where the group has fewer. English function words are left out
        unless nothing else is there.
    """
    count = int(groups.max(initial=-1)) + 1
    if not count:
        return []
    counts, words = _count_words(texts, groups, count)
    if not len(words):
        return [[] for _ in range(count)]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    weights = share * np.log1p(counts.sum() / count / counts.sum(0))
    order = np.argsort(-weights, axis=1, kind="stable")[:, :most]
    return [[str(words[i]) for i in row if weights[group, i] > 0] for group, row in enumerate(order)]


def group_names(words: list[list[str]]) -> list[str]:
    """A name per group from its words, such as `card_arrive_delivery`; no two are alike."""
    names: list[str] = []
    for number, typical in enumerate(words):
        parts = [re.sub(r"\W+", "", word) for word in typical[:WORDS_IN_NAME]]
        name = "_".join(filter(None, parts)) or f"group_{number + 1}"
        names.append(name if name not in names else f"{name}_{number + 1}")
    return names


def _count_words(texts: Sequence[str], groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each word occurs in each group: (groups, words), and the words."""
    from sklearn.feature_extraction.text import CountVectorizer

    rows = [row for row, group in enumerate(groups) if group >= 0]
    for stop_words in ("english", None):
        try:
            vectorizer = CountVectorizer(stop_words=stop_words)
            found = vectorizer.fit_transform([texts[row] for row in rows])
        except ValueError:  # what scikit-learn says where no word is left
            continue
        member = np.zeros((count, len(rows)), np.float32)
        member[groups[rows], np.arange(len(rows))] = 1.0
        return np.asarray((found.T @ member.T).T, np.float64), vectorizer.get_feature_names_out()
    return np.zeros((count, 0)), np.zeros(0, object)
