"""A named collection of things of one type, with helpful answers to unknown names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from nlptl.errors import ConfigError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to objects of one kind; refuses duplicates, suggests the nearest name for an unknown one."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> None:
        """Register `item`.

        Raises:
            ConfigError: the name is taken.
        """
        if name in self._items:
            raise ConfigError(f"The {self.kind} {name!r} is registered twice. Choose another name.")
        self._items[name] = item

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of `add`."""

        def decorate(item: T) -> T:
            self.add(name, item)
            return item

        return decorate

    def get(self, name: str) -> T:
        """The item called `name`.

        Raises:
            ConfigError: there is none; the message lists all names and suggests the nearest.
        """
        if name not in self._items:
            raise ConfigError(unknown(self.kind, name, self._items))
        return self._items[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())
