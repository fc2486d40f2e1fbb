import shutil

import pytest
import yaml

from nlptl.errors import ArtifactError
from nlptl.evaluation.intervals import of_share
from nlptl.runs.card import write_card
from nlptl.storage.json_files import read_json, write_json


@pytest.mark.parametrize("mode", ["full", "lora", "feature_extraction"])
def test_the_card_says_what_the_metrics_say(trained_tiny, mode):
    run = trained_tiny("bert", mode).run
    text, metrics = (run.folder / "README.md").read_text(), run.metrics
    header = yaml.safe_load(text.split("---")[1])
    assert header["pipeline_tag"] == "text-classification"
    assert f"# sentiment: {mode} on " in text
    for name in ("accuracy", "macro_f1", "roc_auc", "loss"):
        assert f"| {name} | {metrics['validation'][name]:.4f} | {metrics['test'][name]:.4f} |" in text
    assert "- Labels (2): negative, positive" in text
    assert "67 training, 21 validation, 31 test rows; seed 0" in text
    model = metrics["model"]
    assert f"Trainable parameters: {model['trainable_parameters']:,} of {model['parameters']:,}" in text
    assert model["checkpoint"]["revision"] in text
    assert f'nlptl.load("{run.folder.name}")' in text
    assert "{" not in text.replace("{0", ""), "a placeholder was left"


def test_numbers_that_could_not_be_measured_are_dashes(trained_tiny, tmp_path):
    folder = shutil.copytree(trained_tiny("bert", "full").run.folder, tmp_path / "run")
    metrics = read_json(folder / "metrics.json")
    metrics["test"]["roc_auc"] = None
    write_json(folder / "metrics.json", metrics)
    assert f"| roc_auc | {metrics['validation']['roc_auc']:.4f} | - |" in write_card(folder).read_text()


def test_the_card_has_intervals_the_cut_and_the_report(trained, tmp_path):
    folder = shutil.copytree(trained("feature_extraction").run.folder, tmp_path / "run")
    text, test = (folder / "README.md").read_text(), read_json(folder / "metrics.json")["test"]
    interval = of_share(round(test["accuracy"] * test["rows"]), test["rows"])
    assert f"| {test['accuracy']:.4f} | {interval} |" in text
    assert f"`nlptl report {folder.name}` writes [report.html](report.html)" in text.replace(
        "feature_extraction", "run"
    )
    write_json(folder / "decision.json", {"policy": "threshold", "threshold": 0.25, "label": "positive"})
    metrics = read_json(folder / "metrics.json")
    metrics["test"]["decided"] |= {"policy": "threshold", "threshold": 0.25}
    write_json(folder / "metrics.json", metrics)
    assert "`threshold`, fitted on validation (`positive`: threshold 0.2500)" in write_card(folder).read_text()
    (folder / "answers.safetensors").unlink()  # as runs of earlier versions
    assert f"| {test['accuracy']:.4f} | {interval} |" in write_card(folder).read_text()


def test_an_incomplete_folder_has_no_card(tmp_path):
    with pytest.raises(ArtifactError, match=r"metrics\.json cannot be read"):
        write_card(tmp_path)
    assert not (tmp_path / "README.md").exists()
