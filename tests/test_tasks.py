import os
from pathlib import Path

import pytest
import yaml

from nlptl import tasks as tasks_module
from nlptl.config.data import DataConfig
from nlptl.data.files import read_frame
from nlptl.data.loading import load_splits
from nlptl.errors import ConfigError
from nlptl.registry import METRICS, MODES, POLICIES
from nlptl.storage.paths import bundled
from nlptl.tasks import SPLITS, ModeDefaults, TaskSpec, find_tasks, load_task, read_task, register_task
from nlptl.verbs.request import checked_config

BUNDLED = sorted(path.parent.name for path in bundled("tasks").glob("*/task.yaml"))


@pytest.fixture(autouse=True)
def only_bundled(monkeypatch):
    monkeypatch.delenv("NLPTL_TASKS", raising=False)
    monkeypatch.setattr(tasks_module, "_registered", {})


def write_task(folder: Path, name: str = "mail", **values) -> Path:
    target = folder / name
    target.mkdir(parents=True)
    content = {"name": name, "description": "Which mail?", "labels": ["work", "private"], **values}
    (target / "task.yaml").write_text(yaml.safe_dump(content))
    return target


def install(folder: Path, entry: str, code: str, monkeypatch) -> None:
    """Make a distribution that offers a task, as pip would leave it."""
    info = folder / "mailtasks-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mailtasks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[nlptl.tasks]\nmail = {entry}\n")
    module = entry.partition(":")[0]
    (folder / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)


# contract: every bundled task


def test_the_three_tasks_are_bundled():
    assert {"sentiment", "chatbot-intent", "fraud-text"} <= set(BUNDLED)
    assert find_tasks().names() == BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_task_keeps_the_contract(name):
    task = load_task(name)
    assert task.folder == bundled("tasks") / name
    assert task.description
    assert set(task.metrics) | {task.metric} <= set(METRICS)
    assert task.metric in task.metrics
    assert task.decision.policy in POLICIES
    assert set(task.modes) <= set(MODES)
    assert set(task.data["sample"].files) == set(SPLITS)
    for data in task.data.values():
        assert data.description
        assert isinstance(task.labels, str) or set(data.label_map.values()) <= set(task.labels)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sample_is_clean(name):
    task = load_task(name)
    for file in task.data["sample"].files.values():
        frame = read_frame(task.folder / file)
        assert {*task.text_columns, task.label_column} <= set(frame.columns)
        assert len(frame) >= 50
    splits = load_splits(task, DataConfig(), seed=0)
    assert task.decision.policy != "out_of_scope" or task.decision.label in splits.task.label_list()
    assert splits.audit.warnings == []
    labels = set(splits.task.label_list())
    assert all(set(getattr(splits, split)["label"]) == labels for split in SPLITS)


# where tasks come from


def test_tasks_dir(tmp_path):
    write_task(tmp_path)
    assert load_task("mail", tmp_path).labels == ["work", "private"]
    assert find_tasks(tmp_path).names() == sorted([*BUNDLED, "mail"])
    assert load_task("mail", tmp_path / "mail").folder == tmp_path / "mail"


def test_environment_variable_names_several_folders(tmp_path, monkeypatch):
    write_task(tmp_path / "one", "mail")
    write_task(tmp_path / "two", "news")
    monkeypatch.setenv("NLPTL_TASKS", os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")]))
    assert {"mail", "news", *BUNDLED} == set(find_tasks().names())


def test_the_same_folder_twice_is_read_once(tmp_path, monkeypatch):
    write_task(tmp_path)
    monkeypatch.setenv("NLPTL_TASKS", f"{tmp_path}{os.pathsep}{bundled('tasks')}")
    assert set(find_tasks(tmp_path)) == {"mail", *BUNDLED}


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"does not exist. Check --tasks-dir and NLPTL_TASKS"):
        find_tasks(tmp_path / "none")


def test_register_task_from_an_object_and_a_folder(tmp_path):
    spec = TaskSpec(name="mail", description="d", labels=["a", "b"])
    assert register_task(spec) is load_task("mail")
    assert register_task(write_task(tmp_path, "news")).folder == tmp_path / "news"
    assert load_task("news").labels == ["work", "private"]


@pytest.mark.parametrize("taken", ["mail", "sentiment"])
def test_register_task_refuses_a_taken_name(taken):
    register_task(TaskSpec(name="mail", description="d", labels=["a", "b"]))
    with pytest.raises(ConfigError, match=f"'{taken}' is registered twice"):
        register_task(TaskSpec(name=taken, description="d", labels=["a", "b"]))


SPEC = "from nlptl.tasks import TaskSpec\nmail = TaskSpec(name='mail', description='d', labels=['a', 'b'])\n"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("mailtask_spec:mail", SPEC),
        ("mailtask_call:make", SPEC + "def make():\n    return mail\n"),
        ("mailtask_dir:folder", "from pathlib import Path\nfolder = Path(__file__).parent / 'inside'\n"),
    ],
)
def test_entry_point(tmp_path, monkeypatch, entry, code):
    write_task(tmp_path / "inside", labels=["a", "b"])
    install(tmp_path, entry, code, monkeypatch)
    assert load_task("mail").labels == ["a", "b"]


@pytest.mark.parametrize(
    ("entry", "code", "message"),
    [
        ("mailtask_raises:mail", "raise RuntimeError('no licence')\n", "'mail'.*fails to load.*no licence"),
        ("mailtask_lacks:mail", "", "'mail'.*fails to load"),
        ("mailtask_int:mail", "mail = 3\n", "'mail' gives a int"),
        ("mailtask_taken:mail", SPEC.replace("'mail'", "'sentiment'"), "defines the task 'sentiment', which exists"),
    ],
)
def test_a_broken_entry_point_is_loud(tmp_path, monkeypatch, entry, code, message):
    install(tmp_path, entry, code, monkeypatch)
    with pytest.raises(ConfigError, match=message):
        find_tasks()


# loud faults


def test_unknown_task_lists_and_suggests():
    with pytest.raises(ConfigError, match=r"Unknown task 'sentimnt'.*fraud-text.*Did you mean 'sentiment'\?"):
        load_task("sentimnt")


def test_two_tasks_of_one_name_are_refused(tmp_path):
    write_task(tmp_path, "a")
    (write_task(tmp_path, "b") / "task.yaml").write_text("{name: a, description: d}")
    with pytest.raises(ConfigError, match=r"defines the task 'a', which exists already"):
        find_tasks(tmp_path)


@pytest.mark.parametrize("text", ["name: [a", "- a", "", "\x00"])
def test_broken_yaml_is_loud_even_when_another_task_is_asked_for(tmp_path, text):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "task.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"task\.yaml"):
        load_task("sentiment", tmp_path)


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        ({"lables": ["a", "b"]}, [r"lables: unknown key.*Did you mean 'labels'\?"]),
        ({"data": {"d": {"file": {}}}}, [r"data\.d\.file: unknown key.*Did you mean 'files'\?"]),
        ({"modes": {"lorra": {}}}, [r"modes: Unknown mode 'lorra'.*Did you mean 'lora'"]),
        ({"modes": {"lora": {"lr": 1}}}, [r"modes\.lora\.lr: unknown key"]),
        ({"labels": ["a", "a"]}, ["labels holds a name twice"]),
        ({"labels": ["a", " "]}, ["labels holds an empty name"]),
        ({"labels": ["a"]}, ["at least two labels"]),
        ({"labels": []}, ["labels"]),
        ({"positive_label": "c"}, ["positive_label 'c' is not among labels"]),
        ({"decision": {"policy": "threshold"}}, ["threshold needs positive_label"]),
        ({"decision": {"policy": "out_of_scope"}}, ["out_of_scope needs decision.label"]),
        ({"decision": {"policy": "treshold"}}, ["Unknown decision policy 'treshold'", "Did you mean 'threshold'?"]),
        ({"decision": {"settings": {"floor": 0.5}}}, ["decision.settings: the policy argmax takes none"]),
        ({"data": {"d": {}}}, ["either files or hub_id"]),
        ({"data": {"d": {"files": {"validation": "x.csv"}}}}, ["files must name at least train, or test alone"]),
        ({"text_columns": ["a", "b", "c"], "version": 0}, ["text_columns", "version"]),
    ],
)
def test_faults_of_a_task_file(tmp_path, values, messages):
    folder = write_task(tmp_path, **values)
    with pytest.raises(ConfigError) as caught:
        read_task(folder)
    assert str(folder / "task.yaml") in str(caught.value)
    for message in messages:
        assert caught.match(message)


def test_from_data_has_no_labels_until_they_are_read():
    task = TaskSpec(name="x", description="d")
    with pytest.raises(ConfigError, match="not loaded yet"):
        task.label_list()
    assert task.with_labels(["b", "a"]).label_list() == ["b", "a"]


def test_training_defaults_are_dotted_and_only_what_is_set():
    task = TaskSpec(name="x", description="d", modes={"lora": ModeDefaults(epochs=4)})
    assert task.training_defaults("lora") == {"training.epochs": 4}
    assert task.training_defaults("full") == {}


@pytest.mark.parametrize("key", ["epochs", "learning_rate", "layer_decay", "label_smoothing"])
def test_defaults_that_mean_nothing_to_their_mode_are_refused(key, tmp_path):
    (tmp_path / "mood").mkdir()
    modes = f"modes: {{feature_extraction: {{{key}: 1}}, full: {{{key}: 1}}}}"
    modes = modes.replace("label_smoothing: 1", "label_smoothing: 0.1")
    text = f"{{name: mood, description: d, labels: [a, b], {modes}}}"
    (tmp_path / "mood" / "task.yaml").write_text(text)
    asked = {"task": "mood", "tasks_dir": str(tmp_path)}
    checked_config(None, asked)
    if key == "label_smoothing":  # read by domain adaptation that trains on frozen features
        checked_config(None, {**asked, "mode": "feature_extraction"})
        return
    with pytest.raises(ConfigError, match=f"Task mood: modes.feature_extraction.{key} would have no effect"):
        checked_config(None, {**asked, "mode": "feature_extraction"})
