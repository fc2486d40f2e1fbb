"""What is asked of labels, against those of a run: every fault at once, and each in one sentence."""

from __future__ import annotations

import pytest

from nlptl.errors import ConfigError
from nlptl.evolution.changes import Changes, checked
from nlptl.tasks import TaskSpec


def task(**more):
    return TaskSpec(name="made-up", description="", labels=["a", "b", "c", "d"], **more)


def test_labels_keep_their_places():
    assert Changes(renamed={"b": "z"}).labels(["a", "b", "c"]) == ["a", "z", "c"]
    assert Changes(merged={"x": ["b", "d"]}, added=["n"]).labels(["a", "b", "c", "d"]) == ["a", "x", "c", "n"]
    assert Changes(merged={"b": ["b", "d"]}).labels(["a", "b", "c", "d"]) == ["a", "b", "c"]


def test_what_a_task_says_of_its_labels_goes_with_them():
    known = task(positive_label="b", decision={"policy": "threshold"})
    assert Changes(renamed={"b": "z"}).of(known).positive_label == "z"
    assert Changes(merged={"x": ["b", "c"]}).of(known).positive_label == "x"
    outside = task(decision={"policy": "out_of_scope", "label": "d"})
    assert Changes(renamed={"d": "elsewhere"}).of(outside).decision.label == "elsewhere"
    hub = {"hub": {"hub_id": "owner/name", "label_map": {"1": "b"}}}
    assert Changes(renamed={"b": "z"}).of(task(data=hub)).data["hub"].label_map == {"1": "z"}


def test_names_may_be_exchanged():
    changes = checked(task(), Changes(renamed={"a": "b", "b": "a"}))
    assert changes.labels(["a", "b", "c", "d"]) == ["b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (Changes(), "Nothing changes"),
        (Changes(renamed={"q": "z"}), "Unknown label of this run 'q'. Available: a, b, c, d"),
        (Changes(merged={"x": ["a", "q"]}), "Unknown label of this run 'q'"),
        (Changes(renamed={"a": "b"}), "'b' is a label of this run already"),
        (Changes(renamed={"a": "z", "b": "z"}), "'z' would be the name of two labels"),
        (Changes(renamed={"a": " "}), "A label needs a name"),
        (Changes(added=["c"]), "'c' is a label of this run already"),
        (Changes(merged={"c": ["a", "b"]}), "'c' is a label of this run already"),
        (Changes(merged={"x": ["a"]}), r"Merging into 'x' names 1 label\(s\); it takes two or more"),
        (Changes(merged={"x": ["a", "b"], "y": ["b", "c"]}), "'b' is merged twice"),
        (Changes(merged={"x": ["a", "b"]}, added=["x"]), "'x' would be the name of two labels"),
        (Changes(renamed={"a": "z"}, added=["n"]), "rename in a call of its own"),
    ],
)
def test_what_labels_cannot_undergo_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        checked(task(), changes)


def test_every_fault_is_told_and_some_depend_on_the_task():
    with pytest.raises(ConfigError) as caught:
        checked(task(), Changes(renamed={"q": "z", "a": "b"}))
    assert len(caught.value.faults) == 2
    with pytest.raises(ConfigError, match="which of them have a new one too, nobody has said"):
        checked(task(kind="multi_label"), Changes(added=["n"]))
    with pytest.raises(ConfigError, match="at least two labels"):
        Changes(merged={"x": ["a", "b", "c", "d"]}).of(task())
