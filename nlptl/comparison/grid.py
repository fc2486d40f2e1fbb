"""Every cell of a comparison, one after the other: what is finished stays, what fails is told, and the rest goes on."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nlptl.comparison.cells import CellResult, is_finished, read_cell, train_cell
from nlptl.comparison.plan import Cell, Plan
from nlptl.errors import LostProcessError, NlptlError, Preempted
from nlptl.storage.sizes import show_span

log = logging.getLogger("nlptl")


@dataclass(frozen=True)
class Failed:
    """A cell that could not be trained or read."""

    cell: Cell
    why: str

    def noted(self) -> dict[str, Any]:
        """What `comparison.json` says of it."""
        rows = self.cell.rows
        names = {"method": self.cell.method.name, "size": rows.size, "seed": rows.seed}
        return {**names, "status": "failed", "error": self.why}


def run_cells(plan: Plan, cells: Sequence[Cell]) -> list[CellResult | Failed]:
    """Train each cell, unless it is finished, and read what it gave; one line a cell says how far it is.

    Where several processes were launched, encoders are trained by all of them and first; then the first process fits
    the classical models, which the others have no part in, and reads all results. A failure there ends the command,
    since the processes would no longer be in step; the same command then goes on behind what is finished.

    Args:
        plan: of the comparison.
        cells: all of them.

    Returns:
        A result or a failure for each cell, in their order; nothing on the processes besides the first.

    Raises:
        LostProcessError, Preempted: as in any training; the same command goes on.
    """
    several, here = int(os.environ.get("WORLD_SIZE", "1")) > 1, int(os.environ.get("RANK", "0")) == 0
    progress = _Progress(cells)
    ordered = sorted(cells, key=lambda cell: cell.method.kind == "classical") if several else list(cells)
    found: dict[int, CellResult | Failed] = {}
    for cell in ordered:
        if cell.method.kind == "classical" and not here:
            continue
        outcome = _outcome(cell, plan, several, here, progress)
        if outcome is not None:
            found[id(cell)] = outcome
    return [found[id(cell)] for cell in cells] if here else []


def _outcome(cell: Cell, plan: Plan, several: bool, here: bool, progress: _Progress) -> CellResult | Failed | None:
    was_finished, start = is_finished(cell), time.perf_counter()
    try:
        train_cell(cell, plan.given)
        if not here:
            return None
        result = read_cell(cell, plan.task.metric, measure_speed=cell.rows.seed == plan.seeds[0])
    except (LostProcessError, Preempted):
        raise
    except Exception as error:  # whatever one method's code raises, the other methods are still to be compared
        if several:
            raise
        log.debug("", exc_info=True)
        why = str(error) if isinstance(error, NlptlError) else f"{type(error).__name__}: {error}"
        progress.tell(cell, f"FAILED: {why}", 0.0, trained=False)
        return Failed(cell, why)
    seconds = time.perf_counter() - start
    metric = plan.task.metric
    said = f"{metric} {result.value(metric):.4f}"
    progress.tell(
        cell, f"{said} ({'finished before' if was_finished else show_span(seconds)})", seconds, not was_finished
    )
    return result


class _Progress:
    """How many cells are left, and about how long they will take."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._left, self._count = list(cells), len(cells)
        self._seconds: dict[tuple[str, str], float] = {}

    def tell(self, cell: Cell, said: str, seconds: float, trained: bool) -> None:
        """A line for a cell that has ended."""
        self._left.remove(cell)
        if trained:
            self._seconds[cell.method.name, cell.rows.size] = seconds
        left = len(self._left)
        behind = f"; {left} left{self._time_left()}" if left else ""
        log.info(f"[{self._count - left}/{self._count}] {cell.name}: {said}{behind}")

    def _time_left(self) -> str:
        """A cell takes as long as the same one of another seed; else as the longest of its method, or the mean."""
        if not self._seconds:
            return ""
        usual = sum(self._seconds.values()) / len(self._seconds)
        total = 0.0
        for cell in self._left:
            name = cell.method.name
            longest = max((taken for (method, _), taken in self._seconds.items() if method == name), default=usual)
            total += self._seconds.get((name, cell.rows.size), longest)
        return f", about {show_span(total)}"
