"""Numbers and outcomes as people read them."""

from __future__ import annotations

from typing import Any

from nlptl.evaluation.significance import BETTER, WORSE, Difference, estimated, p_text


def shown(value: Any) -> str:
    """A number for people: four decimals for fractions."""
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def with_interval(facts: dict[str, Any], name: str) -> str:
    """A number, and its 95 % interval in brackets where there is one.

    Args:
        facts: numbers by name; the interval of `x` is `x_interval`, that of `x_per_y` is `x_interval` too.
        name: of the number.
    """
    interval = facts.get(f"{name}_interval") or facts.get(f"{name.partition('_per_')[0]}_interval")
    values = [facts.get(name), *(interval or ())]
    value, *bounds = (f"{each:.1f}" if isinstance(each, float) and each >= 10 else shown(each) for each in values)
    return f"{value} [{', '.join(bounds)}]" if bounds else value


def decision_title(report: dict[str, Any]) -> str:
    """What a run decides by, in a line.

    Args:
        report: of a split, from `metrics.json`.
    """
    decided, method = report["decided"], report["calibration"]["method"]
    calibrated = "probabilities not calibrated" if method == "none" else f"probabilities calibrated by {method}"
    note = f"\n{decided['note']}" if "note" in decided else ""
    return f"Decision policy {decided['policy']}, {calibrated}{note}"


def titled(name: str) -> str:
    """A metric's or setting's name as people write it: Macro F1."""
    plain = name.replace("_", " ").replace("f1", "F1").replace("roc auc", "ROC AUC")
    return plain[:1].upper() + plain[1:]


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


def forgetting_sentences(facts: dict[str, Any]) -> str:
    """What a continued training forgot of the earlier run's test rows, in words.

    Args:
        facts: the section `forgetting` of `metrics.json`.
    """
    found = Difference.of_rows(facts)
    verdict = {WORSE: "clearly fewer are right: some was forgotten", BETTER: "clearly more are right"}
    evidence = "" if found.p is None else f" ({p_text(found.p)})"
    said = [
        f"On {facts['rows']} test rows of the earlier run {facts['run']}: accuracy {shown(facts['before'])} before, "
        f"{shown(facts['after'])} now, {100 * found.mean:+.1f} points{evidence}: "
        f"{verdict.get(found.outcome, 'no clear difference')}."
    ]
    if facts["left_out"]:
        said.append(f"{facts['left_out']} more are among the rows learned from, and are left out.")
    if facts["labels"]:
        lost = (
            f"{name} {shown(each['before'])} to {shown(each['after'])} of {each['rows']}"
            for name, each in facts["labels"].items()
        )
        said.append(f"Labels that lost most: {', '.join(lost)}.")
    return " ".join(said)


def evolution_sentences(facts: dict[str, Any]) -> str:
    """What became of a run's labels, and of its old ones' accuracy, in words.

    Args:
        facts: the section `evolution` of `metrics.json`.
    """
    said = []
    if "renamed" in facts:
        names = ", ".join(f"{old} is {new}" for old, new in facts["renamed"].items())
        said.append(f"Labels of the run {facts['run']} under other names: {names}. Nothing was trained.")
    for new, olds in facts.get("merged", {}).items():
        said.append(f"{', '.join(olds)} became {new}.")
    if "added" in facts:
        said.append(f"New labels: {', '.join(facts['added'])}.")
    found = facts.get("regression")
    if found is None:
        return " ".join(said)
    if not found:
        return " ".join([*said, f"What the old labels lost is not measured: {facts['run']} keeps no test rows for it."])
    compared = Difference.of_rows(found)
    evidence = "" if compared.p is None else f" ({p_text(compared.p)})"
    verdict = {WORSE: "clearly fewer are right", BETTER: "clearly more are right"}
    said.append(
        f"On {compared.rows} test rows of the run {facts['run']}: accuracy {shown(found['before'])} before, "
        f"{shown(found['after'])} now, {100 * compared.mean:+.1f} points{evidence}: "
        f"{verdict.get(compared.outcome, 'no clear difference')}."
    )
    if found["fallen"]:
        lost = (
            f"{name} {shown(each['before'])} to {shown(each['after'])} of {each['rows']}"
            for name, each in found["labels"].items()
            if name in found["fallen"]
        )
        said.append(f"Labels that fell clearly: {', '.join(lost)}.")
    elif not found["fell"]:
        said.append("No old label fell clearly.")
    return " ".join(said)


def via_sentences(facts: dict[str, Any]) -> str:
    """What going via other data gave, in words.

    Args:
        facts: the section `via` of `metrics.json`, with its comparison.
    """
    compared = facts["comparison"]
    found = Difference.of_rows(compared)
    used = [
        f"{each['source']} ({each['interpolation']:.0%} of the way{', with its head' * each.get('head', False)})"
        for each in facts["sources"]
    ]
    evidence = "" if found.p is None else f", {p_text(found.p)}"
    verdict = {BETTER: "the way via it helped", WORSE: "negative transfer: the way via it HURT"}
    return (
        f"Via {', '.join(used)}: accuracy {shown(compared['via']['test'])} on test; straight from the checkpoint "
        f"{shown(compared['straight']['test'])}; {100 * found.mean:+.1f} points{evidence}: "
        f"{verdict.get(found.outcome, 'no clear difference')}. McNemar's exact test over {found.rows} test rows, one "
        "seed: other seeds may differ."
    )


def lineage_sentence(lineage: list[dict[str, Any]]) -> str:
    """What was learned before a run, in words: minilm -> pre-training masked_lm -> task sentiment (full, 2000 rows).

    Args:
        lineage: `lineage` of its manifest.
    """
    return " -> ".join(_ancestor(entry) for entry in lineage)


def _ancestor(entry: dict[str, Any]) -> str:
    digest = entry["revision"].rpartition(":")[2][:12]
    known = [f"{entry['mode']}, {entry['rows']} rows, run {entry['run']}"] if entry["kind"] == "task" else []
    if "interpolation" in entry:
        rows = f", {entry['rows']} rows" if "rows" in entry else ""
        known += [f"{entry['objective']}{rows}, {entry['interpolation']:.0%} of the way"]
    known += [f"{entry['texts']} texts"] if "texts" in entry else []
    known += [f"`{digest}`"] if digest else []
    kind = "" if entry["kind"] == "checkpoint" else f"{entry['kind']} "
    return f"{kind}{entry['name']}" + (f" ({', '.join(known)})" if known else "")


def comparison_sentences(facts: dict[str, Any]) -> str:
    """How a run compares with the best classical model on the same rows, in words.

    Args:
        facts: the section `comparison` of `metrics.json`.
    """
    right, metric = facts["right"], facts["metric"]
    found = Difference.of_rows(right)
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


def correction_sentences(facts: dict[str, Any]) -> str:
    """What correcting labels gave, in words.

    Args:
        facts: those of `nlptl.quality.gain.Gain`.
    """
    found, counts = Difference.of_rows(facts["right"]), facts["counts"]
    done = ", ".join(
        f"{split} {each['relabelled']} relabelled and {each['dropped']} dropped"
        for split, each in counts.items()
        if any(each.values())
    )
    verdict = {BETTER: "correcting helped", WORSE: "correcting HURT"}.get(found.outcome, "no clear difference")
    evidence = [] if found.p is None else [p_text(found.p)]
    if found.interval is not None:
        evidence.insert(0, "95 % interval {:+.1f} to {:+.1f}".format(*(100 * end for end in found.interval)))
    said = [
        f"Corrected rows: {done or 'none'}.",
        f"Accuracy on the same {found.rows} test rows: {shown(facts['accuracy']['before'])} trained on the rows as they"
        f" were, {shown(facts['accuracy']['corrected'])} on the corrected ones, {100 * found.mean:+.1f} points"
        f"{' (' * bool(evidence)}{', '.join(evidence)}{')' * bool(evidence)}: {verdict}.",
        f"McNemar's exact test over {found.rows} test rows, one seed: other seeds may differ.",
    ]
    if any(counts.get("test", {}).values()):
        said.append("Both are measured on the corrected test rows.")
    return " ".join(said)


def long_text_sentence(facts: dict[str, Any], test: dict[str, Any]) -> str:
    """What a run reads of texts that are longer than one input of its encoder.

    Args:
        facts: the section `long_texts` of `metrics.json`.
        test: what that says of the test split.
    """
    tokens, some = facts["max_length"], f"{test['longer']} of {test['texts']} test texts"
    if facts["way"] == "windows":
        return (
            f"Texts longer than {tokens} tokens ({some}) are read whole, in windows of {tokens} tokens that share at "
            f"least {facts['window_overlap']:.0%} with the next one and are pooled by {facts['window_pooling']}"
        )
    read = {"truncate": "their beginning is", "head_tail": "their beginning and end are"}[facts["way"]]
    return (
        f"Of texts longer than {tokens} tokens ({some}) only {read} read: {test['unread_share']:.0%} of all "
        "test tokens are not"
    )
