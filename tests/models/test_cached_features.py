from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nlptl.models.cached_features import KEY, FeatureStore, feature_key
from nlptl.storage.cache import Cache
from nlptl.training import forward

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def cache_at(root: Path) -> Cache:
    return Cache(root, 10**9)


def key(*tokens: int) -> bytes:
    return feature_key(np.array(tokens, np.int32), None)


KEYS = np.frombuffer(key(1) + key(2, 3) + key(4) + key(5, 6), KEY)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each pass over a frozen encoder computed."""
    counts: list[int] = []
    plain = forward.forward_all

    def counting(runtime, function, encoded, pad_id, width, what, packed):
        if what == "features":
            counts.append(len(encoded))
        return plain(runtime, function, encoded, pad_id, width, what, packed)

    monkeypatch.setattr(forward, "forward_all", counting)
    return counts


@pytest.fixture
def frozen(train, tiny, obvious, tmp_path, monkeypatch):
    """Train feature extraction in a cache of its own; gives the run."""
    monkeypatch.setenv("NLPTL_CACHE", str(tmp_path / "cache"))
    number = iter(range(100))

    def once(folder: Path = obvious, **settings):
        values = {"model.pooling": "mean", **{k.replace("__", "."): v for k, v in settings.items()}}
        output = tmp_path / f"run{next(number)}"
        return train("sentiment", folder, output, values, mode="feature_extraction", checkpoint=tiny["bert"])

    return once


def test_a_key_depends_on_tokens_and_types_only():
    tokens = np.array([1, 2, 3], np.int32)
    assert key(1, 2, 3) == feature_key(tokens, np.zeros(3, np.uint8))
    assert key(1, 2, 3) != key(1, 2)
    assert feature_key(tokens, np.array([0, 0, 1], np.uint8)) != key(1, 2, 3)
    assert feature_key(tokens, np.array([0, 1, 1], np.uint8)) != feature_key(tokens, np.array([0, 0, 1], np.uint8))
    assert len(key(1)) == KEY.itemsize


def test_types_do_not_pass_for_more_tokens():
    """Their bytes are those of a fifth token; a digest of one after the other would be the same."""
    types = np.array([0, 1, 0, 0], np.uint8)
    (fifth,) = types.view(np.int32)
    assert feature_key(np.array([1, 2, 3, 4], np.int32), types) != key(1, 2, 3, 4, fifth)


def test_what_was_added_is_read_in_any_order_from_any_shard(tmp_path):
    store = FeatureStore(cache_at(tmp_path), "one")
    assert store.missing(KEYS).tolist() == [0, 1, 2, 3]
    store.add(KEYS[:2], ROWS[:2])
    store.add(KEYS[2:], ROWS[2:])
    store.refresh()
    assert store.missing(KEYS).tolist() == []
    np.testing.assert_array_equal(store.read(KEYS[[3, 0, 3]]), ROWS[[3, 0, 3]])
    np.testing.assert_array_equal(FeatureStore(cache_at(tmp_path), "one").read(KEYS), ROWS)


def test_one_shard_in_its_own_order_stays_mapped_and_what_is_written_into_it_stays_here(tmp_path):
    store = FeatureStore(cache_at(tmp_path), "one")
    assert store.add(KEYS, ROWS)
    found = store.read(KEYS)
    assert isinstance(found, np.memmap)
    found += 1
    np.testing.assert_array_equal(FeatureStore(cache_at(tmp_path), "one").read(KEYS), ROWS)
    for chosen in ([1, 0, 2, 3], [0, 1, 2], [0, 0, 1, 2]):
        read = FeatureStore(cache_at(tmp_path), "one").read(KEYS[chosen])
        assert not isinstance(read, np.memmap)
        np.testing.assert_array_equal(read, ROWS[chosen])
    assert not FeatureStore(Cache(tmp_path, 10), "two").add(KEYS, ROWS)


def test_a_repeated_text_is_missing_once(tmp_path):
    assert FeatureStore(cache_at(tmp_path), "one").missing(KEYS[[0, 1, 0]]).tolist() == [0, 1]


def test_stores_of_other_encoders_do_not_mix(tmp_path):
    FeatureStore(cache_at(tmp_path), "one").add(KEYS, ROWS)
    assert FeatureStore(cache_at(tmp_path), "other").missing(KEYS).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("part", ["keys", "features"])
@pytest.mark.parametrize("damage", ["empty", "garbage", "short", "gone"])
def test_a_damaged_shard_is_ignored(tmp_path, part, damage):
    store = FeatureStore(cache_at(tmp_path), "one")
    store.add(KEYS[:1], ROWS[:1])
    before = set(store.folder.iterdir())
    store.add(KEYS[1:], ROWS[1:])
    (shard,) = set(store.folder.iterdir()) - before
    file = shard / f"{part}.npy"
    content = file.read_bytes()
    file.write_bytes({"empty": b"", "garbage": b"garbage" * 50, "short": content[:-5], "gone": b""}[damage])
    if damage == "gone":
        file.unlink()
    again = FeatureStore(cache_at(tmp_path), "one")
    assert again.missing(KEYS).tolist() == [1, 2, 3]
    again.add(KEYS[1:], ROWS[1:])
    again.refresh()
    np.testing.assert_array_equal(again.read(KEYS), ROWS)


def test_a_half_written_shard_is_not_seen(tmp_path):
    store = FeatureStore(cache_at(tmp_path), "one")
    store.add(KEYS, ROWS)
    (shard,) = store.folder.iterdir()
    shard.rename(shard.parent.parent.parent / ".part-stopped")
    assert FeatureStore(cache_at(tmp_path), "one").missing(KEYS).tolist() == [0, 1, 2, 3]


def test_a_second_run_takes_all_features_from_the_cache(frozen, computed, caplog):
    caplog.set_level("DEBUG", logger="nlptl")  # a detail, which is told with --verbose
    first = frozen()
    assert sum(computed) == 67 + 21 + 31
    computed.clear()
    second = frozen()
    assert sum(computed) == 0
    assert second.run.metrics["test"] == first.run.metrics["test"]
    assert "Features of train: 0 texts encoded, 67 from the cache" in (second.run.folder / "log.txt").read_text()


def test_one_more_row_computes_one(frozen, computed, obvious, tmp_path):
    frozen()
    computed.clear()
    more = tmp_path / "more"
    more.mkdir()
    for split in ("train", "validation", "test"):
        frame = pd.read_csv(obvious / f"{split}.csv")
        if split == "train":
            frame.loc[len(frame)] = ["a splendid text that was never seen", "positive"]
        frame.to_csv(more / f"{split}.csv", index=False)
    frozen(more)
    assert sum(computed) == 1


def test_a_damaged_shard_is_computed_again(frozen, computed, tmp_path):
    first = frozen()
    shards = sorted((tmp_path / "cache").rglob("features.npy"), key=lambda path: path.stat().st_size)
    assert len(shards) == 3
    shards[-1].write_bytes(shards[-1].read_bytes()[:1000])
    computed.clear()
    assert frozen().run.metrics["test"] == first.run.metrics["test"]
    assert sum(computed) == 67


def test_without_the_cache_nothing_is_written(frozen, computed, tmp_path):
    frozen(probe__cache=False)
    assert not (tmp_path / "cache").exists()
    assert sum(computed) == 67 + 21 + 31


def test_other_pooling_or_checkpoint_does_not_reuse_features(frozen, computed):
    frozen()
    computed.clear()
    frozen(model__pooling="cls")
    assert sum(computed) == 67 + 21 + 31


def test_dropout_does_not_touch_frozen_features(frozen):
    features = {}
    for dropout in (0.0, 0.5):
        result = frozen(model__dropout=dropout, probe__cache=False)
        features[dropout] = result.classifier.head.weight.detach().numpy()
    np.testing.assert_array_equal(features[0.0], features[0.5])


def test_repeated_texts_get_their_features_once_each_row(frozen, computed, obvious, tmp_path):
    twice = tmp_path / "twice"
    twice.mkdir()
    for split in ("train", "validation", "test"):
        frame = pd.read_csv(obvious / f"{split}.csv")
        if split == "train":
            frame = pd.concat([frame, frame.iloc[:5]])
        frame.to_csv(twice / f"{split}.csv", index=False)
    result = frozen(twice)
    assert result.run.metrics["data"]["train"] == 72
    assert computed[0] == 67
