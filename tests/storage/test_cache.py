import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nlptl.errors import ConfigError, NlptlError
from nlptl.storage import cache as cache_module
from nlptl.storage.cache import Cache, open_cache
from nlptl.storage.sizes import parse_age, parse_size, show_size

ROWS = np.arange(250, dtype=np.float32)  # 1000 bytes, and 128 of the file's head
SIZE = 1128
EARLIER = (
    f"features/{'a' * 24}/{'b' * 32}.keys.npy",
    f"features/{'a' * 24}/{'b' * 32}.features.part",
    f"tokens/{'c' * 32}/offsets.npy",
    f"heads/{'d' * 32}.npy",
)


def filled(root: Path, names: str, limit: int = 10**6) -> Cache:
    """A cache with entries of the kind heads, the first of the names the longest unused."""
    cache = Cache(root, limit)
    for age, name in enumerate(reversed(names)):
        assert cache.write(cache.place("heads", name), {"rows": ROWS})
        os.utime(cache.place("heads", name), (time.time() - 1000 * age - 100,) * 2)
    return cache


def names_in(cache: Cache) -> str:
    return "".join(entry.path.name for entry in cache.entries())


def test_what_was_written_is_read(tmp_path):
    cache = filled(tmp_path, "a")
    found = cache.read(cache.place("heads", "a"), ["rows"])
    np.testing.assert_array_equal(found["rows"], ROWS)
    (entry,) = cache.entries()
    assert (entry.kind, entry.size) == ("heads", SIZE)
    assert cache.read(cache.place("heads", "b"), ["rows"]) is None


def test_none_and_empty_arrays(tmp_path):
    cache = Cache(tmp_path, 10**6)
    cache.write(cache.place("tokens", "x"), {"tokens": np.zeros(0, np.int32), "types": None})
    assert cache.read(cache.place("tokens", "x"), ["tokens"])["tokens"].shape == (0,)
    assert [file.name for file in cache.place("tokens", "x").iterdir()] == ["tokens.npy"]


def test_the_least_recently_used_goes_first(tmp_path):
    cache = filled(tmp_path, "abcd")
    cache.touch(cache.place("heads", "a"))
    cache.limit = 3 * SIZE
    cache.write(cache.place("features", "setup", "e"), {"rows": ROWS})
    assert names_in(cache) == "dae"


def test_what_is_larger_than_the_limit_is_not_written(tmp_path):
    cache = filled(tmp_path, "ab")
    cache.limit = 999
    assert not cache.write(cache.place("heads", "c"), {"rows": ROWS})
    assert names_in(cache) == "ab"


def test_a_limit_of_zero_touches_nothing(tmp_path):
    cache = Cache(tmp_path / "cache", 0)
    assert not cache.write(cache.place("heads", "a"), {"rows": ROWS})
    assert not (tmp_path / "cache").exists()


def test_arrays_that_are_open_survive_eviction_and_clearing(tmp_path):
    cache = filled(tmp_path, "ab")
    first, second = (cache.read(cache.place("heads", name), ["rows"])["rows"] for name in "ab")
    cache.limit = SIZE + 1
    cache.write(cache.place("heads", "c"), {"rows": ROWS})
    assert names_in(cache) == "c"
    cache.clear()
    np.testing.assert_array_equal(first, ROWS)
    np.testing.assert_array_equal(second, ROWS)


def test_an_entry_that_is_there_stays(tmp_path):
    cache = filled(tmp_path, "a")
    assert cache.write(cache.place("heads", "a"), {"rows": ROWS + 1})
    np.testing.assert_array_equal(cache.read(cache.place("heads", "a"), ["rows"])["rows"], ROWS)
    assert len(cache.entries()) == 1


@pytest.mark.parametrize("damage", ["empty", "garbage", "short", "gone"])
def test_a_damaged_entry_is_removed_and_can_be_written_again(tmp_path, damage):
    cache = filled(tmp_path, "a")
    file = cache.place("heads", "a") / "rows.npy"
    content = file.read_bytes()
    file.write_bytes({"empty": b"", "garbage": b"garbage" * 90, "short": content[:-5], "gone": b""}[damage])
    if damage == "gone":
        file.unlink()
    assert cache.read(cache.place("heads", "a"), ["rows"]) is None
    assert cache.write(cache.place("heads", "a"), {"rows": ROWS})
    np.testing.assert_array_equal(cache.read(cache.place("heads", "a"), ["rows"])["rows"], ROWS)


def test_pickled_objects_are_never_opened(tmp_path):
    cache = filled(tmp_path, "a")
    np.save(cache.place("heads", "a") / "rows.npy", np.array([{}]), allow_pickle=True)
    assert cache.read(cache.place("heads", "a"), ["rows"]) is None


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file", 10**6)
    with pytest.raises(NlptlError, match="Choose another folder with the variable NLPTL_CACHE, or cache nothing"):
        cache.write(cache.place("heads", "a"), {"rows": ROWS})


def test_clearing_by_age_and_kind(tmp_path):
    cache = filled(tmp_path, "abc")  # unused for 2100, 1100 and 100 seconds
    cache.write(cache.place("tokens", "t"), {"rows": ROWS})
    assert [entry.path.name for entry in cache.clear(older_than=2000)] == ["a"]
    assert [entry.path.name for entry in cache.clear(kind="tokens")] == ["t"]
    assert cache.clear(older_than=2000, kind="heads") == []
    assert names_in(cache) == "bc"
    assert len(cache.clear()) == 2
    assert cache.entries() == []
    with pytest.raises(ConfigError, match="Did you mean 'heads'"):
        cache.clear(kind="head")


def earlier(root: Path) -> None:
    for name in EARLIER:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * 100)
        os.utime(root / name, (time.time() - 9e6,) * 2)


def test_what_an_earlier_version_left_counts_and_goes_first(tmp_path):
    earlier(tmp_path)
    cache = Cache(tmp_path, SIZE + 400)
    assert {entry.kind for entry in cache.entries()} == {"earlier"}
    cache.write(cache.place("heads", "a"), {"rows": ROWS})
    assert len(cache.entries()) == 5
    cache.limit = SIZE + 399
    cache.evict()
    assert sorted(entry.kind for entry in cache.entries()) == ["earlier"] * 3 + ["heads"]


def test_clearing_takes_what_an_earlier_version_left_and_nothing_of_others(tmp_path):
    earlier(tmp_path)
    others = ["features/notes.txt", "features/mine/features.npy", "tokens/mine.npy", "studies/a/model.safetensors"]
    for name in others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"mine")
    assert len(Cache(tmp_path, 0).clear()) == len(EARLIER)
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(left) == sorted(others)
    assert not (tmp_path / "heads").exists()


def test_what_a_stopped_writer_left_is_evicted_after_a_day(tmp_path):
    cache = filled(tmp_path, "a")
    for name, age in (("old", 2 * 86_400), ("new", 60)):
        part = tmp_path / cache_module.LAYOUT / f".part-{name}"
        part.mkdir()
        (part / "rows.npy").write_bytes(b"half")
        os.utime(part, (time.time() - age,) * 2)
    cache.evict()
    assert [entry.path.name for entry in cache.entries() if entry.kind == "unfinished"] == [".part-new"]
    assert [entry.path.name for entry in cache.clear(kind="unfinished")] == [".part-new"]


def test_clearing_under_a_writer_is_only_a_lost_saving(tmp_path, monkeypatch):
    cache = Cache(tmp_path, 10**6)
    save = np.save

    def cleared_meanwhile(file, array, **more):
        cache.clear()
        save(file, array, **more)

    monkeypatch.setattr(np, "save", cleared_meanwhile)
    arrays = {"first": ROWS, "second": ROWS}
    assert cache.write(cache.place("heads", "a"), arrays) is False
    assert cache.read(cache.place("heads", "a"), ["first", "second"]) is None


BUSY = """
import sys
import numpy as np
from pathlib import Path
from nlptl.storage.cache import Cache

root, seed = Path(sys.argv[1]), int(sys.argv[2])
cache = Cache(root, 20_000)
rng = np.random.default_rng(seed)
read = 0
for turn in range(300):
    name = int(rng.integers(40))
    place = cache.place("heads", f"{name:02}")
    rows = np.full(250, name, np.float32)
    found = cache.read(place, ["rows"])
    if found is None:
        cache.write(place, {"rows": rows})
    else:
        assert (np.array(found["rows"]) == rows).all()
        cache.touch(place)
        read += 1
    if turn % 100 == 99:
        cache.clear(kind="heads")
print(read)
"""


def test_two_processes_share_a_cache_that_is_too_small_for_them(tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BUSY, str(tmp_path), str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for seed in (1, 2)
    ]
    for process in started:
        said, faults = process.communicate(timeout=120)
        assert process.returncode == 0, faults.decode()
        assert int(said) > 0
    cache = Cache(tmp_path, 20_000)
    cache.evict()
    assert {entry.kind for entry in cache.entries()} <= {"heads"}
    assert sum(entry.size for entry in cache.entries()) <= 20_000


def test_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NLPTL_CACHE", str(tmp_path))
    monkeypatch.delenv("NLPTL_CACHE_LIMIT", raising=False)
    assert (open_cache().root, open_cache().limit) == (tmp_path, 10**10)
    monkeypatch.setenv("NLPTL_CACHE_LIMIT", "500MB")
    assert open_cache().limit == 500 * 10**6
    assert open_cache("1GiB").limit == 2**30
    monkeypatch.setenv("NLPTL_CACHE_LIMIT", "much")
    with pytest.raises(ConfigError, match="NLPTL_CACHE_LIMIT: 'much' is no size"):
        open_cache()


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("123", 123), ("1.5 GB", 1_500_000_000), ("2k", 2000), ("1MiB", 2**20)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "10 XB", "1e3", "ten"])
def test_what_is_no_size(text):
    with pytest.raises(ConfigError, match="is no size"):
        parse_size(text)


def test_ages():
    assert [parse_age(text) for text in ("30m", "12h", "7d", "2w")] == [1800, 43_200, 604_800, 1_209_600]
    for text in ("7", "d", "-1d", "7 years"):
        with pytest.raises(ConfigError, match="is no age"):
            parse_age(text)


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (999_960, "1.0 MB"), (4 * 10**9, "4.0 GB")]
)
def test_sizes_are_shown_as_people_write_them(size, shown):
    assert show_size(size) == shown
