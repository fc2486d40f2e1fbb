import pandas as pd
import pytest
import yaml

import nlptl
from nlptl.config.overrides import dotted_keys, load_config
from nlptl.config.run import ResolvedRun, RunConfig
from nlptl.config.training import ResolvedTraining
from nlptl.errors import ArtifactError
from nlptl.runs.claims import INPUTS, is_finished, is_unfinished, prepare_folder, same_run
from nlptl.storage.json_files import write_json
from tests.test_identity import CHANGED, REFUSED, changed_value

CONFIG = RunConfig(task="sentiment", mode="full")
INPUTS_A = {"checkpoint": "sha256:1", "task sentiment": "a", "train rows of sentiment": "b"}
OTHER_ROWS = {**INPUTS_A, "train rows of sentiment": "c"}
# What a run gives does not depend on these; anything else is another run.
ANY = {
    "output",
    "probe.cache",
    "training.save_every",
    "training.keep_states",
    "runtime.trackers",
    "runtime.timeout_seconds",
    "runtime.measure_peak",
    "runtime.threads",
    "runtime.progress",
    "runtime.cache_limit",
    "baseline.compare",
    "via.compare",
}


@pytest.mark.parametrize("key", [key for key in dotted_keys() if key not in REFUSED])
def test_every_setting_that_decides_a_result_makes_another_run(key):
    value = {"multi_task.sources": {"a": "b"}, "runtime.trackers": ["x"]}.get(key)
    value = value or (CHANGED[key][key] if key in CHANGED else changed_value(key))
    for name in ("label_maps", "weights"):
        value = {"a": 2.0 if name == "weights" else {"b": "c"}} if key == f"multi_task.{name}" else value
    value = "soup" if key == "strategy" else value
    now = load_config(**{"task": "sentiment", key: value})
    said = same_run(CONFIG, now)
    assert bool(said) == (key not in ANY), said
    if said:
        assert f"{key}: " in said


def test_what_a_run_is_made_from_makes_another_run():
    assert same_run(CONFIG, CONFIG, INPUTS_A, INPUTS_A) == ""
    assert same_run(CONFIG, CONFIG, INPUTS_A, OTHER_ROWS) == "made from other data (train rows of sentiment)"
    more = {**INPUTS_A, "target rows of sentiment": "d"}
    assert same_run(CONFIG, CONFIG, INPUTS_A, more) == "made from other data (target rows of sentiment)"
    other = CONFIG.model_copy(update={"seed": 1})
    assert same_run(CONFIG, other, INPUTS_A, {**INPUTS_A, "checkpoint": "sha256:2"}) == (
        "with other settings (seed: 0 -> 1) and made from other data (checkpoint)"
    )


def test_a_run_that_has_not_noted_its_data_is_the_same_if_its_settings_are():
    assert same_run(CONFIG, CONFIG, {}, INPUTS_A) == same_run(CONFIG, CONFIG, None, INPUTS_A) == ""


def resolved() -> ResolvedRun:
    return load_config(task="sentiment").resolved(
        {
            "strategy": "fine_tune",
            "checkpoint": "minilm",
            "model.pooling": "mean",
            "model.dropout": 0.0,
            "model.head_start": "probe",
            "training.epochs": 3,
            "training.learning_rate": 1e-3,
            "training.batch_size": 16,
            "training.layer_decay": 1.0,
            "training.label_smoothing": 0.0,
            "training.refit": False,
            "adaptation.method": "coral",
        }
    )


def test_settings_that_an_older_run_does_not_state_have_their_defaults(tmp_path):
    """New ones are missing there; some were left open that resolved settings state."""
    config = resolved()
    values = config.model_dump(mode="json")
    del values["runtime"]["cache_limit"], values["soup"], values["training"]["keep_states"]
    values["training"] |= {"layer_decay": None, "label_smoothing": None, "refit": None}
    assert ResolvedTraining.model_fields["layer_decay"].default == config.training.layer_decay
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    assert is_unfinished(tmp_path, config, INPUTS_A)
    assert prepare_folder(tmp_path, config, INPUTS_A) is True
    values["training"]["layer_decay"] = 0.5
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ArtifactError, match=r"training\.layer_decay: 0\.5 -> 1\.0"):
        prepare_folder(tmp_path, config, INPUTS_A)


def test_an_unfinished_run_of_other_data_is_refused(tmp_path):
    prepare_folder(tmp_path / "run", CONFIG, INPUTS_A)
    assert prepare_folder(tmp_path / "run", CONFIG, INPUTS_A) is True
    assert not is_unfinished(tmp_path / "run", CONFIG, OTHER_ROWS)
    with pytest.raises(ArtifactError, match=r"unfinished run made from other data \(train rows of sentiment\)"):
        prepare_folder(tmp_path / "run", CONFIG, OTHER_ROWS)


def test_a_run_that_is_taken_up_notes_what_it_is_made_from(tmp_path):
    prepare_folder(tmp_path / "run", CONFIG)
    assert not (tmp_path / "run" / INPUTS).exists()
    prepare_folder(tmp_path / "run", CONFIG, INPUTS_A)
    assert not is_unfinished(tmp_path / "run", CONFIG, OTHER_ROWS)


def test_a_finished_run_tells_what_is_other(tmp_path):
    folder = tmp_path / "run"
    prepare_folder(folder, CONFIG, INPUTS_A)
    write_json(folder / "manifest.json", {})
    assert is_finished(folder, CONFIG.model_copy(update={"output": "elsewhere"}), INPUTS_A)
    assert not is_finished(folder, CONFIG, OTHER_ROWS)
    with pytest.raises(ArtifactError, match=r"holds a finished run\. Choose"):
        prepare_folder(folder, CONFIG, INPUTS_A)
    with pytest.raises(ArtifactError, match=r"holds a finished run made from other data \(train rows"):
        prepare_folder(folder, CONFIG, OTHER_ROWS)


@pytest.mark.parametrize("damage", ["", "seed: [", "no_such_setting: 1\ntask: x\n"])
def test_another_runs_damaged_settings_stop_nobody(tmp_path, damage):
    (tmp_path / "run.yaml").write_text(damage)
    assert not is_unfinished(tmp_path, CONFIG)


def test_python_data_are_told_apart_by_their_rows(tiny, obvious, tmp_path):
    """Both are called "(python data)" in the settings."""
    frames = {split: pd.read_csv(obvious / f"{split}.csv") for split in ("train", "validation", "test")}
    given = {
        "mode": "feature_extraction",
        "checkpoint": tiny["bert"],
        "output": tmp_path / "run",
        "settings": {"runtime.progress": False},
        "resume": True,
    }
    run = nlptl.train("sentiment", data=frames, **given)
    assert nlptl.train("sentiment", data=frames, **given).metrics == run.metrics
    for split, frame in frames.items():
        other = {**frames, split: frame.assign(text=frame["text"] + " :)")}
        with pytest.raises(ArtifactError, match=rf"finished run made from other data \({split} rows of sentiment\)"):
            nlptl.train("sentiment", data=other, **given)
