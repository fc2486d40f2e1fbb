"""What each short call may load: an import that is not needed costs every call more than the work itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nlptl
from tests.conftest import QUICK

COMPILER = ("torch._dynamo", "torch._inductor", "sympy")
PIPELINES = ("evaluate", "transformers.pipelines", "transformers.image_processing_utils")
MODELS = ("transformers.modeling_utils", "peft")
STATISTICS = ("sklearn", "scipy", "matplotlib")
OTHER_LEARNERS = ("nlptl.baselines.models", "nlptl.intermediate.learner", "sklearn.feature_extraction", "sklearn.svm")
NOT_FOR_PREDICTING = (*COMPILER, *PIPELINES, *MODELS, *STATISTICS)
SAID = """
import sys
{code}
print("LOADED", *(name for name in {names!r} if name in sys.modules))
"""
COMMAND = "sys.argv = {arguments!r}\nfrom nlptl.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"


def loaded(code: str, names: tuple[str, ...]) -> str:
    """Which of some modules a process has loaded after some code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    script = SAID.format(code=code, names=names)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.rpartition("LOADED")[2].strip()


def command(*arguments: str) -> str:
    return COMMAND.format(arguments=["nlptl", *arguments])


@pytest.fixture(scope="module")
def run(tiny, obvious, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("short") / "run"
    settings = {**QUICK, "model.pooling": "mean"}
    return nlptl.train("sentiment", data=obvious, checkpoint=tiny["bert"], output=folder, settings=settings).folder


def test_predicting_loads_no_models_of_transformers_no_compiler_and_no_statistics(run, obvious, tmp_path):
    assert loaded(command("predict", str(run), "a good film"), NOT_FOR_PREDICTING) == ""
    file = command("predict", str(run), "--input", str(obvious / "test.csv"), "--output", str(tmp_path / "out.csv"))
    assert loaded(file, NOT_FOR_PREDICTING) == ""
    assert (tmp_path / "out.csv").exists()
    assert loaded(f"import nlptl; nlptl.load({str(run)!r}).predict(['a good film'])", NOT_FOR_PREDICTING) == ""


def test_before_there_is_anything_to_train_no_models_no_compiler_and_no_statistics_are_loaded():
    names = (*COMPILER, *PIPELINES, *MODELS, *STATISTICS, "torch.distributed.tensor", "accelerate")
    assert loaded("import nlptl; nlptl.train", names) == ""


def test_measuring_and_training_load_no_pipelines_and_no_baselines(run, obvious, tiny, tmp_path):
    names = (*PIPELINES, *OTHER_LEARNERS, "matplotlib")
    assert loaded(command("evaluate", str(run), "--data", str(obvious / "test.csv")), names) == ""
    train = command(
        "train", "sentiment", "--data", str(obvious), "--checkpoint", tiny["bert"], "--epochs", "1",
        "--output", str(tmp_path / "run"),
    )  # fmt: skip
    assert loaded(train, names) == ""
    assert (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["tasks"], ["checkpoints"]])
def test_what_only_tells_loads_no_torch(arguments):
    assert loaded(command(*arguments), ("torch", "transformers", "pandas", "sklearn")) == ""
