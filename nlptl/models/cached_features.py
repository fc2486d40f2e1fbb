"""Cached features of a frozen encoder: each text meets the encoder once, whatever run asks.

The features of one encoder set-up are a folder of shards in the cache. Each shard is an entry of its own with a matrix
(rows, H) float32 and the keys of its rows, so that of many features those that nobody reads are the first to go.
"""

from __future__ import annotations

import hashlib
import uuid

import numpy as np

from nlptl.models.classifier import Classifier
from nlptl.storage.cache import Cache
from nlptl.storage.identity import array_digest, identity

KIND = "features"
KEY_BYTES = 16
# Raised whenever the same encoder gives a text other features than before, beyond its batch's rounding.
NUMERICS = 3


def feature_key(tokens: np.ndarray, types: np.ndarray | None) -> bytes:
    """What identifies a text to a frozen encoder: its token ids and types, and nothing else that could differ."""
    digest = hashlib.blake2b(len(tokens).to_bytes(8, "little"), digest_size=KEY_BYTES)
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


class FeatureStore:
    """Features by key, of one encoder set-up.

    Args:
        cache: where they are.
        setup: digest of everything besides the tokens that decides a feature.
    """

    def __init__(self, cache: Cache, setup: str) -> None:
        self.cache, self.folder = cache, cache.place(KIND, setup)
        self._places: dict[bytes, int] = {}
        """Key -> row of all shards end to end: of millions of rows a pair of numbers each would take much more."""
        self._ends: list[int] = []
        self._shards: list[np.ndarray] = []
        self._names: list[str] = []
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that were added since; those that were taken in before stay readable, evicted or not."""
        known = set(self._names)
        for place in sorted(self.folder.glob("*")):
            if place.name in known:
                continue
            arrays = self.cache.read(place, ("keys", "features"))
            if arrays is None:
                continue
            keys, matrix = arrays["keys"], arrays["features"]
            if keys.shape != (len(matrix), KEY_BYTES) or matrix.ndim != 2:
                self.cache.discard(place)
                continue
            start = self._ends[-1] if self._ends else 0
            self._shards.append(matrix)
            self._names.append(place.name)
            self._ends.append(start + len(matrix))
            self._places.update((key.tobytes(), row) for row, key in enumerate(keys, start))

    def missing(self, keys: list[bytes]) -> list[int]:
        """Positions of the first occurrence of each key that is not in the store."""
        first: dict[bytes, int] = {}
        for position, key in enumerate(keys):
            if key not in self._places:
                first.setdefault(key, position)
        return list(first.values())

    def add(self, keys: list[bytes], features: np.ndarray) -> None:
        """Write one shard: keys and their features (rows, H) float32.

        Raises:
            NlptlError: the cache cannot be written.
        """
        if keys:
            table = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES)
            self.cache.write(self.folder / uuid.uuid4().hex, {"features": features, "keys": table})

    def read(self, keys: list[bytes]) -> np.ndarray:
        """Features (len(keys), H) float32 in the order of the keys; all of them must be there."""
        places = np.array([self._places[key] for key in keys], dtype=np.int64)
        shards = np.searchsorted(self._ends, places, side="right")
        width = self._shards[0].shape[1] if self._shards else 0
        out = np.empty((len(keys), width), np.float32)
        for shard in np.unique(shards):
            rows = np.flatnonzero(shards == shard)
            matrix = self._shards[shard]
            out[rows] = matrix[places[rows] - (self._ends[shard] - len(matrix))]
            self.cache.touch(self.folder / self._names[shard])
        return out
