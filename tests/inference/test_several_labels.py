"""From a file with several labels a text to answers, on the bundled checkpoint."""

import json

import nlptl
from nlptl.data.drafting import draft_task
from tests.docs.files import topic_columns


def test_a_run_finds_every_topic_of_a_text_and_keeps_its_thresholds(tmp_path):
    topic_columns(tmp_path / "topics.csv")
    draft_task("topics", tmp_path / "topics.csv", tmp_path / "tasks")
    run = nlptl.train(
        "topics", tasks_dir=tmp_path / "tasks", mode="feature_extraction", output=tmp_path / "run", max_length=32
    )
    both, none = run.predict(
        ["Support never called me back. The parcel is two weeks late.", "This is my second order."]
    )
    assert (both.label, none.label) == (["delivery", "service"], [])
    decision = json.loads((tmp_path / "run" / "decision.json").read_text())
    assert set(decision["thresholds"]) == set(run.labels)
    merged = nlptl.load(nlptl.merge(run, tmp_path / "merged"))
    assert json.loads((tmp_path / "merged" / "decision.json").read_text()) == decision
    measured = run.evaluate(tmp_path / "topics.csv")["decided"]
    assert merged.evaluate(tmp_path / "topics.csv")["decided"] == measured
    assert measured["micro_f1"] > 0.9
    assert {values["rows"] > 0 for values in measured["per_class"].values()} == {True}
