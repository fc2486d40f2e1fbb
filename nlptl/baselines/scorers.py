"""What classical models come down to once they are fitted: arrays, and how they score a matrix of text vectors.

Logistic regression, linear SVM and naive Bayes are all a `Linear`. Nothing here learns; nothing is ever pickled.
Shapes: N texts, V features, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from scipy import sparse

from nlptl.errors import ArtifactError

Arrays = dict[str, np.ndarray]
# What unseen labels score: their probability rounds to zero, and no number becomes infinite.
NEVER = -1e4
# Weight of the label frequencies beside the votes of neighbours; decides only where no neighbour has a word in common.
PRIOR = 0.01
DENSE_CELLS = 20_000_000


class Scorer(Protocol):
    """A fitted model. `nlptl.registry.BASELINE_SCORERS` names the classes, so that what is saved can be opened."""

    @property
    def parameters(self) -> int:
        """How many numbers it keeps."""

    def logits(self, matrix: Any) -> np.ndarray:
        """(N, C) float32 for a sparse matrix (N, V)."""

    def arrays(self) -> Arrays:
        """Everything that `from_arrays` needs."""

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """What `arrays` described.

        Raises:
            ArtifactError: an array is missing.
        """


@dataclass(frozen=True)
class Linear:
    """weight (C, V) and bias (C,), float32."""

    weight: np.ndarray
    bias: np.ndarray

    @property
    def parameters(self) -> int:
        return int(self.weight.size + self.bias.size)

    def logits(self, matrix: Any) -> np.ndarray:
        return np.asarray(matrix @ self.weight.T + self.bias, np.float32)

    def arrays(self) -> Arrays:
        return {"weight": self.weight, "bias": self.bias}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Linear:
        _need(arrays, "weight", "bias")
        return cls(arrays["weight"], arrays["bias"])


@dataclass(frozen=True)
class Neighbours:
    """Votes of the k nearest training texts by cosine, each weighed by its similarity (Cover & Hart 1967)."""

    matrix: Any
    """(training texts, V) sparse, rows of length one."""
    targets: np.ndarray
    """(training texts, C) 0/1 float32."""
    k: int
    one_label: bool
    """Whether labels exclude each other."""

    @property
    def parameters(self) -> int:
        return int(self.matrix.nnz)

    def logits(self, matrix: Any) -> np.ndarray:
        frequencies = self.targets.mean(0)
        step = max(1, DENSE_CELLS // max(len(self.targets), 1))
        out = [np.zeros((0, self.targets.shape[1]), np.float32)]
        for start in range(0, matrix.shape[0], step):
            similarity = (matrix[start : start + step] @ self.matrix.T).toarray()
            k = min(self.k, similarity.shape[1])
            # A stable sort would read every row; of equally near texts any may vote.
            nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
            weights = np.take_along_axis(similarity, nearest, 1).clip(min=0.0)
            votes = np.einsum("nk,nkc->nc", weights, self.targets[nearest]) + PRIOR * frequencies
            share = votes / (weights.sum(1, keepdims=True) + PRIOR)
            out.append(log_odds(share, self.one_label))
        return np.concatenate(out)

    def arrays(self) -> Arrays:
        return {
            "data": self.matrix.data,
            "indices": self.matrix.indices.astype(np.int64),
            "indptr": self.matrix.indptr.astype(np.int64),
            "shape": np.array(self.matrix.shape, np.int64),
            "targets": self.targets,
            "settings": np.array([self.k, self.one_label], np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Neighbours:
        _need(arrays, "data", "indices", "indptr", "shape", "targets", "settings")
        rows, columns = (int(n) for n in arrays["shape"])
        matrix = sparse.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), (rows, columns))
        k, one_label = arrays["settings"]
        return cls(matrix, arrays["targets"], int(k), bool(one_label))


@dataclass(frozen=True)
class Tree:
    """A binary decision tree (Breiman et al. 1984); node 0 is the root, a leaf has no children (-1)."""

    left: np.ndarray
    """(nodes,) int64, where `value of feature <= threshold` leads."""
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    """(nodes,) float64"""
    values: np.ndarray
    """(nodes, C) float32, the logits of each leaf."""

    @property
    def parameters(self) -> int:
        return int((self.left >= 0).sum() * 2 + (self.left < 0).sum() * self.values.shape[1])

    def logits(self, matrix: Any) -> np.ndarray:
        step = max(1, DENSE_CELLS // max(matrix.shape[1], 1))
        out = [np.zeros((0, self.values.shape[1]), np.float32)]
        for start in range(0, matrix.shape[0], step):
            dense = matrix[start : start + step].toarray()
            node, rows = np.zeros(len(dense), np.int64), np.arange(len(dense))
            while (inner := self.left[node] >= 0).any():
                low = dense[rows, self.feature[node].clip(min=0)] <= self.threshold[node]
                node = np.where(inner, np.where(low, self.left[node], self.right[node]), node)
            out.append(self.values[node])
        return np.concatenate(out)

    def arrays(self) -> Arrays:
        return {
            "left": self.left,
            "right": self.right,
            "feature": self.feature,
            "threshold": self.threshold,
            "values": self.values,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Tree:
        names = ("left", "right", "feature", "threshold", "values")
        _need(arrays, *names)
        return cls(*(arrays[name] for name in names))


def log_odds(share: np.ndarray, one_label: bool) -> np.ndarray:
    """Logits (N, C) float32 whose softmax (or, where labels do not exclude each other, sigmoid) is `share`."""
    low = 1e-6
    wide = np.asarray(share, np.float64)
    if one_label:
        return np.asarray(np.log(wide.clip(min=low)), np.float32)
    wide = wide.clip(low, 1 - low)
    return np.asarray(np.log(wide / (1 - wide)), np.float32)


def _need(arrays: Arrays, *names: str) -> None:
    """Refuse saved arrays that lack one of the names."""
    lacking = [name for name in names if name not in arrays]
    if lacking:
        raise ArtifactError(f"The saved baseline is damaged: it lacks {', '.join(lacking)}.")
