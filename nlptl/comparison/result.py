"""The outcome of a comparison: what `comparison.json` holds, and what people read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlptl.comparison.plan import size_name
from nlptl.errors import NlptlError
from nlptl.evaluation.significance import BETTER, FEWEST_SEEDS, WORSE
from nlptl.storage.json_files import read_json

FILE = "comparison.json"


@dataclass(frozen=True)
class Comparison:
    """Methods x sizes x seeds on the same rows, and the verdicts."""

    folder: Path
    facts: Mapping[str, Any]
    """What `comparison.json` holds."""

    @classmethod
    def read(cls, folder: str | Path) -> Comparison:
        """An earlier comparison.

        Raises:
            ArtifactError: the folder holds none, or it is damaged.
        """
        return cls(Path(folder), read_json(Path(folder) / FILE))

    @property
    def methods(self) -> list[str]:
        """The names of what was compared."""
        return [method["name"] for method in self.facts["methods"]]

    @property
    def sizes(self) -> list[str]:
        """Rows per label as text, ascending; `all` last."""
        return [size["size"] for size in self.facts["sizes"]]

    @property
    def metric(self) -> str:
        """The task's metric, of which the curves are."""
        return str(self.facts["metric"])

    @property
    def failed(self) -> list[dict[str, Any]]:
        """Cells that could not be trained, each with its `error`."""
        return [cell for cell in self.facts["cells"] if cell["status"] == "failed"]

    def verdicts(self, every_pair: bool = False) -> list[str]:
        """What follows, in words: clear differences, crossovers, negative transfer, labels needed.

        Args:
            every_pair: also the pairs of methods that do not differ clearly.
        """
        facts = self.facts
        pairs = facts["pairs"]
        clear = [pair for pair in pairs if pair["outcome"] in (BETTER, WORSE)]
        said = [pair["sentence"] for pair in (pairs if every_pair else clear)]
        if len(clear) < len(pairs):
            rest = f"{len(pairs) - len(clear)} of {len(pairs)} pairs of methods at a size: no clear difference"
            if len(facts["seeds"]) < FEWEST_SEEDS:
                rest = f"Too few seeds to say which differences are more than noise: it takes {FEWEST_SEEDS}"
            said.append(f"{rest}.")
        said += [each["sentence"] for each in facts["crossovers"]]
        said += facts["negative_transfer"]
        said += [each["sentence"] for each in facts["labels_needed"]]
        if self.metric != "accuracy" and pairs:
            said.append(f"Tested is the share of right test rows; {self.metric} is shown with its band.")
        return said

    def point(self, method: str, size: str) -> dict[str, Any] | None:
        """The mean of the metric over seeds, its band (`low`, `high`) and labelled `rows`; None where none finished."""
        found = [each for each in self.facts["curves"] if (each["method"], each["size"]) == (method, size)]
        return found[0] if found else None

    def frame(self) -> Any:
        """A DataFrame of the finished cells: method, size, seed, run folder, seconds, bytes and metrics on test."""
        import pandas as pd

        rows = []
        for cell in self.facts["cells"]:
            if cell["status"] == "finished":
                names = {name: cell[name] for name in ("method", "size", "seed", "folder", "learning_seconds")}
                bytes_ = {"bytes": cell["bytes"]["with_checkpoint"]}
                rows.append({**names, **bytes_, **cell["test"]})
        return pd.DataFrame(rows)

    def markdown(self) -> str:
        """Mean and 95 % band of the metric on test by method and size, in percent; then what each method costs."""
        heads = [size_name(size) for size in self.sizes]
        lines = [_line(["method", *heads]), _line(["---"] * (len(heads) + 1))]
        for method in self.methods:
            lines.append(_line([method, *(_cell(self.point(method, size)) for size in self.sizes)]))
        return "\n".join([*lines, "", f"{self.metric} on test in percent (95 % band over seeds and test rows)."])

    def raise_failures(self) -> None:
        """Say that cells are missing.

        Raises:
            NlptlError: some failed; names the first of them.
        """
        if self.failed:
            first, count = self.failed[0], len(self.facts["cells"])
            where = f"{first['method']}, {size_name(first['size'])}, seed {first['seed']}"
            raise NlptlError(
                f"{len(self.failed)} of {count} cells failed, the first of them {where}: {first['error']} The others "
                "are finished and will not be repeated: mend the cause, and give the same command again."
            )


def _cell(point: Mapping[str, Any] | None) -> str:
    if point is None:
        return "-"
    return "{:.1f} ({:.1f} to {:.1f})".format(*(100 * point[name] for name in ("mean", "low", "high")))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
