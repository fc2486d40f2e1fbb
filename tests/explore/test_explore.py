import json
import math
import shutil

import pytest

import nlptl
from nlptl.errors import ArtifactError, CheckpointError, ConfigError
from nlptl.reports.plots import plot_layers

QUIET = {"runtime.progress": False, "runtime.precision": "fp32"}


def test_every_layer_is_probed_before_and_after(trained_tiny, obvious, tmp_path):
    run = trained_tiny("bert", "full").run
    report = nlptl.probe(run=run.folder, data=obvious, settings=QUIET)
    assert [(row["layer"], row["pooling"]) for row in report.rows] == [
        (layer, pooling) for pooling in ("mean", "cls") for layer in range(3)
    ]
    for row in report.rows:
        if (row["layer"], row["pooling"]) == (0, "cls"):  # the first token's embedding is the same in every text
            assert math.isnan(row["cka"])
            continue
        assert 0 <= row["cka"] <= 1 + 1e-9
        assert {"validation", "test", "validation_after", "test_after"} <= row.keys()
    top = next(row for row in report.rows if (row["layer"], row["pooling"]) == (2, "cls"))
    assert top["cka"] < 0.99
    assert top["validation_after"] >= 0.9
    assert report.best["validation_after"] == max(row["validation_after"] for row in report.rows)
    plot_layers(report, tmp_path / "layers.svg")
    assert "<svg" in (tmp_path / "layers.svg").read_text()


def test_a_run_is_probed_from_another_folder_than_it_was_trained_in(train, tiny, obvious, tmp_path, monkeypatch):
    shutil.copytree(tiny["bert"], tmp_path / "encoder")
    monkeypatch.chdir(tmp_path)
    folder = train("sentiment", obvious, tmp_path / "run", mode="feature_extraction", checkpoint="encoder").run.folder
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(nlptl.probe(run=folder, data=obvious, settings=QUIET).rows) == 6


def test_an_encoder_that_stayed_frozen_did_not_change(trained_tiny, obvious):
    run = trained_tiny("bert", "feature_extraction").run
    for row in nlptl.probe(run=run.folder, data=obvious, settings=QUIET).rows:
        if (row["layer"], row["pooling"]) != (0, "cls"):
            assert row["cka"] == pytest.approx(1.0)
        assert row["validation_after"] == row["validation"]


def test_mistakes_of_probe_are_told(trained_tiny, tiny, obvious, tmp_path):
    run = trained_tiny("bert", "full").run
    with pytest.raises(ConfigError, match="Leave --checkpoint out"):
        nlptl.probe(run=run.folder, checkpoint=tiny["roberta"], data=obvious, settings=QUIET)
    settings = {"runtime.progress": False, "baseline.features": ["words"]}
    baseline = nlptl.train_baseline("sentiment", data=obvious, output=tmp_path / "run", settings=settings)
    with pytest.raises(ArtifactError, match="it has no encoder"):
        nlptl.probe(run=baseline.folder, data=obvious)


def test_ranking_prefers_what_was_trained_for_the_task(trained_tiny, tiny, obvious, tmp_path):
    trained = trained_tiny("bert", "full").run.folder / "model"
    # A head that may bend as it likes reads these few words from random weights as well.
    stiff = {**QUIET, "probe.regularisation": [1.0]}
    ranking = nlptl.rank("sentiment", [tiny["bert"], trained], data=obvious, settings=stiff)
    assert ranking.order == [str(trained), tiny["bert"]]
    assert ranking.rows[0]["log_me"] > ranking.rows[1]["log_me"]
    assert ranking.rows[0]["loss"] < ranking.rows[1]["loss"]


def test_mistakes_of_rank_are_told(tiny):
    with pytest.raises(ConfigError, match="no checkpoint to rank"):
        nlptl.rank("sentiment", [])
    with pytest.raises(ConfigError, match="Named twice"):
        nlptl.rank("sentiment", [tiny["bert"], tiny["bert"]])
    with pytest.raises(CheckpointError, match="Did you mean 'minilm'"):
        nlptl.rank("sentiment", [tiny["bert"], "minilmm"])


def test_the_commands(tiny, obvious, tmp_path):
    from typer.testing import CliRunner

    from nlptl import cli

    common = ["--data", str(obvious), "--set", "runtime.progress=false", "--output", str(tmp_path / "out.json")]
    done = CliRunner().invoke(
        cli.app, ["rank", "sentiment", "--checkpoints", f"{tiny['bert']},{tiny['roberta']}", *common]
    )
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "out.json").read_text())["candidates"]
    assert {row["checkpoint"] for row in written} == {tiny["bert"], tiny["roberta"]}
    plot = ["--plot", str(tmp_path / "layers.png")]
    done = CliRunner().invoke(cli.app, ["probe", "sentiment", "--checkpoint", tiny["bert"], *plot, *common])
    assert done.exit_code == 0, done.output
    assert len(json.loads((tmp_path / "out.json").read_text())["layers"]) == 6
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_data_is_probed_on_its_tasks_sample(trained_tiny):
    report = nlptl.probe(run=trained_tiny("bert", "full").run.folder, rows=40, settings=QUIET)
    assert report.rows
