import gzip

import datasets
import pandas as pd
import pytest

from nlptl.config.data import DataConfig
from nlptl.data.sources import open_source, pick_columns
from nlptl.errors import DataError
from nlptl.tasks import NamedData, TaskSpec

TASK = TaskSpec(name="mail", description="d", labels=["a", "b"])
FRAME = pd.DataFrame({"text": ["one", "two"], "label": ["a", "b"]})
CSV = "text,label\none,a\ntwo,b\n"
HUGGING = datasets.Dataset.from_dict(
    {"text": ["one", "two"], "label": [0, 1]},
    features=datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])}),
)


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def put(path, text=CSV, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding)
    return path


def opened(source=None, given=None, task=TASK, **config):
    return open_source(task, DataConfig(source=source, **config), given)


def splits_of(source):
    return {split: frame.to_dict("records") for split, frame in source.frames.items()}


ROWS = FRAME.to_dict("records")


def test_a_file_is_train(tmp_path):
    put(tmp_path / "a.csv")
    source = opened("a.csv")
    assert splits_of(source) == {"train": ROWS}
    assert source.origins == {"train": "a.csv"}


def test_validation_and_test_files_go_before_the_sources_own(tmp_path):
    for name in ("train", "validation"):
        put(tmp_path / "d" / f"{name}.csv")
    put(tmp_path / "v.csv", "text,label\nthree,a\n")
    put(tmp_path / "t.jsonl", '{"text": "four", "label": "b"}\n')
    source = opened("d", validation="v.csv", test="t.jsonl")
    assert splits_of(source)["validation"] == [{"text": "three", "label": "a"}]
    assert splits_of(source)["test"] == [{"text": "four", "label": "b"}]
    assert source.origins["validation"] == "v.csv"


@pytest.mark.parametrize("names", [("train", "validation", "test"), ("Training", "dev", "TEST"), ("train", "val")])
def test_a_folder_of_splits(tmp_path, names):
    for name in names:
        put(tmp_path / "d" / f"{name}.csv")
    put(tmp_path / "d" / "README.md")
    source = opened("d")
    assert list(source.frames) == sorted(source.frames, key=list(source.origins).index)
    assert set(source.frames) == {"train", "validation", "test"} if len(names) == 3 else {"train", "validation"}
    assert source.notes == []


def test_a_folder_tells_which_tables_it_ignored(tmp_path):
    for name in ("train.csv", "unsupervised.csv", "extra.parquet"):
        put(tmp_path / "d" / name)
    source = opened("d")
    assert set(source.frames) == {"train"}
    assert source.notes == ["d: ignored extra.parquet, unsupervised.csv (only train, validation and test are read)"]


def test_compressed_files_of_a_folder(tmp_path):
    (tmp_path / "d").mkdir()
    for name in ("train", "dev"):
        (tmp_path / "d" / f"{name}.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    assert splits_of(opened("d")) == {"train": ROWS, "validation": ROWS}


def test_every_file_is_read_in_the_dialect_asked_for(tmp_path):
    for name in ("d/train.csv", "d/test.csv", "v.csv"):
        put(tmp_path / name, CSV.replace(",", "^").replace("one", "naïve"), "latin-1")
    source = opened("d", validation="v.csv", delimiter="^", encoding="latin-1")
    assert {frame["text"][0] for frame in source.frames.values()} == {"naïve"}
    put(tmp_path / "q.csv", 'text,label\n"one,a\n')
    assert opened("q.csv", quotes="none").frames["train"]["text"].tolist() == ['"one']


def test_texts_cut_at_a_comma_are_told(tmp_path):
    put(tmp_path / "a.csv", "text,label,,\none,a,,\ntwo,b,and more,\n")
    assert opened("a.csv").notes == [
        "a.csv: 1 rows hold something in columns without a name, which is not read; perhaps their texts were cut at a "
        "comma"
    ]
    put(tmp_path / "b.csv", ",text,label,,\n0,one,a,,\n")
    assert opened("b.csv").notes == []


def test_a_folder_with_one_table_of_any_name(tmp_path):
    put(tmp_path / "d" / "reviews.csv")
    assert splits_of(opened("d")) == {"train": ROWS}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no train.csv.*no table"),
        (["a.csv", "b.csv"], r"holds a\.csv, b\.csv\. Name one file"),
        (["test.csv", "validation.csv"], "holds no train"),
        (["train.csv", "val.csv", "dev.csv"], "two validation files: .*dev.csv and .*val.csv"),
    ],
)
def test_a_folder_that_cannot_be_understood(tmp_path, files, message):
    (tmp_path / "d").mkdir()
    for name in files:
        put(tmp_path / "d" / name)
    with pytest.raises(DataError, match=message):
        opened("d")


def test_named_data_brings_its_columns_and_map(tmp_path):
    put(tmp_path / "tasks" / "x.csv")
    named = NamedData(files={"train": "x.csv"}, text_columns=["words"], label_column="y", label_map={"0": "a"})
    task = TaskSpec(name="mail", description="d", labels=["a", "b"], data={"first": named})
    task._folder = tmp_path / "tasks"
    source = opened(task=task)
    assert (source.text_columns, source.label_column, source.label_map) == (["words"], "y", {"0": "a"})
    assert source.origins == {"train": "mail/x.csv"}
    source = opened("first", task=task, text_columns=["text"], label_column="label", label_map={"1": "b"})
    assert (source.text_columns, source.label_column, source.label_map) == (["text"], "label", {"1": "b"})


def test_the_sample_is_the_default_among_several():
    data = {"big": NamedData(hub_id="acme/big"), "sample": NamedData(files={"train": "none.csv"})}
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        opened(task=TaskSpec(name="mail", description="d", data=data))


def test_no_source_at_all():
    with pytest.raises(DataError, match=r"names no data set. Say which data to use: --data FILE"):
        opened()


@pytest.mark.parametrize("name", ["sampel", "nowhere/x.csv", "a/b/c"])
def test_an_unknown_source(name):
    task = TaskSpec(name="mail", description="d", data={"sample": NamedData(files={"train": "x.csv"})})
    with pytest.raises(DataError, match=r"Available: sample.*not an existing file or folder, nor a Hub id"):
        opened(name, task=task)


# Python data


@pytest.mark.parametrize(
    ("given", "splits"),
    [
        (FRAME, {"train"}),
        ({"train": FRAME, "val": FRAME}, {"train", "validation"}),
        (HUGGING, {"train"}),
        (datasets.DatasetDict({"train": HUGGING, "test": HUGGING}), {"train", "test"}),
        ({"train": HUGGING, "dev": FRAME}, {"train", "validation"}),
        (HUGGING.with_format("numpy"), {"train"}),
    ],
)
def test_python_data(given, splits):
    source = opened("(python data)", given)
    assert splits_of(source) == dict.fromkeys(splits, ROWS)
    assert source.origins["train"] == "data[train]"


def test_a_frame_may_have_any_index_and_types():
    frame = FRAME.astype({"label": "category"}).set_index(pd.Index([7, 3]))
    assert splits_of(opened("x", frame)) == {"train": ROWS}


def test_class_ids_become_names_and_minus_one_is_missing():
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["a", "b"]),
            "tags": datasets.List(datasets.ClassLabel(names=["x", "y"])),
        }
    )
    data = {"text": ["one", "two"], "label": [1, -1], "tags": [[1, 0], None]}
    frame = opened("x", datasets.Dataset.from_dict(data, features=features)).frames["train"]
    assert frame["label"].iloc[0] == "b"
    assert frame["label"].isna().tolist() == [False, True]
    assert frame["tags"].tolist() == [["y", "x"], None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2], "Cannot read data from a list. Give a path, a pandas DataFrame"),
        ({"test": FRAME}, "holds no train split; it holds test"),
        ({"train": FRAME, "val": FRAME, "dev": FRAME}, "two validation splits: 'train', 'val', 'dev'"),
    ],
)
def test_python_data_that_cannot_be_read(given, message):
    with pytest.raises(DataError, match=message):
        opened("x", given)


# saved datasets and the Hub


@pytest.mark.parametrize(
    ("data", "splits"),
    [(HUGGING, {"train"}), (datasets.DatasetDict({"train": HUGGING, "validation": HUGGING}), {"train", "validation"})],
)
def test_a_saved_folder(tmp_path, data, splits):
    data.save_to_disk(tmp_path / "saved")
    assert splits_of(opened("saved")) == dict.fromkeys(splits, ROWS)


def test_a_damaged_saved_folder(tmp_path):
    HUGGING.save_to_disk(tmp_path / "saved")
    next((tmp_path / "saved").glob("*.arrow")).write_bytes(b"damaged")
    with pytest.raises(DataError, match="saved is not a readable saved `datasets` folder"):
        opened("saved")


@pytest.fixture
def on_hub(tmp_path):
    """`load_dataset` reads a relative folder as it reads a Hub id."""
    card = ["---", "configs:", "- config_name: plain", "  data_files:"]
    for name in ("train", "test", "unsupervised"):
        put(tmp_path / "acme" / "mail" / f"{name}.csv")
        card += [f"  - split: {name}", f"    path: {name}.csv"]
    card += ["- config_name: pairs", "  data_files: train.csv", "---"]
    put(tmp_path / "acme" / "mail" / "README.md", "\n".join(card))


def hub_task(**named):
    named = {"configuration": "plain", **named}
    return TaskSpec(name="mail", description="d", data={"hub": NamedData(hub_id="acme/mail", **named)})


def test_named_hub_data_keeps_the_three_splits(on_hub):
    source = opened(task=hub_task())
    assert splits_of(source) == {"train": ROWS, "test": ROWS}
    assert source.origins == {"train": "acme/mail[train]", "test": "acme/mail[test]"}


def test_named_hub_data_maps_split_names(on_hub):
    source = opened(task=hub_task(splits={"train": "test", "validation": "unsupervised"}))
    assert set(source.frames) == {"train", "validation"}


def test_named_hub_data_chooses_a_configuration(on_hub):
    assert set(opened(task=hub_task(configuration="pairs")).frames) == {"train"}
    with pytest.raises(DataError, match=r"'acme/mail' cannot be loaded: .*nope"):
        opened(task=hub_task(configuration="nope"))


def test_named_hub_data_lacks_a_split(on_hub):
    with pytest.raises(DataError, match="acme/mail has no split nope; it has"):
        opened(task=hub_task(splits={"train": "nope"}))


def test_a_hub_id_that_cannot_be_had():
    with pytest.raises(DataError, match=r"'acme/absent' cannot be loaded: .*Without a network, use the bundled"):
        opened("acme/absent")


def test_hub_data_by_its_id_names_splits_as_folders_do(on_hub, monkeypatch):
    loaded = datasets.DatasetDict({"train": HUGGING, "dev": HUGGING, "extra": HUGGING})
    monkeypatch.setattr(datasets, "load_dataset", lambda path, name, revision: loaded)
    source = opened("acme/other")
    assert splits_of(source) == {"train": ROWS, "validation": ROWS}
    assert source.notes == ["acme/other: ignored extra (only train, validation and test are read)"]


# columns


def test_missing_columns_are_listed_with_the_nearest():
    with pytest.raises(DataError) as caught:
        pick_columns(FRAME, ["texts", "x"], "a.csv", "--text-column")
    assert str(caught.value) == (
        "a.csv has no column 'texts', 'x'. Its columns: text, label. Did you mean 'text'? Choose with --text-column."
    )
    pick_columns(FRAME, ["text", "label"], "a.csv", "--text-column")
