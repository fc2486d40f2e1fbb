"""Two real processes that each hold a part of the weights (FSDP2); see `sharded_ranks.py`."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sharded_ranks
from exact_runs import assert_identical, command
from forked import Blow, Group
from safetensors.torch import load_file

STEP = "nlptl.training.step:OptimizerStep.take"


def sharded(arguments: list[str], folder: Path, blow: Blow | None = None) -> Group:
    return Group([sharded_ranks.__file__, *arguments], folder / "log", folder / "cache", 2, blow)


def weights_of(run: Path) -> dict[str, np.ndarray]:
    files = sorted((run / "model").rglob("*.safetensors"))
    return {f"{file.name} {name}": tensor.numpy() for file in files for name, tensor in load_file(file).items()}


def metrics_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


def assert_alike(ours: Path, theirs: Path) -> None:
    """Fail where more than rounding differs."""
    found, expected = metrics_of(ours), metrics_of(theirs)
    assert found["training"]["best_epoch"] == expected["training"]["best_epoch"] > 0
    np.testing.assert_allclose(found["training"]["losses"], expected["training"]["losses"], atol=1e-4)
    assert found["test"]["confusion_matrix"] == expected["test"]["confusion_matrix"]
    weights = weights_of(theirs)
    assert weights_of(ours).keys() == weights.keys()
    for name, tensor in weights_of(ours).items():
        np.testing.assert_allclose(tensor, weights[name], atol=2e-3, err_msg=name)


@pytest.mark.parametrize(("architecture", "mode", "pooling"), [("bert", "full", "cls"), ("distilbert", "lora", "mean")])
def test_sharded_weights_learn_what_one_process_learns(tiny, obvious, tmp_path, architecture, mode, pooling):
    """Killed, a sharded run goes on bit for bit; a single process that holds all weights can go on as well."""
    # Without dropout, which is drawn otherwise on two processes; from a random head, so that training has to help.
    settings = {"model.dropout": 0.0, "model.pooling": pooling, "model.head_start": "random"}

    def arguments(name: str) -> list[str]:
        given = command(obvious, tiny[architecture], tmp_path / name, **settings)
        return [*given, "--mode", mode, "--strategy", "fine_tune"]

    alone = Group(arguments("alone"), tmp_path / "log", tmp_path / "cache")
    assert alone.wait() == [0], alone.said()
    together = sharded(arguments("together"), tmp_path)
    assert together.wait() == [0, 0], together.said()
    assert metrics_of(tmp_path / "together")["runtime"]["processes"] == 2
    layer = {"bert": "BertLayer", "distilbert": "TransformerBlock"}[architecture]
    assert together.said().count(f"Cut up: {layer}") == 2 * 2  # of two layers on two processes
    assert_alike(tmp_path / "together", tmp_path / "alone")

    killed = sharded(arguments("killed"), tmp_path, Blow(STEP, 8, rank=1))
    assert killed.wait() == [76, -signal.SIGKILL], killed.said()
    assert "Process 0 lost the other processes" in killed.said()
    shutil.copytree(tmp_path / "killed", tmp_path / "taken over")
    resumed = sharded(arguments("killed"), tmp_path)
    assert resumed.wait() == [0, 0], resumed.said()
    assert "Going on after step 6" in resumed.said()
    assert_identical(tmp_path / "killed", tmp_path / "together")
    alone = Group(arguments("taken over"), tmp_path / "log", tmp_path / "cache")
    assert alone.wait() == [0], alone.said()
    assert "Going on after step 6" in alone.said()
    assert_alike(tmp_path / "taken over", tmp_path / "alone")
