"""Runs as ONNX graphs: they answer as the run does, or are refused."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.errors import ArtifactError, ConfigError, MissingExtraError
from nlptl.evaluation.decisions import most_probable
from nlptl.inference.export.gate import EXACT, INT8, Budget, compare
from nlptl.inference.export.names import GATE, GRAPH, REFERENCE
from nlptl.runs.answers import SplitAnswers
from nlptl.runs.artifact import Head
from nlptl.tasks import TaskSpec

TEXTS = ["a good film", "", "poor poor meal", "the awful song and more of it " * 40, "great!", "ßtraße \U0001f600"]


@pytest.fixture(scope="module")
def exported(trained_tiny, tmp_path_factory):
    """mode -> run and export of a tiny encoder."""
    made = {}

    def of(mode: str, pooling: str = "mean"):
        if (mode, pooling) not in made:
            run = nlptl.load(trained_tiny("bert", mode, pooling).run.folder, precision="fp32", progress=False)
            made[mode, pooling] = run, nlptl.export(run, tmp_path_factory.mktemp(mode) / "export")
        return made[mode, pooling]

    return of


@pytest.mark.parametrize(("mode", "pooling"), [("full", "cls"), ("lora", "mean"), ("feature_extraction", "mean")])
def test_an_export_answers_as_its_run(exported, mode, pooling):
    run, folder = exported(mode, pooling)
    there = nlptl.load(folder, progress=False)
    np.testing.assert_allclose(there.logits(TEXTS), run.logits(TEXTS), atol=1e-4)
    np.testing.assert_allclose(there.features(TEXTS), run.features(TEXTS), atol=1e-4)
    assert [each.label for each in there.predict(TEXTS)] == [each.label for each in run.predict(TEXTS)]
    np.testing.assert_allclose(there.predict_proba(TEXTS), run.predict_proba(TEXTS), atol=1e-5)
    facts = json.loads((folder / GATE).read_text())
    assert facts["precision"] == "fp32"
    assert facts["tasks"]["sentiment"]["flips"] == 0
    assert nlptl.verify_export(folder)["sentiment"]["faults"] == []


def test_one_text_and_one_token_and_batches_of_other_shapes_are_computed(exported):
    run, folder = exported("full", "cls")
    there = nlptl.load(folder, progress=False)
    for texts in (["good"], ["good " * 300], ["good film"] * 33, [f"a film {'so ' * i}good" for i in range(64)]):
        np.testing.assert_allclose(there.logits(texts), run.logits(texts), atol=1e-4)


def test_eight_bits_are_smaller_and_within_their_budget(exported, tmp_path):
    run, plain = exported("full", "cls")
    small = nlptl.export(run, tmp_path / "small", precision="int8")
    assert (small / "model" / GRAPH).stat().st_size < (plain / "model" / GRAPH).stat().st_size
    facts = json.loads((small / GATE).read_text())["tasks"]["sentiment"]
    assert facts["flips"] <= INT8.flips
    assert facts["faults"] == []
    assert nlptl.load(small, progress=False).evaluate("obvious")["rows"] == 60


def test_a_budget_that_no_export_keeps_leaves_nothing(exported, tmp_path):
    run, _ = exported("full", "cls")
    with pytest.raises(ArtifactError, match=r"cannot be exported in fp32.*a probability changes by"):
        nlptl.export(run, tmp_path / "none", probability=0.0)
    assert list(tmp_path.iterdir()) == []


def test_another_machine_that_computes_otherwise_is_found(exported, tmp_path):
    folder = shutil.copytree(exported("full", "cls")[1], tmp_path / "export")
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / REFERENCE)
    save_file({"logits": -tensors["logits"]}, folder / REFERENCE)
    with pytest.raises(ArtifactError, match="does not answer on this machine as its run does"):
        nlptl.verify_export(folder)


def test_what_cannot_be_exported_is_refused(exported, trained_tiny, tmp_path, monkeypatch):
    run, folder = exported("full", "cls")
    with pytest.raises(ConfigError, match="Did you mean 'onnx'"):
        nlptl.export(run, tmp_path / "x", format="onx")
    with pytest.raises(ConfigError, match="exists already"):
        nlptl.export(run, folder)
    with pytest.raises(ArtifactError, match="This takes the run that it is of"):
        nlptl.export(folder, tmp_path / "x")
    with pytest.raises(ArtifactError, match="is no exported run"):
        nlptl.verify_export(run.folder)
    with pytest.raises(ConfigError, match="has no adapter"):
        nlptl.export(run, tmp_path / "x", format="adapter")
    baseline = nlptl.train_baseline("sentiment", output=tmp_path / "words", settings={"baseline.features": ["words"]})
    with pytest.raises(ArtifactError, match="has no encoder"):
        nlptl.export(baseline, tmp_path / "x")
    (folder / "model" / GRAPH).rename(tmp_path / "aside.onnx")
    try:
        with pytest.raises(ArtifactError):
            nlptl.load(folder)
    finally:
        (tmp_path / "aside.onnx").rename(folder / "model" / GRAPH)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nlptl\[onnx\]'"):
        nlptl.load(folder)


def test_adapters_and_whole_weights_are_written_for_transformers(trained_tiny, tmp_path):
    from peft import PeftConfig

    run = trained_tiny("bert", "lora").run
    assert PeftConfig.from_pretrained(nlptl.export(run, tmp_path / "adapter", format="adapter")).peft_type == "LORA"
    whole = nlptl.load(nlptl.export(run, tmp_path / "whole", format="transformers"), precision="fp32", progress=False)
    np.testing.assert_allclose(
        whole.predict_proba(TEXTS), nlptl.load(run.folder, precision="fp32").predict_proba(TEXTS), atol=1e-4
    )


def test_the_command_exports_verifies_and_predicts(exported, tmp_path):
    folder, target = str(exported("full", "cls")[0].folder), str(tmp_path / "export")
    said = CliRunner().invoke(cli.app, ["export", folder, "--output", target])
    assert said.exit_code == 0, said.output
    assert "another decision 0.00%" in said.output
    said = CliRunner().invoke(cli.app, ["export", target, "--verify"])
    assert "answers on this machine as its run does" in said.output
    said = CliRunner().invoke(cli.app, ["predict", target, "a good film", "--format", "json"])
    assert said.exit_code == 0, said.output


# the comparison

LABELS = ["a", "b", "c"]


def head() -> Head:
    return Head(TaskSpec(name="x", description="d", labels=LABELS), most_probable(False))


def answers(logits, targets) -> SplitAnswers:
    return SplitAnswers(np.asarray(logits, np.float32), np.asarray(targets))


def test_accuracy_is_blind_where_answers_flip_both_ways():
    targets = np.repeat([0, 1, 2], 100)
    before = 4 * np.eye(3)[targets]
    before[0] = [0, 4, 0]  # wrong
    after = before.copy()
    after[0], after[1] = [4, 0, 0], [0, 4, 0]  # one becomes right, one wrong
    found = compare(head(), answers(before, targets), answers(after, targets), EXACT)
    assert found.accuracy_loss == 0
    assert found.flips == pytest.approx(2 / 300)
    assert any("another most probable label" in fault for fault in found.faults)


def test_a_label_that_loses_is_named_and_a_single_row_is_none():
    targets = np.repeat([0, 1, 2], [100, 20, 180])
    before = 4 * np.eye(3)[targets]
    after = before.copy()
    after[100:102] = [4, 0, 0]
    loose = Budget(flips=1, worst_label=0.025, accuracy=1, probability=1)
    found = compare(head(), answers(before, targets), answers(after, targets), loose)
    assert (found.worst_label, found.worst_label_loss) == ("b", pytest.approx(0.1))
    assert found.faults == ["'b' loses 10.0 points of recall (allowed: 2.5)"]
    after[101] = before[101]
    assert compare(head(), answers(before, targets), answers(after, targets), loose).faults == []


def test_rounding_at_a_tie_is_no_flip():
    before = np.array([[1.0, 1.0 - 1e-6, 0.0]])
    found = compare(head(), answers(before, [0]), answers(before[:, [1, 0, 2]], [0]), EXACT)
    assert (found.flips, found.faults) == (0.0, [])
