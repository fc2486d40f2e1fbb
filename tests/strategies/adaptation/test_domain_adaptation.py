"""All methods in all modes on a tiny checkpoint; what labels of the target may not do."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

import nlptl
from nlptl.config.overrides import load_config
from nlptl.errors import ArtifactError, ConfigError
from nlptl.strategies import pipeline
from nlptl.strategies.adaptation.report import describe_model, doubts
from nlptl.tasks import load_task

QUICK = {
    "training.epochs": 1,
    "training.batch_size": 16,
    "runtime.precision": "fp32",
    "runtime.progress": False,
    "adaptation.rounds": 2,
    "model.pooling": "mean",
}


@pytest.fixture(scope="module")
def source(obvious) -> pd.DataFrame:
    return pd.concat([pd.read_csv(obvious / f"{split}.csv") for split in ("train", "validation")], ignore_index=True)


@pytest.fixture(scope="module")
def target(obvious) -> pd.DataFrame:
    """The same opinions in other clothes."""
    frame = pd.read_csv(obvious / "train.csv")
    return frame.assign(text=[f"{text} song shop trip {i % 7}" for i, text in enumerate(frame["text"])])


@pytest.fixture
def adapt(tiny, tmp_path, source):
    def quickly(target, name="run", settings=None, **given):
        values = {"mode": "feature_extraction", "checkpoint": tiny["bert"], **given}
        return nlptl.adapt(
            "sentiment",
            source=source,
            target=target,
            output=tmp_path / name,
            settings={**QUICK, **(settings or {})},
            **values,
        )

    return quickly


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction"])
@pytest.mark.parametrize("method", ["coral", "mmd", "dann", "self_training", "coral_self_training"])
def test_every_method_in_every_mode_gives_a_run(adapt, target, mode, method):
    run = adapt(target, mode=mode, method=method, settings={"adaptation.oracle": False})
    facts = run.metrics["adaptation"]
    assert (facts["method"], facts["reported_on"], facts["oracle"]) == (method, "target", None)
    assert run.metrics["test"]["accuracy"] == facts["adapted"]["test"]["accuracy"]
    gain = facts["adapted"]["test"]["accuracy"] - facts["source_only"]["test"]["accuracy"]
    assert facts["comparison"]["gain"] == pytest.approx(gain)
    table = pd.read_csv(run.folder / "predictions.csv")
    assert [p.label for p in run.predict(table["text"].tolist())] == table["predicted"].tolist()
    assert "Domain adaptation" in (run.folder / "README.md").read_text()


@pytest.mark.parametrize("mode, method", [("feature_extraction", "coral_self_training"), ("full", "self_training")])
def test_the_mode_decides_where_no_method_is_named(adapt, target, mode, method):
    assert adapt(target, mode=mode, settings={"adaptation.oracle": False}).metrics["adaptation"]["method"] == method


@pytest.mark.parametrize("method", ["mmd", "dann"])
def test_a_map_on_frozen_features_never_costs_loss_on_validation(adapt, target, method):
    """At this weight of the alignment training would spoil the head: the state before the first epoch is kept."""
    settings = {"adaptation.weight": 1e4, "training.refit": False}
    facts = adapt(target, mode="feature_extraction", method=method, settings=settings).metrics["adaptation"]
    before, after = (facts[model]["source_validation"]["loss"] for model in ("source_only", "adapted"))
    assert after <= before + 1e-4


@pytest.mark.parametrize("method", ["coral", "self_training", "coral_self_training"])
def test_no_label_of_the_target_reaches_the_model(adapt, target, method):
    """Texts to adapt to are the same; labels are turned around, or not there at all."""
    texts, labelled = target.drop(columns="label"), target.iloc[:20]
    turned = labelled.assign(label=labelled["label"].map({"positive": "negative", "negative": "positive"}))
    heads = []
    for name, test in {"as": labelled, "turned": turned, "none": None}.items():
        run = adapt(texts, name, target_test=test, method=method)
        heads.append(load_file(run.folder / "model" / "head.safetensors"))
    for other in heads[1:]:
        for key, tensor in heads[0].items():
            np.testing.assert_array_equal(tensor, other[key])


def test_the_oracle_is_reported_and_none_is_the_source_model(adapt, target):
    facts = adapt(target, method="none").metrics["adaptation"]
    assert facts["oracle"]["test"]["accuracy"] >= 0
    assert facts["adapted"] == facts["source_only"]
    assert (facts["comparison"], facts["doubts"]) == (None, [])


def test_run_yaml_repeats_an_adapted_run(adapt, source, target, tmp_path):
    source.to_csv(tmp_path / "source.csv", index=False)
    target.to_csv(tmp_path / "target.csv", index=False)
    settings = {"data.source": str(tmp_path / "source.csv"), "data.target": str(tmp_path / "target.csv")}
    run = nlptl.adapt(
        "sentiment", mode="feature_extraction", method="mmd", output=tmp_path / "run", settings={**QUICK, **settings}
    )
    again = nlptl.train(config=run.folder / "run.yaml", output=tmp_path / "again")
    assert again.metrics["adaptation"] == run.metrics["adaptation"]


def test_matrix_adapts_each_way_and_repeats_nothing(tiny, source, target, tmp_path, monkeypatch):
    given = {"mode": "feature_extraction", "method": "coral", "settings": {**QUICK, "checkpoint": tiny["bert"]}}
    domains = {"plain": source, "dressed": target}
    matrix = nlptl.adapt_matrix("sentiment", domains, output=tmp_path / "all", **given)
    assert [(pair["source"], pair["target"]) for pair in matrix.pairs] == [("plain", "dressed"), ("dressed", "plain")]
    assert set(matrix.within) == set(domains)
    assert matrix.markdown().count("->") >= 2
    monkeypatch.setattr("nlptl.strategies.pipeline.task_rows", None)
    assert nlptl.adapt_matrix("sentiment", domains, output=tmp_path / "all", **given).pairs == matrix.pairs
    assert json.loads((tmp_path / "all" / "matrix.json").read_text())["pairs"] == matrix.pairs


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("checkpoint", "{roberta}", "checkpoint"),
        ("model.pooling", "cls", "model.pooling"),
        ("training.class_weights", "balanced", "training.class_weights"),
        ("probe.regularisation", [1.0], "probe.regularisation"),
        ("data", None, "other data"),
    ],
)
def test_a_matrix_of_other_settings_or_data_is_refused(tiny, source, target, tmp_path, key, value, said):
    """Not answered with the numbers of the one before."""
    settings = {**QUICK, "checkpoint": tiny["bert"]}
    given = {"mode": "feature_extraction", "method": "coral", "output": tmp_path / "all"}
    domains = {"plain": source, "dressed": target}
    (tmp_path / "all").mkdir()
    own = {"task": "sentiment", "mode": "feature_extraction", "strategy": "fine_tune", "adaptation.method": "coral"}
    own |= {"data.source": "(python data)", "output": str(tmp_path / "all" / "plain")}
    pipeline.train(load_config(None, **settings, **own), source)
    if key == "data":
        domains["plain"] = source.iloc[::-1]
    else:
        settings[key] = value.format(**tiny) if isinstance(value, str) else value
    with pytest.raises(ArtifactError, match=f"finished run .*{said}"):
        nlptl.adapt_matrix("sentiment", domains, settings=settings, **given)


def test_signs_of_harm():
    def model(accuracy, information, shift):
        target = {"information": information, "shift_of_shares": shift}
        return {"source_validation": {"accuracy": accuracy, "rows": 100}, "target": target}

    before = model(0.80, 0.30, 0.02)
    assert doubts(before, model(0.78, 0.31, 0.05)) == []
    assert doubts(before, model(0.80, 0.299, 0.02)) == []
    assert len(doubts(before, model(0.70, 0.31, 0.02))) == 1
    assert len(doubts(before, model(0.70, 0.20, 0.30))) == 3


def test_confidence_alone_is_no_information():
    """Logits that are too large everywhere say nothing more of the target."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    logits = np.stack([-truth, truth], 1) + rng.normal(size=(400, 2))
    job = SimpleNamespace(task=load_task("sentiment"), targets=dict.fromkeys(("train", "validation", "test"), truth))
    told = []
    for scale in (1.0, 10.0):
        trained = SimpleNamespace(test_logits=logits, validation_logits=scale * logits)
        told.append(describe_model(job, trained, scale * logits)["target"]["information"])
    assert told[1] == pytest.approx(told[0], abs=1e-3)


def test_a_run_without_target_says_what_is_missing(tiny, source, tmp_path):
    settings = {**QUICK, "strategy": "domain_adaptation", "checkpoint": tiny["bert"]}
    with pytest.raises(ConfigError, match="--target FILE"):
        nlptl.train("sentiment", data=source, output=tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()
