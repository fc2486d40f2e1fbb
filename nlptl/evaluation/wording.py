"""Numbers and outcomes as people read them."""

from __future__ import annotations

from typing import Any


def shown(value: Any) -> str:
    """A number for people: four decimals for fractions."""
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def adaptation_sentence(facts: dict[str, Any]) -> str:
    """The outcome in words."""
    if facts["method"] == "none":
        return "Nothing was adapted: the run is the source-only model."
    if facts["comparison"] is None:
        said = f"{len(facts['doubts'])} sign(s) of harm" if facts["doubts"] else "no sign of harm"
        return f"The target has no labels, so whether adapting helped cannot be measured; without labels: {said}."
    gain, error, verdict = (facts["comparison"][name] for name in ("gain", "standard_error", "verdict"))
    plain = {"helped": "Adapting helped", "hurt": "Adapting HURT", "no clear difference": "Adapting made no difference"}
    return f"{plain[verdict]}: accuracy on the target's test rows {gain:+.4f} (standard error {error:.4f})."
