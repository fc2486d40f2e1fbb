"""What is said of an explanation: whose logit it is, what must be known, and that its HTML shows texts as they are."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from nlptl.errors import ConfigError
from nlptl.inference.explanation import Attribution, Explanation, Word, explain_text, explainer_of
from nlptl.tasks import TaskSpec

HOSTILE = "<script>alert('x')</script> &amp; \"good\" <b>film"


class Fixed:
    """An explainer that gives each word a share of its own."""

    def attribute(self, texts, column):
        from nlptl.inference.words import words_of

        self.column = column
        shares = [np.arange(1.0, len(words_of(text)) + 1) for text in texts]
        return Attribution(shares, 0.5, 1.5 + sum(float(each.sum()) for each in shares), 1.0, "fixed")


def answering(labels, probabilities, decided, start=0, **task):
    spec = TaskSpec(name="made-up", description="", labels=labels, **task)
    decision = SimpleNamespace(policy=spec.decision.policy, label=spec.decision.label)
    head = SimpleNamespace(task=spec, decision=decision, columns=slice(start, start + len(labels)))
    run = SimpleNamespace(
        text_columns=1,
        labels=labels,
        answer=lambda texts: ([SimpleNamespace(label=decided)], np.array([probabilities], np.float32), None),
    )
    return run, head


@pytest.mark.parametrize(
    ("probabilities", "decided", "task", "label", "note"),
    [
        ([0.2, 0.7, 0.1], "b", {}, "b", None),
        ([0.6, 0.3, 0.1], "b", {"positive_label": "b", "decision": {"policy": "threshold"}}, "b", None),
        (
            [0.4, 0.3, 0.3],
            "elsewhere",
            {"decision": {"policy": "out_of_scope", "label": "elsewhere"}},
            "a",
            "Decided was elsewhere, since no label is probable enough; a is the most probable one.",
        ),
        (
            [0.4, 0.3, 0.3],
            "c",
            {"decision": {"policy": "out_of_scope", "label": "c"}},
            "a",
            "Decided was c, since no label is probable enough; a is the most probable one.",
        ),
        ([0.6, 0.9, 0.2], ["a", "b"], {"kind": "multi_label"}, "b", "Also decided: a. Each is explained by its name."),
        ([0.3, 0.4, 0.2], [], {"kind": "multi_label"}, "b", "No label was decided; b is the most probable one."),
    ],
)
def test_the_decided_label_is_explained_unless_it_explains_nothing(probabilities, decided, task, label, note):
    run, head = answering(["a", "b", "c"], probabilities, decided, start=2, **task)
    explainer = Fixed()
    found = explain_text(run, explainer, head, "one two")
    assert found.label == label
    assert explainer.column == 2 + ["a", "b", "c"].index(label)
    assert found.notes == ([] if note is None else [note])
    assert found.probability == pytest.approx(probabilities[["a", "b", "c"].index(label)])
    assert explain_text(run, explainer, head, "one two", "c").label == "c"


def test_words_add_up_and_the_largest_come_first():
    run, head = answering(["a", "b"], [0.2, 0.8], "b")
    found = explain_text(run, Fixed(), head, "one two, three")
    assert [word.word for word in found.top(2)] == ["three", ","]
    assert found.gap == pytest.approx(0.0)
    assert json.loads(json.dumps(found.to_json()))["words"][1] == {
        "word": "two", "start": 4, "stop": 7, "share": 2.0, "text": 0,
    }  # fmt: skip


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def test_html_shows_texts_and_labels_as_they_are():
    run, head = answering(["a", "<img src=x>"], [0.2, 0.8], "<img src=x>")
    shown = explain_text(run, Fixed(), head, HOSTILE)._repr_html_()
    reader = Reader()
    reader.feed(shown)
    assert reader.tags <= {"div", "b", "span", "small"}
    assert HOSTILE in reader.text
    assert "<img src=x>" in reader.text


def test_a_gap_is_a_share_of_what_is_explained():
    def of(logit, base, share):
        words = [Word("x", 0, 1, share)]
        return Explanation(("x",), "a", "a", 0.5, logit, base, words, 0.0, "fixed", 8, []).relative_gap

    assert of(3.0, 1.0, 1.5) == pytest.approx(0.25)
    assert of(1.0, 1.0, 0.0) == 0.0
    assert of(1.0, 1.0, 0.5) == float("inf")


def test_a_kind_of_run_that_nothing_explains_is_named():
    artifact = SimpleNamespace(folder="somewhere", manifest={"kind": "oracle"})
    with pytest.raises(ConfigError, match=r"kind oracle, which nothing explains. .*: baseline, encoder"):
        explainer_of(artifact, None)
