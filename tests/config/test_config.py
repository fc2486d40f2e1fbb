import pytest

from nlptl.config.overrides import dotted_keys, load_config, parse_assignments, parse_label_map
from nlptl.config.records import read_yaml, validate, write_yaml
from nlptl.config.run import RunConfig
from nlptl.config.training import TrainingConfig
from nlptl.errors import ConfigError
from nlptl.registry import MODES
from nlptl.tasks import ModeDefaults


def test_defaults_need_only_a_task():
    config = load_config(task="sentiment")
    assert config.task == "sentiment"
    assert config.mode == "full"
    with pytest.raises(ConfigError, match="task: required, but not given"):
        load_config()


def test_flags_go_over_the_file_and_none_is_not_given(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("task: sentiment\nseed: 5\ntraining: {epochs: 2, warmup: 0.3}\n")
    config = load_config(file, seed=None, training__epochs=7, **{"data.shots": 3})
    assert (config.seed, config.training.epochs, config.training.warmup, config.data.shots) == (5, 7, 0.3, 3)


def test_a_config_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_config(task="sentiment").seed = 1


@pytest.mark.parametrize(
    ("text", "key", "suggestion"),
    [
        ("trainig: {epochs: 2}", "trainig", "training"),
        ("training: {epoch: 2}", "training.epoch", "epochs"),
        ("data: {label_colum: y}", "data.label_colum", "label_column"),
    ],
)
def test_an_unknown_key_in_a_file_suggests(tmp_path, text, key, suggestion):
    file = tmp_path / "run.yaml"
    file.write_text(f"task: sentiment\n{text}\n")
    with pytest.raises(ConfigError, match=rf"{key}: unknown key.*Did you mean '{suggestion}'\?") as caught:
        load_config(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("settings", [{"training__epoch": 2}, {"training.epoch": 2}])
def test_an_unknown_key_from_python_suggests(settings):
    with pytest.raises(ConfigError, match=r"Unknown setting 'training.epoch'.*Did you mean 'training.epochs'\?"):
        load_config(task="sentiment", **settings)


def test_all_faults_are_told_at_once(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("seed: -1\nbogus: 1\ntraining: {epochs: 0, schedule: wavy}\ndata: {test_fraction: 1.5}\n")
    with pytest.raises(ConfigError, match="has 6 faults") as caught:
        load_config(file)
    for key in ("task", "seed", "bogus", "training.epochs", "training.schedule", "data.test_fraction"):
        assert f"  - {key}: " in str(caught.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "", "a: [1\n", "3: x\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    file = tmp_path / "run.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load_config(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"Cannot read .*none\.yaml"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("training.learning_rate=1e-4", 1e-4),
        ("training.learning_rate=2.5E-5", 2.5e-5),
        ("training.epochs=3", 3),
        ("probe.cache=false", False),
        ("model.dropout=null", None),
        ("probe.regularisation=[1, 0.5]", [1, 0.5]),
        ("data.source=a=b.csv", "a=b.csv"),
        (" training.schedule =cosine", "cosine"),
    ],
)
def test_set_reads_values_as_yaml(text, value):
    ((key, parsed),) = parse_assignments([text]).items()
    assert key == text.partition("=")[0].strip()
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.epochs", "has no value. Write section.key=value"),
        ("training.epoch=3", r"Unknown setting 'training.epoch'.*Did you mean 'training.epochs'\?"),
        ("training=3", "Unknown setting 'training'"),
        ("data.source=[a", "not valid YAML"),
    ],
)
def test_set_refuses(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_assignments([text])


def test_label_map():
    assert parse_label_map("ham = legitimate, spam=fraud,") == {"ham": "legitimate", "spam": "fraud"}
    assert parse_label_map("1=bad,3=,5=good") == {"1": "bad", "3": "", "5": "good"}


@pytest.mark.parametrize("text", ["ham", "=fraud", "ham=a,ham=b"])
def test_label_map_refuses(text):
    with pytest.raises(ConfigError, match="--label-map"):
        parse_label_map(text)


def test_resolving_takes_the_user_before_the_task_before_the_mode():
    task = {"training.epochs": 5, "training.learning_rate": 2e-5}
    mode = {**MODES.get("full").defaults, "training.epochs": 9, "training.learning_rate": 9e-5}
    rest = {"checkpoint": "minilm", "strategy": "fine_tune", "model.pooling": "mean"}
    config = load_config(task="x", training__epochs=1).resolved(task, mode, rest)
    training = config.training
    assert (training.epochs, training.learning_rate, training.batch_size) == (1, 2e-5, 32)
    assert config.checkpoint == "minilm"


def test_a_setting_that_stays_open_is_named():
    with pytest.raises(ConfigError, match=r"model\.pooling"):
        load_config(task="x").resolved(MODES.get("full").defaults, {"checkpoint": "minilm", "strategy": "fine_tune"})


@pytest.mark.parametrize("mode", MODES.names())
def test_every_modes_defaults_are_settings_that_may_be_unset(mode):
    defaults = MODES.get(mode).defaults
    assert set(defaults) <= set(dotted_keys())
    rest = {"checkpoint": "minilm", "strategy": "fine_tune", "model.pooling": "mean"}
    resolved = load_config(task="x", mode=mode).resolved(defaults, rest)
    assert resolved.resolved(dict.fromkeys(defaults, "not used")).model_dump() == resolved.model_dump()


def test_yaml_round_trip(tmp_path):
    config = load_config(
        task="x",
        seed=3,
        data__source="naïve “file”.csv",
        data__label_map={"0": "no", "yes": "ja: 1"},
        training__learning_rate=1e-5,
        data__text_columns=["a", "b"],
        runtime__trackers=["tensorboard"],
    )
    write_yaml(tmp_path / "run.yaml", config)
    assert load_config(tmp_path / "run.yaml") == config
    assert validate(RunConfig, read_yaml(tmp_path / "run.yaml"), "again") == config


def test_mode_defaults_of_a_task_are_training_settings():
    assert set(ModeDefaults.model_fields) <= set(TrainingConfig.model_fields)


@pytest.mark.parametrize(
    ("given", "delimiter"),
    [
        ("|", "|"),
        (";", ";"),
        (",", ","),
        (">", ">"),
        ("#", "#"),
        ("\\t", "\t"),
        ("tab", "\t"),
        ("'^'", "^"),
        ('"|"', "|"),
    ],
)
def test_a_delimiter_as_a_shell_passes_it_on(given, delimiter, tmp_path):
    config = load_config(task="sentiment", **parse_assignments([f"data.delimiter={given}"]))
    assert config.data.delimiter == delimiter
    write_yaml(tmp_path / "run.yaml", config)
    assert load_config(tmp_path / "run.yaml") == config


@pytest.mark.parametrize("given", ["::", "a", "7", '"', "\n", ""])
def test_what_is_no_delimiter(given):
    with pytest.raises(ConfigError, match="data.delimiter: expected one character that is no letter"):
        load_config(task="sentiment", data__delimiter=given)
