"""Numbers and outcomes as people read them."""

from __future__ import annotations

from typing import Any

from nlptl.evaluation.significance import BETTER, WORSE, estimated, p_text


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
