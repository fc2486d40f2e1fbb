"""What each kind of transfer gives on public data sets, beside its control; prints one table per study.

    python benchmarks/transfer.py --data-root DATA
    python benchmarks/transfer.py --data-root DATA --studies controls --quick
    python benchmarks/transfer.py --table-only

DATA holds one folder of CSV files (text,label) per data set. Studies are the modules of `benchmarks/studies`. Each row
is written to --output as soon as it is there, and a row that stands there already is not measured again: an
interrupted benchmark goes on where it stopped. Each case has a cache of its own; only the checkpoints that studies
pre-train are kept, see `pretrained.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

import studies
from records import (
    Row,
    belongs,
    in_order,
    is_measured,
    own_cache,
    put_into,
    read,
    surroundings,
    versions_and_dates,
    write,
)

PACKAGES = ("nlptl", "torch", "transformers", "peft", "scikit-learn")
RESULTS = Path(__file__).resolve().parent / "results"


def main(about: str, collection: str = "") -> None:
    """Measure the cases that are missing, then print the tables.

    Args:
        about: the command's own words.
        collection: of the studies (`studies.names`); empty: those of transfer.
    """
    arguments = parse(about, collection)
    rows, failed = read(arguments.output), 0
    for name in arguments.studies:
        if not arguments.table_only:
            failed += measure_missing(name, arguments.data_root, arguments.quick, rows, arguments.output)
        shown = table(name, arguments.quick, rows)
        print(f"\n### {studies.load(name).TITLE}\n\n{shown}", flush=True)
        if arguments.page:
            put_into(arguments.page, name, shown)
    sys.exit(1 if failed else 0)


def parse(about: str, collection: str) -> argparse.Namespace:
    """The command line."""
    names, results = studies.names(collection), collection or "transfer"
    parser = argparse.ArgumentParser(description=about.split("\n", 1)[0])
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="one folder of CSV files per data set")
    parser.add_argument("--studies", nargs="+", choices=names, default=names)
    parser.add_argument("--quick", action="store_true", help="few and small cases: shows that it runs, proves nothing")
    parser.add_argument(
        "--output",
        type=Path,
        help=f"default: {results}.json in benchmarks/results, or with --quick {results}-quick.json",
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="also put each table into this page, at its markers")
    parser.add_argument("--table-only", action="store_true", help="print the tables of --output and stop")
    arguments = parser.parse_args()
    if not arguments.table_only and (arguments.data_root is None or not arguments.data_root.is_dir()):
        parser.error("--data-root DIR must be a folder with the data sets")
    arguments.output = arguments.output or RESULTS / f"{results}{'-quick' * arguments.quick}.json"
    if arguments.table_only and not arguments.output.exists():
        parser.error(f"there is no {arguments.output}")
    return arguments


def measure_missing(name: str, root: Path, quick: bool, rows: list[Row], output: Path) -> int:
    """Measure what a study lacks, adding to `rows` and to the file; how many cases failed."""
    study, failed = studies.load(name), 0
    for case in cases_of(name, quick):
        if is_measured(case, rows):
            continue
        asked = {key: value for key, value in case.items() if key != "study"}
        started = time.perf_counter()
        try:
            with own_cache():
                numbers = study.measure(root, asked)
        except Exception:  # whatever breaks one case, the hours of the others are not lost
            print(f"failed: {json.dumps(case)}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            failed += 1
            continue
        seconds = round(time.perf_counter() - started, 1)
        rows.append({**case, **numbers, "case_seconds": seconds, **surroundings(PACKAGES)})
        write(output, rows)
        print(f"{json.dumps(case)}: {json.dumps(numbers)[:200]} ({seconds:.0f} s)", flush=True)
    return failed


def cases_of(name: str, quick: bool) -> list[Row]:
    """A study's cases as they come back from the file: JSON values, with the study's name."""
    cases: list[Row] = json.loads(json.dumps(studies.load(name).cases(quick)))
    return [{"study": name, **case} for case in cases]


def table(name: str, quick: bool, rows: list[Row]) -> str:
    """A study's table of the rows that belong to its present cases, and where they were measured."""
    cases = cases_of(name, quick)
    measured = [row for case in cases for row in rows if belongs(row, case)]
    if not measured:
        return "Not measured yet."
    lacking = len(cases) - len(measured)
    said = [
        f"{lacking} of {len(cases)} cases not measured yet" if lacking else "",
        "machine: " + " / ".join(in_order(row["machine"] for row in measured)),
        *versions_and_dates(measured),
    ]
    return f"{studies.load(name).table(measured)}\n\n{'; '.join(filter(None, said))}."


if __name__ == "__main__":
    main(__doc__ or "")
