import pandas as pd
import pytest

from nlptl.config.data import DataConfig
from nlptl.data.domains import Domains, load_domains
from nlptl.errors import DataError
from nlptl.tasks import load_task


def frame(word: str, count: int = 60) -> pd.DataFrame:
    labels = ["positive", "negative"]
    return pd.DataFrame(
        {"text": [f"{word} number {i}" for i in range(count)], "label": [labels[i % 2] for i in range(count)]}
    )


@pytest.fixture
def load(tmp_path):
    def read(target: pd.DataFrame, test: pd.DataFrame | None = None, **settings):
        named = {"source": tmp_path / "source.csv", "target": tmp_path / "target.csv"}
        frame("apple").to_csv(named["source"], index=False)
        target.to_csv(named["target"], index=False)
        if test is not None:
            named["target_test"] = tmp_path / "test.csv"
            test.to_csv(named["target_test"], index=False)
        config = DataConfig(**{key: str(path) for key, path in named.items()}, **settings)
        return load_domains(load_task("sentiment"), config, 0)

    return read


def test_texts_without_labels_leave_the_sources_test(load):
    splits = load(frame("pear").drop(columns="label"))
    assert set(splits.more) == {"target"}
    assert "label" not in splits.more["target"]
    assert len(splits.more["target"]) == 60
    assert splits.test["text"].str.startswith("apple").all()


def test_labels_of_the_target_only_report(load):
    splits = load(frame("pear"))
    assert "label" not in splits.more["target"]
    assert splits.test["text"].str.startswith("pear").all()
    assert (len(splits.more["target"]), len(splits.test)) == (48, 12)
    assert not set(splits.more["target"]["text"]) & set(splits.test["text"])
    oracle = pd.concat([splits.more["oracle_train"], splits.more["oracle_validation"]])
    assert sorted(oracle["text"]) == sorted(splits.more["target"]["text"])
    assert splits.train["text"].str.startswith("apple").all()
    assert splits.sizes()["source_test"] == 12


def test_rows_without_labels_are_adapted_to_and_the_others_cut(load):
    target = frame("pear")
    target.loc[40:, "label"] = None
    splits = load(target)
    assert (len(splits.test), len(splits.more["target"])) == (8, 52)


def test_a_test_file_is_reported_on_and_kept_from_the_oracle(load):
    target = frame("pear")
    splits = load(target, test=target.iloc[:30])
    assert len(splits.more["target"]) == 60  # texts may be those that are reported on: their labels are not used
    oracle = pd.concat([splits.more["oracle_train"], splits.more["oracle_validation"]])
    assert not set(oracle["text"]) & set(splits.test["text"])
    with pytest.raises(DataError, match="each of its rows needs a label"):
        load(target, test=target.iloc[:30].drop(columns="label"))


def test_source_rows_that_repeat_a_reported_text_leave_training(load):
    target = pd.concat([frame("pear"), frame("apple", 10)])
    splits = load(target, test=frame("apple", 10))
    assert not set(splits.train["text"]) & set(splits.test["text"])
    assert splits.audit.counts["train_leaks"] > 0


def test_faults_of_the_target_name_it(load):
    wrong = frame("pear").assign(label="fine")
    with pytest.raises(DataError, match=r"target\.csv.*unknown label 'fine'"):
        load(wrong)
    with pytest.raises(DataError, match=r"target\.csv has no column 'text'"):
        load(frame("pear").rename(columns={"text": "words"}))


def test_python_data_of_both_domains():
    config = DataConfig(source="(python data)", target="(python data)")
    splits = load_domains(load_task("sentiment"), config, 0, Domains(frame("apple"), frame("pear")))
    assert (len(splits.more["target"]), len(splits.test)) == (48, 12)
