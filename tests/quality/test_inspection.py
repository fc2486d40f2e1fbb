"""What was planted is found, what is rare is said, and what cannot be done is told."""

import builtins
import json
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.errors import ConfigError, DataError, LaunchError, MissingExtraError
from nlptl.models.linear_probe import fit_probe
from nlptl.quality.near_duplicates import MEANING
from nlptl.quality.wrong_labels import verdicts_of
from nlptl.reports.quality import inspection_tables
from tests.docs import written
from tests.quality.conftest import SETTINGS


def flagged(found):
    wrong = found.wrong_labels
    return set(zip(wrong["split"], wrong["row"], strict=True))


def test_planted_wrong_labels_are_found(planted):
    hits = flagged(planted.found) & planted.flipped
    assert len(hits) >= 0.8 * len(planted.flipped)
    assert len(planted.flipped) >= 12
    top = planted.found.wrong_labels.head(len(planted.flipped))
    assert np.mean([place in planted.flipped for place in zip(top["split"], top["row"], strict=True)]) >= 0.7
    assert (top["score"].diff().dropna() >= 0).all()


def test_in_sample_probabilities_would_hide_them(planted):
    """The same encoder, cut and filter, but each row judged by a model that has learned it."""
    from nlptl.config.run import RunConfig
    from nlptl.quality.rows import embeddings

    found, settings = planted.found, {"source": str(planted.folder)}
    config = RunConfig.model_validate(
        {
            "task": "helpdesk",
            "tasks_dir": str(planted.folder / "tasks"),
            "data": settings,
            "runtime": {"precision": "fp32", "progress": False},
        }
    )
    vectors = embeddings(config, found.rows)[found.folds.checked]
    head = fit_probe(vectors, found.folds.targets, len(found.folds.labels), [100.0])
    verdicts = verdicts_of(head.logits(vectors), found.folds.targets)
    frame = found.rows.frame.iloc[found.folds.checked[verdicts.flagged]]
    hits = set(zip(frame["split"], frame["row"], strict=True)) & planted.flipped
    assert len(hits) <= 0.3 * len(planted.flipped)


def test_planted_duplicates_and_leaks_are_all_found(planted):
    frame = planted.found.rows.frame
    place = dict(zip(zip(frame["split"], frame["row"], strict=True), range(len(frame)), strict=True))
    pairs = {(pair.first, pair.second) for pair in planted.found.duplicates.pairs if pair.kind != MEANING}
    assert [d for d in planted.doubles if tuple(sorted((place[d[0]], place[d[1]]))) not in pairs] == []
    leaks = planted.found.findings[planted.found.findings["reason"].str.contains("leak: ")]
    wanted = {one if one[0] == "train" else two for one, two in planted.doubles if one[0] != two[0]}
    assert wanted <= set(zip(leaks["split"], leaks["row"], strict=True))
    assert planted.found.duplicate_counts["same text"]["train and test"] >= 1


def test_no_fold_has_seen_its_rows_or_their_near_duplicates(planted):
    folds = planted.found.folds
    for number in range(5):
        learned, held_out = folds.split(number)
        assert not set(folds.groups[learned]) & set(folds.groups[held_out])
        assert len(set(folds.targets[held_out])) == len(set(folds.targets[learned])) == len(folds.labels)


def test_a_rare_label_is_not_checked(planted):
    assert planted.found.not_checked == {"seldom": 2}
    assert "seldom" not in set(planted.found.wrong_labels["label"])
    assert "seldom" not in set(planted.found.wrong_labels["suggested_label"])
    assert any(said.startswith("Not checked: the 2 rows of 1 labels") for said in planted.found.sentences)


def test_test_rows_are_said_apart(planted, tmp_path):
    titles = [str(table.title) for table in inspection_tables(planted.found)]
    assert any(title.startswith("Likely wrong labels, ") for title in titles)
    on_test = int((planted.found.wrong_labels["split"] == "test").sum())
    assert on_test == 0 or any(title.startswith("Likely wrong labels of test rows") for title in titles)


def test_what_is_written_can_be_read_and_is_not_overwritten(planted, tmp_path):
    table = planted.found.write(tmp_path / "out")
    read = pd.read_csv(table, keep_default_na=False)
    assert list(read) == [
        "file", "row", "split", "text", "label", "suggested_label", "score", "reason", "corrected",
    ]  # fmt: skip
    assert (read["corrected"] == "").all()
    facts = json.loads((tmp_path / "out" / "inspection.json").read_text())
    assert facts["not_checked"] == {"seldom": 2}
    assert len(facts["findings"]) == len(read)
    assert {each["name"] for each in facts["slices"]} >= {"length", "script", "channel"} - {"script", "channel"}
    with pytest.raises(DataError, match="exists already; it may hold corrections"):
        planted.found.write(tmp_path / "out")


def test_an_encoder_that_learned_the_labels_is_refused(trained_tiny, obvious):
    run = trained_tiny("bert", "full").run.folder
    with pytest.raises(ConfigError, match="was trained on labels of sentiment"):
        nlptl.inspect("sentiment", data=obvious, checkpoint=run, settings=SETTINGS)


def test_mistakes_are_told(planted, obvious, tiny, tmp_path):
    with pytest.raises(ConfigError, match="Unknown model of the folds 'ful'.*Did you mean 'full'"):
        nlptl.inspect("sentiment", folds_from="ful")
    with pytest.raises(DataError, match=r"has no column 'chanel'.*Choose with --slice"):
        nlptl.inspect("sentiment", data=obvious, slices="chanel", checkpoint=tiny["bert"], settings=SETTINGS)
    with pytest.raises(ConfigError, match="data.leaks would have no effect"):
        nlptl.inspect("sentiment", data=obvious, settings={"data.leaks": "drop"})
    (tmp_path / "topics").mkdir()
    (tmp_path / "topics" / "task.yaml").write_text(
        "name: topics\ndescription: Many.\nkind: multi_label\nlabels: [a, b]\ntext_columns: [text]\n"
        "label_column: label\nmetric: micro_f1\n"
    )
    with pytest.raises(ConfigError, match="gives a text several labels at once"):
        nlptl.inspect("topics", data=obvious, tasks_dir=tmp_path)


def test_pairs_are_inspected(tiny, tmp_path):
    rows = written.pairs(60)
    again = rows.iloc[[0]].assign(question=rows["question"].iloc[0].upper())
    home = tmp_path / "answers"
    home.mkdir()
    columns = [name for name in rows if name not in ("question", "answer")]
    (home / "task.yaml").write_text(
        "name: answers\ndescription: Pairs.\nkind: single_label\nlabels: from_data\n"
        f"text_columns: [question, answer]\nlabel_column: {columns[0]}\nmetric: accuracy\n"
    )
    found = nlptl.inspect(
        "answers", data=pd.concat([rows, again]), tasks_dir=tmp_path, checkpoint=tiny["bert"], settings=SETTINGS
    )
    assert "text_pair" in found.findings
    same = [pair for pair in found.duplicates.pairs if pair.kind == "same text"]
    assert any(set(found.rows.frame["row"].iloc[[pair.first, pair.second]]) == {1, 61} for pair in same)


def test_several_processes_are_refused(obvious, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LaunchError, match="run in one process"):
        nlptl.inspect("sentiment", data=obvious, settings=SETTINGS)


def test_a_missing_extra_is_named(obvious, monkeypatch):
    imported = builtins.__import__

    def without(name, *arguments, **more):
        if name.split(".")[0] == "cleanlab":
            raise ImportError(name)
        return imported(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "cleanlab", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'nlptl\[evidence\]'"):
        nlptl.inspect("sentiment", data=obvious, settings=SETTINGS)


def test_folds_can_be_fine_tuned(tiny):
    """Runs on the other folds answer each row, in the rows' own order."""
    rng, said = np.random.default_rng(0), {"positive": ("good", "fine", "great"), "negative": ("bad", "awful", "poor")}
    things = ["film", "book", "meal", "song", "game", "shop", "trip", "phone", "chair", "show", "and", "more"]
    rows = pd.DataFrame(
        [
            {"text": " ".join(rng.permutation([*rng.choice(things, 4), rng.choice(words)])), "label": label}
            for label, words in said.items()
            for _ in range(60)
        ]
    )
    settings = {
        "runtime.progress": False,
        "runtime.precision": "fp32",
        "training.epochs": 6,
        "training.batch_size": 8,
        "training.learning_rate": 1e-2,
        "training.head_learning_rate": 1e-2,
        "model.head_start": "random",
    }
    found = nlptl.inspect("sentiment", data=rows, checkpoint=tiny["bert"], folds_from="full", settings=settings)
    assert found.folds_from == "full"
    assert found.accuracy >= 0.9


def test_the_command(planted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = ["inspect", "helpdesk", "--data", str(planted.folder), "--tasks-dir", str(planted.folder / "tasks")]
    common += ["--set", "runtime.precision=fp32", "--set", "runtime.progress=false"]
    done = CliRunner().invoke(cli.app, [*common, "--slice", "channel"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "Likely wrong labels, the likeliest first" in done.output
    assert "Written to inspected: to-correct.csv" in done.output
    for flags, message in (
        (["--mode", "lora"], "--mode would have no effect"),
        (["--apply", "x.csv", "--slice", "channel"], "--slice would have no effect"),
    ):
        done = CliRunner().invoke(cli.app, [*common, *flags])
        assert message in str(done.exception)
