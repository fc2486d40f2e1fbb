import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.config.data import DataConfig
from nlptl.data.tokens.encoding import collate, encode
from nlptl.errors import ArtifactError, ConfigError, DataError

TEXTS = [
    "a good film in round 1",
    "",
    "poor poor meal",
    "the awful song and more of it " * 8,
    "great!",
    "\U0001f600 ßtraße",
]


@pytest.fixture(scope="module")
def run(trained_tiny):
    return nlptl.load(trained_tiny("bert", "full", "mean").run.folder, precision="fp32", progress=False)


def test_one_prediction_per_text_in_their_order(run):
    found = run.predict(TEXTS)
    probabilities = run.predict_proba(TEXTS)
    assert [p.label for p in found] == [run.labels[i] for i in probabilities.argmax(1)]
    assert [p.score for p in found] == pytest.approx(probabilities.max(1).tolist())
    for i, text in enumerate(TEXTS):
        np.testing.assert_allclose(run.predict_proba([text])[0], probabilities[i], atol=1e-5)


def test_it_has_learned_what_is_obvious(run):
    found = run.predict(["a good show in round 1", "a bad show in round 1"])
    assert run.metrics["test"]["accuracy"] > 0.8
    assert [p.label for p in found] == ["positive", "negative"]


def test_probabilities_are_the_softmax_of_the_calibrated_logits(run):
    artifact = run.artifact
    encoded = encode(pd.DataFrame({"text": TEXTS}), artifact.tokenizer, artifact.max_length)
    inputs = collate(encoded, np.arange(len(TEXTS)), artifact.tokenizer.pad_token_id)
    with torch.inference_mode():
        logits = artifact.classifier.cpu()(inputs)
    assert artifact.head().calibration.method == "temperature"
    expected = (logits / artifact.head().calibration.temperature).softmax(-1)
    found = run.predict_proba(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-6)


def test_features_are_what_the_head_makes_logits_of(run):
    texts = ["a good film", "a bad film, all in all"]
    head = run.artifact.classifier.head
    features = torch.from_numpy(run.features(texts))
    np.testing.assert_allclose(run.logits(texts), head(features).detach().numpy(), atol=2e-2)
    calibrated = run.artifact.head().calibration.probabilities(run.logits(texts), several=False)
    np.testing.assert_allclose(run.predict_proba(texts), calibrated, atol=1e-6)


def test_no_text_no_prediction(run):
    assert run.predict([]) == []
    assert run.predict_proba([]).shape == (0, 2)


def test_texts_that_are_not_read_to_their_end_are_told_once(trained_tiny, obvious, caplog, tmp_path):
    run = nlptl.load(trained_tiny("bert", "full").run.folder)
    run.predict(["a good film"])
    assert "are cut" not in caplog.text
    run.predict(["a good film", "a bad book " * 80])
    run.predict(["a bad book " * 80])
    assert caplog.text.count("1 of 2 texts are longer than the") == caplog.text.count("are cut") == 1
    table(pd.DataFrame({"text": ["a bad book " * 80] * 3}), tmp_path / "long.csv")
    nlptl.load(run.folder).predict_file(tmp_path / "long.csv", tmp_path / "out.csv")
    assert "3 of 3 texts are longer than the" in caplog.text


def test_what_is_no_list_of_texts_is_refused(run):
    with pytest.raises(DataError, match=r"write predict\(\[text\]\)"):
        run.predict("a good film")
    with pytest.raises(DataError, match="Item 1 is None; this task takes a text per item"):
        run.predict(["fine", None])
    with pytest.raises(DataError, match="Item 0"):
        run.predict([("a", "b")])


def test_an_unknown_decision_is_refused(run):
    assert [p.label for p in run.predict(TEXTS, decision="argmax")] == [p.label for p in run.predict(TEXTS)]
    with pytest.raises(ConfigError, match="Unknown decision 'best'"):
        run.predict(TEXTS, decision="best")


def table(frame: pd.DataFrame, path) -> None:
    writers = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".jsonl": lambda: frame.to_json(path, orient="records", lines=True, force_ascii=False),
        ".parquet": lambda: frame.to_parquet(path),
    }
    writers[path.suffix]()


def read(path) -> pd.DataFrame:
    readers = {
        ".csv": lambda: pd.read_csv(path, keep_default_na=False),
        ".jsonl": lambda: pd.read_json(path, orient="records", lines=True, dtype={"note": str}),
        ".parquet": lambda: pd.read_parquet(path),
    }
    return readers[path.suffix]()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_file_to_file_keeps_rows_columns_and_order(run, tmp_path, suffix):
    frame = pd.DataFrame({"number": range(6), "text": TEXTS, "note": list("abcdef")})
    source, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    table(frame, source)
    assert run.predict_file(source, output, all_scores=True) == 6
    found = read(output)
    assert list(found) == ["number", "text", "note", "predicted", "score", "score_negative", "score_positive"]
    assert found["number"].astype(int).tolist() == list(range(6))
    assert found["text"].tolist() == TEXTS
    assert found["note"].tolist() == list("abcdef")
    scores = found[["score_negative", "score_positive"]].to_numpy(float)
    np.testing.assert_allclose(scores, run.predict_proba(TEXTS), atol=1e-5)
    np.testing.assert_allclose(scores.sum(1), 1.0, atol=2e-6)
    assert found["predicted"].tolist() == [p.label for p in run.predict(TEXTS)]
    np.testing.assert_allclose(found["score"].astype(float), scores.max(1), atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, output.name])


def test_a_file_of_many_chunks_is_one_file(run, tmp_path, monkeypatch):
    from nlptl.inference import predictor

    monkeypatch.setattr(predictor, "read_chunks", partial(predictor.read_chunks, rows=4))
    texts = [f"a {'good' if i % 3 else 'bad'} film {i}" for i in range(10)]
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "in.csv", index=False)
    for suffix in (".csv", ".jsonl", ".parquet"):
        assert run.predict_file(tmp_path / "in.csv", tmp_path / f"out{suffix}") == 10
        found = read(tmp_path / f"out{suffix}")
        assert found["text"].tolist() == texts
        assert found["predicted"].tolist() == [p.label for p in run.predict(texts)]


def test_missing_cells_are_empty_texts(run, tmp_path):
    pd.DataFrame({"text": ["fine", None, float("nan"), 12.5]}, dtype=object).to_json(
        tmp_path / "in.jsonl", orient="records", lines=True
    )
    assert run.predict_file(tmp_path / "in.jsonl", tmp_path / "out.csv") == 4
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["predicted"].tolist() == [p.label for p in run.predict(["fine", "", "", "12.5"])]


def test_a_missing_column_writes_nothing(run, tmp_path):
    pd.DataFrame({"Text": ["fine"], "id": [1]}).to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(DataError, match=r"no column 'text'.*Text, id.*Did you mean 'Text'.*--text-column"):
        run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
    (tmp_path / "out.csv").write_text("older")
    with pytest.raises(DataError):
        run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "older"
    assert run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv", data=DataConfig(text_columns=["Text"])) == 1


def test_the_input_is_not_overwritten(run, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("text\nfine\n")
    with pytest.raises(DataError, match="the input itself"):
        run.predict_file(source, tmp_path / "." / "in.csv")
    assert source.read_text() == "text\nfine\n"


def test_a_file_with_a_header_alone_gives_a_header_alone(run, tmp_path):
    (tmp_path / "in.csv").write_text("id,text\n")
    assert run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv", all_scores=True) == 0
    assert (tmp_path / "out.csv").read_text() == "id,text,predicted,score,score_negative,score_positive\n"


def test_the_command_predicts_standard_input_line_by_line(run):
    lines = ["a good film", "a bad book", "", "fine"]
    arguments = ["predict", str(run.folder), "--format", "json", "--all-scores"]
    done = CliRunner().invoke(cli.app, arguments, input="\n".join(lines) + "\n")
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["text"] for record in records] == lines
    expected = nlptl.load(run.folder).predict(lines)
    assert [record["label"] for record in records] == [p.label for p in expected]
    for record in records:
        assert sum(record["scores"].values()) == pytest.approx(1.0, abs=1e-5)
        assert record["score"] == max(record["scores"].values())


def test_the_command_predicts_file_to_file(run, tmp_path):
    (tmp_path / "in.csv").write_text("id,review\n1,a good film\n2,a bad film\n")
    arguments = [
        "--input",
        str(tmp_path / "in.csv"),
        "--output",
        str(tmp_path / "out.jsonl"),
        "--text-column",
        "review",
    ]
    done = CliRunner().invoke(cli.app, ["predict", str(run.folder), *arguments])
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(record["id"], record["predicted"]) for record in found] == [("1", "positive"), ("2", "negative")]


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction"])
def test_evaluate_gives_the_numbers_of_the_test_split(trained, reviews, mode):
    run = nlptl.load(trained(mode).run.folder, precision="fp32", progress=False)
    report, noted = run.evaluate(reviews / "test.csv"), run.metrics["test"]
    assert noted["rows"] == 31
    for name in ("rows", "accuracy", "macro_f1", "confusion_matrix", "per_class"):
        assert report[name] == noted[name], name
    assert report["loss"] == pytest.approx(noted["loss"], abs=1e-4)


def test_evaluate_takes_other_columns_and_label_names(run, obvious, tmp_path):
    frame = pd.read_csv(obvious / "test.csv")
    frame["stars"] = frame["label"].map({"negative": 1, "positive": 5})
    frame[["text", "stars"]].rename(columns={"text": "review"}).to_csv(tmp_path / "x.csv", index=False)
    data = DataConfig(text_columns=["review"], label_column="stars", label_map={"1": "negative", "5": "positive"})
    assert run.evaluate(tmp_path / "x.csv", data)["accuracy"] == run.metrics["test"]["accuracy"]
    with pytest.raises(DataError, match="label"):
        run.evaluate(tmp_path / "x.csv", DataConfig(text_columns=["review"], label_column="stars"))


def test_a_run_shows_itself(run):
    html = run._repr_html_()
    assert html.startswith("<b>sentiment, full, ")
    assert html.count("<tr>") == 3
    assert f"<td>{run.metrics['test']['accuracy']:.4f}</td>" in html
    assert "<th>validation</th><td>21</td>" in html
    assert f"test accuracy {run.metrics['test']['accuracy']}" in repr(run)


def test_what_is_no_run_cannot_be_opened(tmp_path):
    with pytest.raises(ArtifactError, match="no run folder"):
        nlptl.load(tmp_path / "nothing")


def own_task(folder, text: str):
    (folder / "own").mkdir(parents=True)
    (folder / "own" / "task.yaml").write_text(text)
    return {"tasks_dir": str(folder)}


@pytest.mark.parametrize("mode", ["full", "feature_extraction"])
def test_a_task_of_several_labels(train, tiny, tmp_path, mode):
    task = own_task(tmp_path / "tasks", "{name: topics, description: x, kind: multi_label, checkpoint: minilm}")
    things, colours = ("film", "book", "meal"), ("red", "blue", "none")
    rows = [
        {"text": f"a {colour} {thing} in round {i}", "label": "|".join(x for x in (colour, thing) if x != "none")}
        for i in range(8)
        for thing in things
        for colour in colours
    ]
    frame = pd.DataFrame(rows).sample(frac=1.0, random_state=1)
    frame.loc[len(frame)] = ["nothing at all", ""]
    frame.to_csv(tmp_path / "train.csv", index=False)
    run = train("topics", tmp_path / "train.csv", tmp_path / "run", task, mode=mode, checkpoint=tiny["bert"]).run
    assert run.labels == ["blue", "book", "film", "meal", "red"]
    texts = ["a red film in round 1", "a none book in round 2"]
    probabilities = run.predict_proba(texts)
    assert probabilities.shape == (2, 5)
    assert not np.allclose(probabilities.sum(1), 1.0)
    for prediction, row in zip(run.predict(texts, decision="argmax"), probabilities, strict=True):
        assert prediction.label == [run.labels[i] for i in np.flatnonzero(row >= 0.5)]
    if mode == "feature_extraction":
        assert run.predict(texts)[0].label == ["film", "red"]
        assert run.metrics["test"]["macro_f1"] > 0.8
    assert all(isinstance(p.label, list) for p in run.predict(texts))
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "in.csv", index=False)
    run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)["predicted"]
    assert found.tolist() == ["|".join(p.label) for p in run.predict(texts)]
    noted = pd.read_csv(run.folder / "predictions.csv", keep_default_na=False)
    noted[["text", "label"]].to_csv(tmp_path / "test.csv", index=False)
    assert run.evaluate(tmp_path / "test.csv")["macro_f1"] == pytest.approx(run.metrics["test"]["macro_f1"])


@pytest.mark.parametrize("mode", ["lora", "feature_extraction"])
def test_a_task_of_pairs(train, tiny, tmp_path, mode):
    task = own_task(
        tmp_path / "tasks",
        "{name: same, description: x, labels: [different, same], text_columns: [left, right], label_column: verdict}",
    )
    things = ("film", "book", "meal", "song")
    rows = [
        {"left": f"a {a} in round {i}", "right": f"the {b}", "verdict": "same" if a == b else "different"}
        for i in range(6)
        for a in things
        for b in (a, things[(things.index(a) + 1 + i % 3) % 4])
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "train.csv", index=False)
    run = train("same", tmp_path / "train.csv", tmp_path / "run", task, mode=mode, checkpoint=tiny["bert"]).run
    pairs = [("a film in round 1", "the film"), ("a film in round 1", "the book"), ("the film", "a film in round 1")]
    probabilities = run.predict_proba(pairs)
    assert probabilities.shape == (3, 2)
    assert not np.allclose(probabilities[0], probabilities[2]), "the order of a pair is lost"
    assert {p.label for p in run.predict(pairs)} <= {"different", "same"}
    with pytest.raises(DataError, match="takes a pair of texts"):
        run.predict(["a film"])
    pd.DataFrame(pairs, columns=["left", "right"]).to_csv(tmp_path / "in.csv", index=False)
    run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv", all_scores=True)
    np.testing.assert_allclose(pd.read_csv(tmp_path / "out.csv")["score_same"], probabilities[:, 1], atol=1e-4)
    assert list(pd.read_csv(run.folder / "predictions.csv"))[2:5] == ["text", "text_pair", "label"]
