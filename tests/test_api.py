import inspect
import re
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
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


def test_frequent_settings_are_keywords(quickly, frames, tmp_path):
    """Numbers of NumPy and paths are as good as Python's own."""
    changed = {split: frame.rename(columns={"text": "review", "label": "stars"}) for split, frame in frames.items()}
    changed = {split: f.assign(stars=f["stars"].map({"positive": 5, "negative": 1})) for split, f in changed.items()}
    run = quickly(
        data=changed,
        text_column="review",
        label_column="stars",
        label_map={5: "positive", np.int64(1): "negative"},
        shots=np.int64(9),
        max_length=20,
        precision="fp32",
        tasks_dir=bundled("tasks"),
        mode="full",
        epochs=np.int64(1),
        learning_rate=np.float32(1e-3),
        batch_size=8,
        settings={"runtime.progress": np.bool_(False)},
    )
    config = run.artifact.config
    assert (config.data.shots, config.model.max_length, config.training.epochs, config.training.batch_size) == (
        9,
        20,
        1,
        8,
    )
    assert config.training.learning_rate == pytest.approx(1e-3)
    assert config.data.label_map == {"5": "positive", "1": "negative"}
    assert run.metrics["data"]["train"] <= 18 + 2  # and the names of both labels


def test_every_fault_of_a_call_is_told_at_once(tmp_path):
    with pytest.raises(ConfigError, match="has 6 faults") as caught:
        nlptl.train(
            "sentimnt",
            mode="lorra",
            strategy="fine_tun",
            checkpoint="minilmm",
            epochs=0,
            output=tmp_path / "run",
            settings={"training.warmpu": 0.1},
        )
    for told in (
        "Unknown task 'sentimnt'",
        "Unknown mode 'lorra'. Available: feature_extraction, full, lora. Did you mean 'lora'?",
        "Unknown strategy 'fine_tun'",
        "Unknown checkpoint 'minilmm'",
        "training.epochs: ",
        "Unknown setting 'training.warmpu'",
    ):
        assert f"  - {told}" in str(caught.value).replace("strategy: ", "")
    assert list(tmp_path.iterdir()) == []


def test_faults_of_a_baseline_and_of_metrics_are_told_together(tmp_path):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "task.yaml").write_text("{name: mail, description: x, labels: [a, b], metrics: [acuracy]}")
    with pytest.raises(ConfigError, match="has 3 faults") as caught:
        nlptl.train_baseline("mail", model="linear_svn", tasks_dir=tmp_path, settings={"seed": -1})
    for told in ("Unknown metric 'acuracy'", "Unknown baseline 'linear_svn'", "seed: "):
        assert told in str(caught.value)


@pytest.mark.parametrize("value", [True, np.True_])
def test_true_is_no_number(value):
    with pytest.raises(ConfigError, match="expected a value, not true or false"):
        nlptl.train("sentiment", epochs=value)


def test_settings_without_effect_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigError, match=r"lora\.rank would have no effect: mode full has no adapters"):
        nlptl.train("sentiment", data="nowhere.csv", settings={"lora.rank": 3}, output=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"mode would have no effect: the baseline knn has no encoder"):
        nlptl.train_baseline("sentiment", model="knn", settings={"mode": "lora"})
    with pytest.raises(ConfigError, match=r"training\.epochs would have no effect: nothing is trained here"):
        nlptl.rank("sentiment", ["minilm"], settings={"training.epochs": 3})


def test_a_target_is_a_list_of_texts_and_domains_are_tables(frames, tiny, tmp_path):
    common = {"mode": "feature_extraction", "checkpoint": tiny["bert"], "settings": {"runtime.progress": False}}
    texts = frames["validation"]["text"].tolist()
    run = nlptl.adapt("sentiment", source=frames, target=texts, method="coral", output=tmp_path / "run", **common)
    assert run.metrics["adaptation"]["target_rows"] == len(texts)
    domains = {"plain": frames["train"], "dressed": frames["test"]}
    matrix = nlptl.adapt_matrix("sentiment", domains, method="coral", output=tmp_path / "all", **common)
    assert matrix.domains == ["plain", "dressed"]


def test_one_checkpoint_is_ranked_by_its_path(obvious, tiny):
    quiet = {"runtime.progress": False, "runtime.precision": "fp32"}
    assert nlptl.rank("sentiment", Path(tiny["bert"]), data=obvious, settings=quiet).order == [tiny["bert"]]


def test_an_opened_run_is_probed_and_merged(quickly, obvious, tmp_path):
    run = quickly(data=obvious)
    report = nlptl.probe(run=run, data=obvious, rows=30, settings={"runtime.progress": False})
    assert report.run == str(run.folder)
    assert nlptl.load(nlptl.merge(run, tmp_path / "merged")).predict(["a good film"])


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
    with pytest.raises(AttributeError, match=r"no attribute 'tran'\. Did you mean 'train'"):
        nlptl.tran  # noqa: B018


def test_completion_and_help_show_the_public_names():
    program = (
        "import sys, nlptl; names = dir(nlptl); assert set(nlptl.__all__) <= set(names), names; "
        "assert all(name in nlptl.__all__ or name.startswith('__') for name in names), names; "
        "assert 'torch' not in sys.modules; import pydoc; print(pydoc.render_doc(nlptl, renderer=pydoc.plaintext))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for name in nlptl.__all__:
        assert re.search(rf"(class {name}\b|^    {name}\()", shown, re.MULTILINE), name
    assert "learning_rate: 'float | None' = None" in shown
    assert inspect.signature(nlptl.train).parameters["learning_rate"].default is None
