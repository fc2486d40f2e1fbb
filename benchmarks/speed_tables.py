"""Tables of the training speed benchmark, made from recorded rows alone."""

from __future__ import annotations

from limits import PASSES
from measuring import disturbance, markdown, middle, spread, times
from records import Row, in_order, versions_and_dates

SKIPPED = 5


def training(rows: list[Row]) -> str:
    """All sections that have rows, as Markdown."""
    if not rows:
        return "Not measured yet."
    machine = next((row for row in rows if row["section"] == "limits"), None)
    parts = [limits(machine)] if machine else []
    for section, title, table in (
        ("full", "Full fine-tuning, some steps", steps),
        ("lora", "LoRA, some steps", steps),
        ("savings", "What each saving gives, some steps", savings),
        ("features", "Feature extraction, the whole job to test accuracy", jobs),
        ("target", "Time to a given accuracy; validation decides when", to_target),
        ("few_shot", "A few rows per label, the whole job", jobs),
    ):
        chosen = [row for row in rows if row["section"] == section]
        if chosen:
            parts.append(f"### {title}\n\n{table(chosen, machine)}")
    said = [
        "machine: " + " / ".join(in_order(row["machine"] for row in rows)),
        "threads: " + " / ".join(in_order(str(row["threads"]) for row in rows)),
        disturbance(rows),
        *versions_and_dates(rows),
    ]
    small = any(row.get("rows_used") for row in rows)
    warning = "**Some rows were measured on a part of the data: they only show that it runs.**\n\n" if small else ""
    return warning + "\n\n".join([*parts, "; ".join(said) + "."])


def limits(row: Row) -> str:
    """What the machine multiplies, and what an epoch needs."""
    rates = [[precision, *of.values()] for precision, of in row["rates"].items()]
    ideal = row["epoch_gflop"] / row["peak_gflops"]
    return (
        "### The machine and the work\n\n"
        + markdown(["matmul, GFLOP/s", *next(iter(row["rates"].values()))], rates)
        + f"\n\nAn epoch of full fine-tuning on real tokens: {row['epoch_gflop']:,} GFLOP ({row['rows']:,} rows, "
        f"{row['tokens']:,} tokens), {ideal:.0f} s at the bf16 peak of {row['peak_gflops']:.0f}. Tokens fed for each "
        f"real one: {row['fed_random']:.2f} in random order, {row['fed_planned']:.3f} as nlptl plans its batches."
    )


def steps(rows: list[Row], machine: Row | None) -> str:
    """Rates over a steady window, and over all steps; ratios to the peer's two settings."""
    mode = str(rows[0]["section"])
    default, best = (
        middle([row for row in rows if row["contender"].endswith(f", {kind}")], "examples_per_second")
        for kind in ("default", "best")
    )
    lines = []
    for name, of in grouped(rows):
        rate = middle(of, "examples_per_second")
        lines.append(
            [
                name,
                spread(of, "examples_per_second"),
                times(rate, default),
                times(rate, best),
                spread(of, "examples_per_second_whole"),
                percent(middle(of, "padding_share")),
                share_of_peak(mode, rate, machine),
                spread(of, "process_seconds"),
                len(of),
            ]
        )
    head = ["", "examples/s", "x default", "x best", "examples/s, all steps", "padding", "of bf16 peak", "process, s"]
    note = (
        f"Medians (range) over rounds. examples/s leaves out the first {SKIPPED} steps; 'of bf16 peak' counts the "
        f"multiply-adds of real tokens, {PASSES[mode]} forward passes' worth for this mode, against the measured peak."
    )
    return f"{markdown([*head, 'rounds'], lines)}\n\n{note}"


def savings(rows: list[Row], machine: Row | None) -> str:
    """Rates with everything, and with each saving left out."""
    whole: dict[str, float | None] = {}
    lines = []
    for name, of in grouped(rows):
        rate, mode = middle(of, "examples_per_second"), name.split(",")[0]
        whole.setdefault(mode, rate)
        lines.append([name, spread(of, "examples_per_second"), times(rate, whole[mode]), len(of)])
    return markdown(["", "examples/s", "x with all", "rounds"], lines)


def jobs(rows: list[Row], machine: Row | None) -> str:
    """Seconds of whole jobs, with and without the start of Python and its imports; ratios to the first contender."""
    groups = grouped(rows)
    # Where the peer is not installed there is nothing to compare with.
    peer = next((of for name, of in groups if not name.startswith("nlptl")), [])
    lines = [
        [
            name,
            spread(of, "seconds"),
            times(middle(peer, "seconds"), middle(of, "seconds")),
            spread(of, "process_seconds"),
            times(middle(peer, "process_seconds"), middle(of, "process_seconds")),
            percent(middle(of, "test_accuracy"), 2),
            len(of),
        ]
        for name, of in groups
    ]
    head = ["", "job, s", "faster", "process, s", "faster", "test accuracy", "rounds"]
    note = "Medians (range). The job starts when Python and its imports are there; the process includes them."
    return f"{markdown(head, lines)}\n\n{note}"


def to_target(rows: list[Row], machine: Row | None) -> str:
    """Seconds until validation reached the target; a lower bound for who did not."""
    groups = grouped(rows)
    ours = {name: middle(of, "seconds_to_target") for name, of in groups if name.startswith("nlptl")}
    lines = []
    for name, of in groups:
        reached = middle(of, "seconds_to_target")
        spent = middle(of, "seconds")
        lines.append(
            [
                name,
                f"{reached:.1f}" if reached else f"not reached in {spent:.0f}",
                *(
                    "-" if name in ours else "> " * (not reached) + times(reached or spent, its)
                    for its in ours.values()
                ),
                int(middle(of, "epoch") or 0),
                percent(middle(of, "best_validation_accuracy"), 2),
                percent(middle(of, "test_accuracy"), 2),
            ]
        )
    head = ["", "seconds", *(f"x {name}" for name in ours), "epochs", "best validation", "test accuracy then"]
    note = (
        f"Validation accuracy to reach: {percent(rows[0]['target'])}; measured before the first epoch by nlptl, whose "
        "head starts from a linear probe, and after each epoch by all. Seconds include reading, tokenising and "
        "validating, not Python's imports."
    )
    return f"{markdown(head, lines)}\n\n{note}"


def grouped(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """Rows by contender, peers first."""
    names = sorted(in_order(row["contender"] for row in rows), key=lambda name: name.startswith("nlptl"))
    return [(name, [row for row in rows if row["contender"] == name]) for name in names]


def share_of_peak(mode: str, examples_per_second: float | None, machine: Row | None) -> str:
    """Ideal multiply-adds done per second, over the measured peak."""
    if not machine or not examples_per_second:
        return "-"
    return percent(PASSES[mode] * examples_per_second * machine["forward_gflop_per_row"] / machine["peak_gflops"])


def percent(share: float | None, digits: int = 1) -> str:
    """`12.3 %`."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"
