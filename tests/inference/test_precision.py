"""A run predicts and is measured in the precision it was trained in."""

import json
import shutil

import pytest

import nlptl
from nlptl.errors import ConfigError
from nlptl.inference import precision
from nlptl.training import precision as device_precision


@pytest.fixture
def computes(monkeypatch):
    """A machine that computes in these precisions, whatever this one does."""

    def only(*names: str) -> None:
        def computes_in(wanted: str, on_cpu: bool) -> bool:
            return wanted in names

        for module in (precision, device_precision):
            monkeypatch.setattr(module, "computes_in", computes_in)

    return only


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction"])
def test_evaluate_gives_the_numbers_of_metrics_json_in_bf16(trained_tiny, computes, obvious, mode):
    """Exactly: the same rows in the same order make the same batches."""
    computes("bf16", "fp32")
    run = nlptl.load(trained_tiny("bert", mode, runtime__precision="bf16").run.folder, progress=False)
    assert run.precision == "bf16"
    for source in (obvious / "test.csv", run.folder / "predictions.csv"):
        report = run.evaluate(source)
        assert {name: report[name] for name in run.metrics["test"]} == run.metrics["test"]
    exact = nlptl.load(run.folder, "fp32", progress=False)
    assert exact.evaluate(obvious / "test.csv")["loss"] != run.metrics["test"]["loss"]


def test_a_run_in_fp32_stays_in_fp32_where_bf16_is_fast(trained_tiny, computes):
    computes("bf16", "fp32")
    folder = trained_tiny("bert", "full", "mean").run.folder
    assert nlptl.load(folder, progress=False).precision == "fp32"
    assert nlptl.load(folder, "auto", progress=False).precision == "bf16"


@pytest.mark.parametrize("own", ["bf16", "fp16"])
def test_where_the_machine_does_not_compute_in_it_fp32_is_taken_and_told(trained_tiny, computes, own, tmp_path, said):
    computes("fp32")
    folder = noted(trained_tiny("bert", "full", "mean").run.folder, own, tmp_path)
    assert nlptl.load(folder, progress=False).precision == "fp32"
    (line,) = said()
    assert f"trained and measured in {own}" in line
    assert "--precision" in line


def test_a_run_that_does_not_say_is_opened_as_is_fastest(trained_tiny, computes, tmp_path, said):
    computes("bf16", "fp32")
    folder = noted(trained_tiny("bert", "full", "mean").run.folder, None, tmp_path)
    assert nlptl.load(folder, progress=False).precision == "bf16"
    assert said() == []


def test_an_unknown_precision_is_refused(trained_tiny):
    with pytest.raises(ConfigError, match="Unknown precision 'bf61'.*Did you mean 'bf16'"):
        nlptl.load(trained_tiny("bert", "full", "mean").run.folder, "bf61")


def noted(run, own: str | None, tmp_path):
    """A copy of a run whose metrics say another precision, or none."""
    shutil.copytree(run, tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["runtime"] = {"precision": own} if own else {}
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path / "run"
