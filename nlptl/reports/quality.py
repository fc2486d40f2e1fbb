"""What an inspection found, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from rich.table import Table

from nlptl.evaluation.wording import shown
from nlptl.quality.inspection import Inspection
from nlptl.reports.tables import rows_table
from nlptl.tasks import SPLITS

MOST = 10
LETTERS = 48


def inspection_tables(found: Inspection) -> Iterator[Table]:
    """The tables of an inspection; none where nothing of its kind was found."""
    yield from wrong_label_tables(found)
    names = found.rows.labels
    confused = [
        {
            "label": names[pair.first],
            "taken for": names[pair.second],
            "rows": pair.as_second,
            "and back": pair.as_first,
            "share": pair.share,
            "95 % interval": str(pair.interval),
        }
        for pair in found.confusions[:MOST]
    ]
    if confused:
        yield rows_table(confused, f"Labels that are taken for each other out of fold (at most {MOST})")
    counts = found.duplicate_counts
    places = list(dict.fromkeys(place for kind in counts.values() for place in kind))
    if places:
        order = sorted(places, key=lambda place: (place == "with two labels", " and " in place, place))
        rows = [{"pairs": kind, **{place: counts[kind].get(place, 0) for place in order}} for kind in counts]
        yield rows_table(rows, "Texts that stand there twice")
    far = [
        {
            "place": _place(*found.rows.frame.loc[row, ["file", "row"]]),
            "distance": float(found.distances[row]),
            "text": _short(found.rows.texts[row]),
        }
        for row in found.outliers[:MOST].tolist()
    ]
    if far:
        yield rows_table(far, f"Outliers, the farthest first ({len(found.outliers)}, at most {MOST} shown)")
    slices = [
        {
            "rows that are": f"{each.name}: {each.value}",
            "rows": each.rows,
            "accuracy": each.accuracy,
            "95 % interval": str(each.interval),
            "against the others": each.against.outcome,
        }
        for each in found.slices
    ]
    if slices:
        yield rows_table(slices, "Slices, out of fold")


def wrong_label_tables(found: Inspection) -> Iterator[Table]:
    """The likeliest wrong labels of what is learned from; those of test rows apart."""
    wrong = found.wrong_labels
    for splits, title in ((SPLITS[:2], "Likely wrong labels"), (SPLITS[2:], "Likely wrong labels of test rows")):
        part = wrong[wrong["split"].isin(splits)]
        rows = [
            {
                "place": _place(str(row["file"]), row["row"]),
                "label": row["label"],
                "suggested": row["suggested_label"],
                "score": shown(row["score"]),
                "text": _short(str(row["text"])),
            }
            for row in part.head(MOST).to_dict("records")
        ]
        if rows:
            yield rows_table(rows, f"{title}, the likeliest first ({len(part)}, at most {MOST} shown)")


def _place(file: str, row: int) -> str:
    return f"{PurePath(file).name} {row}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LETTERS else f"{line[: LETTERS - 3]}..."
