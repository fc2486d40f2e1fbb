"""The rendezvous of processes that a launcher started again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from torch import distributed as dist
from torch.distributed.rendezvous import register_rendezvous_handler, rendezvous

SCHEME = "nlptl-again"


def rendezvous_address() -> str | None:
    """The address of this life of the group for `init_process_group`; None: PyTorch's own.

    Accelerate's launcher keeps one store through all lives of a group (`--max_restarts`), and in it the addresses of
    the dead, to which the living would try to connect. So each later life has names of its own there.
    """
    return f"{SCHEME}://" if _life() else None


def _life() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def _rendezvous_again(url: str, **named: Any) -> Iterator[tuple[Any, int, int]]:
    for store, rank, processes in rendezvous(url.replace(SCHEME, "env", 1), **named):
        yield dist.PrefixStore(f"life-{_life()}", store), rank, processes  # type: ignore[attr-defined]


register_rendezvous_handler(SCHEME, _rendezvous_again)  # type: ignore[no-untyped-call]
