"""Features of a frozen encoder, kept on disk: each text meets the encoder once, whatever run asks.

A store is a folder of shards, each a matrix (rows, H) float32 and the keys of its rows. Shards are only ever added,
written aside and renamed, so that readers and other processes never see half a file.
"""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import numpy as np

from nlptl.errors import NlptlError

KEY_BYTES = 16
# Raised whenever the same encoder gives a text other features than before, beyond its batch's rounding.
NUMERICS = 2


def feature_key(tokens: np.ndarray, types: np.ndarray | None) -> bytes:
    """What identifies a text to a frozen encoder: its token ids, and nothing else that could differ."""
    digest = hashlib.blake2b(np.ascontiguousarray(tokens).tobytes(), digest_size=KEY_BYTES)
    if types is not None and types.any():
        digest.update(np.ascontiguousarray(types).tobytes())
    return digest.digest()


class FeatureStore:
    """Features by key, in the folder of one encoder set-up.

    Args:
        root: the cache folder.
        identity: everything besides the tokens that decides a feature: checkpoint digest, pooling, precision.
    """

    def __init__(self, root: Path, identity: str) -> None:
        self.folder = root / "features" / hashlib.sha256(f"{NUMERICS}/{identity}".encode()).hexdigest()[:24]
        self._places: dict[bytes, tuple[int, int]] = {}
        self._shards: list[np.ndarray] = []
        self._seen: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that were added since."""
        for file in sorted(self.folder.glob("*.keys.npy")):
            if file.name in self._seen:
                continue
            try:
                keys = np.load(file, allow_pickle=False)
                matrix = np.load(file.with_name(file.name.replace(".keys", ".features")), "r", allow_pickle=False)
            except (OSError, ValueError, EOFError):
                continue  # a damaged shard is only a lost saving: its texts are computed again
            if keys.shape != (len(matrix), KEY_BYTES):
                continue
            self._seen.add(file.name)
            shard = len(self._shards)
            self._shards.append(matrix)
            self._places.update((key.tobytes(), (shard, row)) for row, key in enumerate(keys))

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
            NlptlError: the folder cannot be written.
        """
        if not keys:
            return
        try:
            self._write(keys, features)
        except OSError as error:
            raise NlptlError(
                f"Features cannot be kept in {self.folder}: {error.strerror or error}. Choose another folder with the "
                "variable NLPTL_CACHE, or keep none: --set probe.cache=false"
            ) from error

    def _write(self, keys: list[bytes], features: np.ndarray) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        table = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES)
        # Features first: the keys file is what makes a shard visible.
        for part, array in (("features", features), ("keys", table)):
            aside = self.folder / f"{name}.{part}.part"
            with aside.open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
            aside.replace(self.folder / f"{name}.{part}.npy")

    def read(self, keys: list[bytes]) -> np.ndarray:
        """Features (len(keys), H) float32 in the order of the keys; all of them must be there."""
        places = np.array([self._places[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        width = self._shards[0].shape[1] if self._shards else 0
        out = np.empty((len(keys), width), np.float32)
        for shard in np.unique(places[:, 0]):
            rows = np.flatnonzero(places[:, 0] == shard)
            out[rows] = self._shards[shard][places[rows, 1]]
        return out
