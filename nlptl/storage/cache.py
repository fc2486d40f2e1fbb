"""The one cache: token ids, features and heads that need not be computed again, up to a size limit.

An entry is a folder of arrays that appears whole, by a rename, and is never changed. It may disappear at any time, by
eviction, by `nlptl cache clear`, or by another process: then what it held is computed again. Arrays that were opened
before stay readable. Below the cache folder:

    layout-2/KIND/NAME/ARRAY.npy

What earlier versions of nlptl left (features/, tokens/ and heads/ directly in the cache folder) is never read; it
counts towards the limit, and is cleared with the rest. Other files in the cache folder are left alone.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nlptl.errors import ConfigError, NlptlError, unknown
from nlptl.storage.paths import cache_dir
from nlptl.storage.sizes import parse_size, show_size

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("nlptl")
LAYOUT = "layout-2"
KINDS = ("features", "heads", "tokens")
EARLIER = "earlier"
"""The kind of entries that an earlier version of nlptl wrote."""
UNFINISHED = "unfinished"
"""The kind of entries whose writer was stopped, or is still at it."""
DEFAULT_LIMIT = "10GB"
LIMIT_VARIABLE = "NLPTL_CACHE_LIMIT"
ABANDONED_SECONDS = 86_400.0
"""An unfinished entry that has not grown for so long has lost its writer."""
_PART = ".part-"
_GONE = ".gone-"
_EARLIER = re.compile(
    r"features/[0-9a-f]{24}/[0-9a-f]{32}\.(keys|features)\.(npy|part)"
    r"|tokens/[0-9a-f]{32}/(tokens|types|offsets)\.(npy|part)"
    r"|heads/[0-9a-f]{32}\.(npy|part)"
)


@dataclass(frozen=True)
class Entry:
    """Something in the cache."""

    kind: str
    """features, heads, tokens, earlier or unfinished."""
    path: Path
    size: int
    """Bytes."""
    used: float
    """When it was written or last read, in seconds since 1970."""


class Cache:
    """Entries below a folder, the least recently used of which go when there are too many.

    Args:
        root: the cache folder; made when something is written.
        limit: most bytes that all entries may take together; 0: nothing is cached.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit

    def place(self, kind: str, *names: str) -> Path:
        """Where the entry of a name lies, or the folder of several whose names begin alike."""
        return self.root.joinpath(LAYOUT, kind, *names)

    def read(self, place: Path, names: Sequence[str]) -> dict[str, np.ndarray] | None:
        """The arrays of an entry, mapped rather than read; None where it is not there or cannot be read.

        What is written into them stays in this process: the entry itself does not change.

        An entry that is damaged is removed, so that it can be written again.

        Args:
            place: of the entry.
            names: of its arrays.
        """
        import numpy as np

        try:
            return {name: np.load(place / f"{name}.npy", "c", allow_pickle=False) for name in names}
        except (FileNotFoundError, ValueError, EOFError):
            self.discard(place)  # does nothing where the whole entry is not there
        except OSError:
            pass  # not ours to read
        return None

    def write(self, place: Path, arrays: Mapping[str, np.ndarray | None]) -> bool:
        """Write an entry, then evict the least recently used ones as far as the limit asks for it.

        Args:
            place: of the entry; one that is there already stays as it is.
            arrays: by name; None is left out.

        Returns:
            Whether it is in the cache now: not if it is larger than the limit, or was cleared at once.

        Raises:
            NlptlError: the cache folder cannot be written.
        """
        size = sum(array.nbytes for array in arrays.values() if array is not None)
        if size > self.limit:
            if self.limit:
                log.info(
                    f"Not cached: {show_size(size)} of {place.relative_to(self.root / LAYOUT).parts[0]}, more than the "
                    f"cache may hold ({show_size(self.limit)}; variable {LIMIT_VARIABLE})"
                )
            return False
        aside = self.root / LAYOUT / f"{_PART}{uuid.uuid4().hex}"
        try:
            aside.mkdir(parents=True)
            written = _fill(aside, place, arrays)
        except OSError as error:
            raise NlptlError(
                f"The cache {self.root} cannot be written: {error.strerror or error}. Choose another folder with the "
                f"variable NLPTL_CACHE, or cache nothing: {LIMIT_VARIABLE}=0"
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        self.evict()
        return written

    def touch(self, place: Path) -> None:
        """Note that an entry was used just now."""
        with suppress(OSError):  # evicted meanwhile, or somebody else's
            os.utime(place)

    def discard(self, path: Path) -> bool:
        """Remove an entry. Whoever has its arrays open keeps them; nobody sees half of it.

        Returns:
            Whether it is gone.
        """
        doomed = self.root / LAYOUT / f"{_GONE}{uuid.uuid4().hex}"
        try:
            if path.is_file():
                path.unlink()
            elif path.is_dir():
                doomed.parent.mkdir(exist_ok=True)
                path.rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)
        except FileNotFoundError:
            return True  # another process was faster
        except OSError:
            return False
        return True

    def entries(self) -> list[Entry]:
        """All that is there, the least recently used first."""
        found = [*self._present(), *self._earlier()]
        return sorted(found, key=lambda entry: entry.used)

    def evict(self) -> None:
        """Remove what writers abandoned, then the least recently used entries until the rest is within the limit."""
        entries, now = self.entries(), time.time()
        total = sum(entry.size for entry in entries)
        for entry in entries:
            abandoned = now - entry.used > ABANDONED_SECONDS
            if (abandoned if entry.kind == UNFINISHED else total > self.limit) and self.discard(entry.path):
                total -= entry.size

    def clear(self, older_than: float | None = None, kind: str | None = None) -> list[Entry]:
        """Remove entries; runs that use them go on, and compute what they still need.

        Args:
            older_than: only those that were not used for so many seconds.
            kind: only those of this kind.

        Returns:
            What was removed.

        Raises:
            ConfigError: an unknown kind.
        """
        known = (*KINDS, EARLIER, UNFINISHED)
        if kind is not None and kind not in known:
            raise ConfigError(unknown("kind of cache entry", kind, known))
        now = time.time()
        chosen = [
            entry
            for entry in self.entries()
            if kind in (None, entry.kind) and (older_than is None or now - entry.used > older_than)
        ]
        removed = [entry for entry in chosen if self.discard(entry.path)]
        self._remove_empty_folders()
        return removed

    def _present(self) -> Iterator[Entry]:
        """Entries are the folders in which files lie."""
        top = self.root / LAYOUT
        for folder, _, names in os.walk(top):
            if not names:
                continue
            path = Path(folder)
            first = path.relative_to(top).parts[0] if path != top else ""
            kind = UNFINISHED if first.startswith((_PART, _GONE)) else first
            if kind in (*KINDS, UNFINISHED):
                with suppress(OSError):  # evicted while we look
                    size = sum((path / name).stat().st_size for name in names)
                    yield Entry(kind, path, size, path.stat().st_mtime)

    def _earlier(self) -> Iterator[Entry]:
        """Files whose places and names are those that earlier versions gave them."""
        for name in KINDS:
            for folder, _, files in os.walk(self.root / name):
                for file in files:
                    path = Path(folder) / file
                    if _EARLIER.fullmatch(path.relative_to(self.root).as_posix()):
                        with suppress(OSError):
                            yield Entry(EARLIER, path, path.stat().st_size, path.stat().st_mtime)

    def _remove_empty_folders(self) -> None:
        """Those of the cache's own naming; the layout's own folder stays, since writers begin in it."""
        for name in (*KINDS, *(f"{LAYOUT}/{kind}" for kind in KINDS)):
            for folder, _, _ in os.walk(self.root / name, topdown=False):
                with suppress(OSError):  # not empty
                    Path(folder).rmdir()


def open_cache(limit: str | None = None) -> Cache:
    """The user's cache: the folder that `NLPTL_CACHE` names (see `cache_dir`), under the limit.

    Args:
        limit: such as `20GB`; None: the variable `NLPTL_CACHE_LIMIT`, else `DEFAULT_LIMIT`.

    Raises:
        ConfigError: a limit that is no size.
    """
    variable = os.environ.get(LIMIT_VARIABLE)
    try:
        return Cache(cache_dir(), parse_size(limit or variable or DEFAULT_LIMIT))
    except ConfigError as error:
        if limit is None:
            raise ConfigError(f"The variable {LIMIT_VARIABLE}: {error}") from error
        raise


def _fill(aside: Path, place: Path, arrays: Mapping[str, np.ndarray | None]) -> bool:
    """Write the arrays aside and give the folder its name; False where somebody else was in between."""
    import numpy as np

    try:
        for name, array in arrays.items():
            if array is not None:
                np.save(aside / f"{name}.npy", array, allow_pickle=False)
        place.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(place)
    except FileNotFoundError:
        return False  # the cache was cleared meanwhile: only a lost saving
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise  # else another process computed the same, and was faster
    return True
