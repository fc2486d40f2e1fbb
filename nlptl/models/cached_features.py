"""Cached features of a frozen encoder: each text meets the encoder once, whatever run asks.

The features of one encoder set-up are a folder of shards in the cache. Each shard is an entry of its own with a matrix
(rows, H) float32 and the keys of its rows, so that of many features those that nobody reads are the first to go.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

import numpy as np

from nlptl.models.classifier import Classifier
from nlptl.storage.cache import Cache
from nlptl.storage.identity import array_digest, identity

KIND = "features"
KEY = np.dtype("V16")
"""Of a text's key in an array."""
# Raised whenever the same encoder gives a text other features than before, beyond its batch's rounding.
NUMERICS = 3


def feature_key(tokens: np.ndarray, types: np.ndarray | None) -> bytes:
    """What identifies a text to a frozen encoder: its token ids and types, and nothing else that could differ."""
    digest = hashlib.blake2b(len(tokens).to_bytes(8, "little"), digest_size=KEY.itemsize)
    digest.update(np.ascontiguousarray(tokens).tobytes())
    if types is not None and types.any():
        digest.update(np.ascontiguousarray(types).tobytes())
    return digest.digest()


def drawn_weights(classifier: Classifier, checkpoint_is_used: bool) -> str:
    """Digest of the weights below the head that were drawn at random instead of read from a checkpoint.

    Which they are depends on the seed and, through the order of the draws, on whatever else was drawn before them; so
    they themselves are what identifies them.

    Args:
        classifier: untouched by training.
        checkpoint_is_used: False: everything was drawn.
    """
    head = {id(parameter) for parameter in classifier.head.parameters()}
    drawn = classifier.own if checkpoint_is_used else dict(classifier.named_parameters())
    return identity(
        **{name: array_digest(p.detach().float().cpu().numpy()) for name, p in drawn.items() if id(p) not in head}
    )


@dataclass(frozen=True)
class _Shard:
    """Some features; its keys are sorted, so that of millions none needs an object of its own."""

    name: str
    matrix: np.ndarray
    keys: np.ndarray
    """(rows,) of `KEY`, ascending."""
    order: np.ndarray
    """(rows,) which row of the matrix each key is of."""

    def rows_of(self, keys: np.ndarray) -> np.ndarray:
        """(keys,) rows of the matrix; -1 where it holds none."""
        places = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.order[places], -1)


class FeatureStore:
    """Features by key, of one encoder set-up.

    Args:
        cache: where they are.
        setup: digest of everything besides the tokens that decides a feature.
    """

    def __init__(self, cache: Cache, setup: str) -> None:
        self.cache, self.folder = cache, cache.place(KIND, setup)
        self._shards: list[_Shard] = []
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that were added since; those that were taken in before stay readable, evicted or not."""
        known = {shard.name for shard in self._shards}
        for place in sorted(self.folder.glob("*")):
            if place.name in known:
                continue
            arrays = self.cache.read(place, ("keys", "features"))
            if arrays is None:
                continue
            table, matrix = arrays["keys"], arrays["features"]
            if table.shape != (len(matrix), KEY.itemsize) or matrix.ndim != 2 or not len(matrix):
                self.cache.discard(place)
                continue
            keys = np.ascontiguousarray(table).view(KEY).ravel()
            order = np.argsort(keys)
            self._shards.append(_Shard(place.name, matrix, keys[order], order))

    def missing(self, keys: np.ndarray) -> np.ndarray:
        """Positions of the first occurrence of each key that is not in the store, ascending.

        Args:
            keys: (texts,) of `KEY`.
        """
        lacking = np.flatnonzero(self._found(keys)[0] < 0)
        return lacking[np.sort(np.unique(keys[lacking], return_index=True)[1])]

    def add(self, keys: np.ndarray, features: np.ndarray) -> bool:
        """Write one shard: keys (rows,) of `KEY` and their features (rows, H) float32.

        Returns:
            Whether they can be read now.

        Raises:
            NlptlError: the cache cannot be written.
        """
        if len(keys):
            table = np.ascontiguousarray(keys).view(np.uint8).reshape(-1, KEY.itemsize)
            written = self.cache.write(self.folder / uuid.uuid4().hex, {"features": features, "keys": table})
            self.refresh()
            return written and not len(self.missing(keys))
        return False

    def read(self, keys: np.ndarray) -> np.ndarray:
        """Features (texts, H) float32 in the order of the keys (texts,) of `KEY`; all of them must be there.

        Where a shard holds these and no others, in their order, they stay mapped from its file.
        """
        shards, rows = self._found(keys)
        shard = self._shards[shards[0]] if len(keys) else None
        if shard is not None and len(shard.matrix) == len(keys) and _counts_up(rows) and (shards == shards[0]).all():
            self.cache.touch(self.folder / shard.name)
            return np.asanyarray(shard.matrix)
        width = self._shards[0].matrix.shape[1] if self._shards else 0
        out = np.empty((len(keys), width), np.float32)
        for number in np.unique(shards):
            here = np.flatnonzero(shards == number)
            shard = self._shards[number]
            out[here] = shard.matrix[rows[here]]
            self.cache.touch(self.folder / shard.name)
        return out

    def _found(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(texts,) numbers of the shards that hold the keys, -1 for none; and (texts,) rows there."""
        shards, rows = np.full(len(keys), -1), np.zeros(len(keys), np.int64)
        for number, shard in enumerate(self._shards):
            open_ones = np.flatnonzero(shards < 0)
            found = shard.rows_of(keys[open_ones])
            held = open_ones[found >= 0]
            shards[held], rows[held] = number, found[found >= 0]
        return shards, rows


def _counts_up(rows: np.ndarray) -> bool:
    """Whether these are 0, 1, 2 and so on."""
    return len(rows) > 0 and rows[0] == 0 and bool((np.diff(rows) == 1).all())
