"""Numbers and outcomes as people read them."""

from __future__ import annotations

from typing import Any

from nlptl.evaluation.significance import BETTER, WORSE, Difference, estimated, p_text


def shown(value: Any) -> str:
    """A number for people: four decimals for fractions."""
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def adaptation_sentence(facts: dict[str, Any]) -> str:
    """The outcome of a domain adaptation in words.

    Args:
        facts: the section `adaptation` of `metrics.json`. One that was written before p was noted is judged by its gain
            and standard error; the verdict it holds, of one standard error, is not repeated.
    """
    if facts["method"] == "none":
        return "Nothing was adapted: the run is the source-only model."
    if facts["comparison"] is None:
        said = f"{len(facts['doubts'])} sign(s) of harm" if facts["doubts"] else "no sign of harm"
        return f"The target has no labels, so whether adapting helped cannot be measured; without labels: {said}."
    gain, error = (float(facts["comparison"][name]) for name in ("gain", "standard_error"))
    found = estimated(gain, error, facts["comparison"].get("p"))
    plain = {BETTER: "Adapting helped", WORSE: "Adapting HURT"}.get(found.outcome, "Adapting made no clear difference")
    evidence = "" if found.p is None else f", {p_text(found.p)}"
    return f"{plain}: accuracy on the target's test rows {gain:+.4f} (standard error {error:.4f}{evidence}; one run)."


def comparison_sentences(facts: dict[str, Any]) -> str:
    """How a run compares with the best classical model on the same rows, in words.

    Args:
        facts: the section `comparison` of `metrics.json`.
    """
    right, metric = facts["right"], facts["metric"]
    found = Difference(
        right["difference"], right["standard_error"], right["margin"], right["p"], seeds=None, rows=right["rows"]
    )
    evidence = [] if found.p is None else [p_text(found.p)]
    if found.interval is not None:
        evidence.insert(0, "95 % interval {:+.1f} to {:+.1f}".format(*(100 * end for end in found.interval)))
    said = [
        f"Best on words alone (TF-IDF + {facts['best']}, the best of {len(facts['baselines'])} on validation): "
        f"accuracy {shown(right['baseline'])} on test.",
        f"This run: {shown(right['run'])}, {100 * found.mean:+.1f} points ({', '.join(evidence)}): {found.outcome}.",
    ]
    if metric != "accuracy":
        values = (facts["baselines"][facts["best"]]["test"], facts["run"]["test"])
        said.append("{}, not tested: {} and {}.".format(metric, *map(shown, values)))
    said.append(f"McNemar's exact test over {found.rows} test rows, one seed: other seeds may differ.")
    return " ".join(said)
