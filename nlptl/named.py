"""Named collections of things of one kind, with helpful answers to unknown names.

Entries are lazy: a registry knows the name, one line of help and where the thing lives (`package.module:attribute`),
and imports it when it is first asked for. So command-line help, validation and error messages come from the registry
alone, and importing nlptl stays fast.

Outside packages add entries in two ways, without touching nlptl: by an entry point in the registry's group, or by the
decorator, `@MODES.register("name", "one line of help")`, in a module that the program imports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, NamedTuple, TypeVar

from nlptl.errors import ConfigError, NlptlError, unknown

T = TypeVar("T")


class Package(NamedTuple):
    """Who brought an entry that is not nlptl's own."""

    name: str
    """Of the installed package; of the module, where a program registered the thing itself."""
    version: str | None
    """None for a module."""


class Entry(NamedTuple):
    """One name of a registry."""

    target: Any
    """The thing itself, or `package.module:attribute`, where it is imported from when it is asked for."""
    help: str
    """One line for `--help` and tables."""
    package: Package | None = None
    """None: nlptl itself."""


class Registry(Generic[T]):
    """Names to things of one kind; refuses duplicates, suggests the nearest name for an unknown one.

    Args:
        kind: what the things are called in messages.
        group: the entry-point group through which installed packages add to it; None: they cannot.
        entries: the built-in ones, by name.
    """

    def __init__(
        self, kind: str, group: str | None = None, entries: Mapping[str, tuple[Any, str]] | None = None
    ) -> None:
        self.kind = kind
        self.group = group
        self._entries = {name: Entry(*entry) for name, entry in (entries or {}).items()}
        self._discovered = group is None

    def add(self, name: str, item: T | str, help: str = "") -> None:
        """Register a thing, or `package.module:attribute` to import it from.

        Raises:
            ConfigError: the name is taken.
        """
        if name in self.entries():
            raise ConfigError(f"The {self.kind} {name!r} is registered twice. Choose another name.")
        module = item.partition(":")[0] if isinstance(item, str) else getattr(item, "__module__", "") or ""
        self._entries[name] = Entry(item, help, Package(module, None))

    def register(self, name: str, help: str = "") -> Callable[[T], T]:
        """Decorator form of `add`."""

        def decorate(item: T) -> T:
            self.add(name, item, help)
            return item

        return decorate

    def get(self, name: str) -> T:
        """The thing called `name`, imported now if it was not yet.

        Raises:
            ConfigError: there is none (the message lists all names and suggests the nearest), or importing it fails.
        """
        entry = self._entry(name)
        if isinstance(entry.target, str):
            entry = entry._replace(target=self._import(name, entry.target))
            self._entries[name] = entry
        item: T = entry.target
        return item

    def help(self, name: str) -> str:
        """The line of help of an entry; nothing is imported for it.

        Raises:
            ConfigError: as `get`.
        """
        return self._entry(name).help

    def package(self, name: str) -> Package | None:
        """Who brought an entry; None for nlptl's own. Nothing is imported for it.

        Raises:
            ConfigError: as `get`.
        """
        return self._entry(name).package

    def check(self, name: str) -> None:
        """Refuse an unknown name; nothing is imported for it.

        Raises:
            ConfigError: as `get`.
        """
        self.help(name)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self.entries())

    def entries(self) -> dict[str, Entry]:
        """Every entry by name, those of installed packages included.

        Raises:
            ConfigError: an installed package registers a name that is taken.
        """
        if not self._discovered:
            for point in sorted(entry_points(group=str(self.group)), key=lambda point: point.name):
                self._take_in(point)
            self._discovered = True
        return self._entries

    def _take_in(self, point: EntryPoint) -> None:
        """Add what an installed package registers; nothing of it is imported yet."""
        package = Package(point.dist.name, point.dist.version) if point.dist else Package(point.module, None)
        known = self._entries.get(point.name)
        if known is not None and (known.target, known.package) == (point.value, package):
            return  # taken in before another one was refused
        if known is not None:
            other = f"the package {known.package.name}" if known.package else "nlptl"
            raise ConfigError(
                f"The package {package.name} registers the {self.kind} {point.name!r}, which is registered by {other} "
                f"already. Rename it in its entry points (group {self.group}), or uninstall one of the packages."
            )
        self._entries[point.name] = Entry(point.value, f"of the package {package.name}", package)

    def _entry(self, name: str) -> Entry:
        entries = self.entries()
        if name not in entries:
            raise ConfigError(unknown(self.kind, name, entries))
        return entries[name]

    def _import(self, name: str, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except NlptlError:
            raise
        except Exception as error:  # somebody else's package: whatever it raises, name it
            if module.split(".")[0] == "nlptl":
                raise
            raise ConfigError(f"The {self.kind} {name!r} ({target}) fails to load: {error!r}") from error

    def __contains__(self, name: object) -> bool:
        return name in self.entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.entries())
