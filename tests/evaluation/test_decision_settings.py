"""The settings `decision.*` of a run, from the call to the saved policy."""

import pytest

import nlptl
from nlptl.errors import ConfigError
from nlptl.storage.json_files import read_json
from tests.conftest import sample

SMALL = {"training.refit": False, "data.validation_fraction": 0.3}


@pytest.fixture(scope="module")
def intents():
    rows = sample("chatbot-intent", "train", 900)
    return rows[rows["label"] != "out_of_scope"]


def fitted(intents, folder, **settings):
    run = nlptl.train_baseline(
        "chatbot-intent", data=intents, output=folder, settings={**SMALL, "baseline.features": ["words"], **settings}
    )
    return run, read_json(run.folder / "decision.json")


def test_data_without_out_of_scope_rows_are_answered_by_the_most_probable_label(intents, tmp_path):
    run, decision = fitted(intents, tmp_path / "plain")
    assert decision["policy"] == "argmax"
    note = run.metrics["validation"]["decided"]["note"]
    assert "--set decision.reject=always" in note
    assert note in (run.folder / "README.md").read_text()
    rejecting, decision = fitted(intents, tmp_path / "rejecting", **{"decision.reject": "always"})
    assert (decision["policy"], decision["label"]) == ("out_of_scope", "out_of_scope")
    lost = 1 - rejecting.metrics["validation"]["decided"]["in_scope_kept"]
    assert 0 < lost <= 0.05
    stricter, decision = fitted(intents, tmp_path / "stricter", **{"decision.reject": "always", "decision.keep": 0.8})
    assert 1 - stricter.metrics["validation"]["decided"]["in_scope_kept"] > lost


def test_a_task_with_another_policy_has_no_such_settings(tmp_path):
    with pytest.raises(ConfigError, match="decision.reject would have no effect: no task of the run has a decision"):
        nlptl.train("sentiment", output=tmp_path / "run", settings={"decision.reject": "always"})
    with pytest.raises(ConfigError, match="decision.keep would have no effect: decision.reject=never answers"):
        nlptl.train(
            "chatbot-intent", output=tmp_path / "run", settings={"decision.reject": "never", "decision.keep": 0.5}
        )
    assert not (tmp_path / "run").exists()
