import subprocess
import sys

import datasets
import pandas as pd
import pytest

import nlptl
from nlptl.errors import ConfigError, DataError
from nlptl.storage.paths import bundled

QUICK = {"training.epochs": 1, "runtime.precision": "fp32", "runtime.progress": False, "model.pooling": "mean"}


@pytest.fixture
def frames(obvious) -> dict[str, pd.DataFrame]:
    return {split: pd.read_csv(obvious / f"{split}.csv") for split in ("train", "validation", "test")}


@pytest.fixture
def quickly(tiny, tmp_path):
    def run(task="sentiment", **given):
        given = {"mode": "feature_extraction", "checkpoint": tiny["bert"], "settings": QUICK, **given}
        return nlptl.train(task, output=tmp_path / "run", **given)

    return run


@pytest.fixture
def from_files(quickly, obvious, tmp_path):
    """Test metrics of the same data read from files."""
    run = quickly(data=obvious)
    run.folder.rename(tmp_path / "from_files")
    return nlptl.load(tmp_path / "from_files").metrics["test"]


@pytest.mark.parametrize("kind", ["frames", "datasets", "dataset_dict"])
def test_python_data_is_as_good_as_files(quickly, from_files, frames, kind):
    data = {
        "frames": frames,
        "datasets": {split: datasets.Dataset.from_pandas(frame) for split, frame in frames.items()},
        "dataset_dict": datasets.DatasetDict(
            {split: datasets.Dataset.from_pandas(frame) for split, frame in frames.items()}
        ),
    }[kind]
    run = quickly(data=data)
    assert run.metrics["test"] == from_files
    assert run.artifact.config.data.source == "(python data)"


def test_one_frame_is_split(quickly, frames):
    run = quickly(data=frames["train"])
    sizes = run.metrics["data"]
    assert (sizes["train"] + sizes["validation"] + sizes["test"], sizes["test"]) == (67, 13)


def test_run_yaml_of_python_data_says_what_is_missing(quickly, frames, tmp_path):
    run = quickly(data=frames)
    with pytest.raises(DataError, match=r"\(python data\)"):
        nlptl.train(config=run.folder / "run.yaml", output=tmp_path / "again")
    again = nlptl.train(config=run.folder / "run.yaml", data=frames, output=tmp_path / "again")
    assert again.metrics["test"] == run.metrics["test"]


def test_settings_go_over_the_file(quickly, obvious, tmp_path):
    (tmp_path / "run.yaml").write_text("{task: sentiment, seed: 4, training: {epochs: 7}, model: {max_length: 16}}")
    run = quickly(None, config=tmp_path / "run.yaml", data=obvious, seed=5)
    config = run.artifact.config
    assert (config.seed, config.training.epochs, config.model.max_length) == (5, 1, 16)
    with pytest.raises(ConfigError, match=r"Unknown setting 'training\.epoch'.*Did you mean 'training\.epochs'"):
        nlptl.train("sentiment", settings={"training.epoch": 3})


def test_a_task_made_in_python_is_trained(quickly, frames, monkeypatch):
    monkeypatch.setattr("nlptl.tasks._registered", {})
    nlptl.register_task(nlptl.TaskSpec(name="moods", description="x", labels=["positive", "negative"]))
    run = quickly("moods", data=frames)
    assert run.labels == ["positive", "negative"]
    assert nlptl.load(run.folder).predict(["a good film"])[0].label in run.labels


def test_out_of_scope_and_thresholds_are_fitted_and_reloaded(train, tmp_path):
    """The two bundled tasks with a policy of their own, on a part of their samples."""
    for task, policy, label in (
        ("fraud-text", "threshold", "fraud"),
        ("chatbot-intent", "out_of_scope", "out_of_scope"),
    ):
        sample = bundled("tasks") / task / "sample"
        folder = tmp_path / task
        folder.mkdir()
        for split, rows in (("train", 120), ("validation", 40), ("test", 40)):
            frame = pd.read_csv(sample / f"{split}.csv")
            keep = sorted(frame["label"].unique())[-8:] if task == "chatbot-intent" else list(frame["label"].unique())
            frame[frame["label"].isin([*keep, label])].head(rows).to_csv(folder / f"{split}.csv", index=False)
        run = train(task, folder, tmp_path / f"{task}-run", mode="feature_extraction").run
        decision = run.artifact.decision
        assert (decision.policy, decision.label) == (policy, label)
        assert 0 < decision.threshold < 1
        table = pd.read_csv(run.folder / "predictions.csv")
        assert [p.label for p in run.predict(table["text"].tolist())] == table["predicted"].tolist()
        most = [p.label for p in run.predict(table["text"].tolist(), decision="argmax")]
        assert most == table["most_probable"].tolist()
        assert (table["label"] == most).mean() == pytest.approx(run.metrics["test"]["accuracy"])


def test_importing_the_package_is_light():
    program = (
        "import sys, nlptl; print([m for m in ('torch', 'transformers', 'pandas', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in nlptl.__all__:
        assert getattr(nlptl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'tran'"):
        nlptl.tran  # noqa: B018
