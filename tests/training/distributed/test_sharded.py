"""Two real processes that each hold a part of the weights; see `sharded_ranks.py`."""

import json
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sharded_ranks
from exact_runs import ALL_ROUNDING, assert_identical, command
from forked import Blow, Group
from safetensors.torch import load_file

STEP = "nlptl.training.step:OptimizerStep.take"


def sharded(arguments: list[str], folder: Path, blow: Blow | None = None, config: str = "fsdp2") -> Group:
    return Group([sharded_ranks.__file__, config, *arguments], folder / "log", folder / "cache", 2, blow)


def learning(tiny: dict[str, str], data: Path, output: Path, case: tuple[str, str, str]) -> list[str]:
    """Without dropout, which is drawn otherwise on two processes; from a random head, so that training has to help."""
    architecture, mode, pooling = case
    settings = {"model.dropout": 0.0, "model.pooling": pooling, "model.head_start": "random"}
    return [*command(data, tiny[architecture], output, **settings), "--mode", mode, "--strategy", "fine_tune"]


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
        if not name.endswith(ALL_ROUNDING):
            np.testing.assert_allclose(tensor, weights[name], atol=2e-3, err_msg=name)


@pytest.mark.parametrize("case", [("bert", "full", "cls"), ("distilbert", "lora", "mean")], ids="-".join)
def test_sharded_weights_learn_what_one_process_learns(tiny, obvious, tmp_path, case):
    """Killed, a sharded run goes on bit for bit; a single process that holds all weights can go on as well."""

    def arguments(name: str) -> list[str]:
        return learning(tiny, obvious, tmp_path / name, case)

    alone = Group(arguments("alone"), tmp_path / "log", tmp_path / "cache")
    assert alone.wait() == [0], alone.said()
    together = sharded(arguments("together"), tmp_path)
    assert together.wait() == [0, 0], together.said()
    assert metrics_of(tmp_path / "together")["runtime"]["processes"] == 2
    layer = {"bert": "BertLayer", "distilbert": "TransformerBlock"}[case[0]]
    assert together.said().count(f"Sharded: {layer}") == 2 * 2  # of two layers on two processes
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


@pytest.mark.skipif(find_spec("deepspeed") is None, reason="DeepSpeed is not installed")
def test_deepspeed_learns_what_one_process_learns(tiny, obvious, tmp_path):
    """ZeRO 2, that is; ZeRO 3 does not start on CPUs."""
    case = ("bert", "full", "cls")
    alone = Group(learning(tiny, obvious, tmp_path / "alone", case), tmp_path / "log", tmp_path / "cache")
    assert alone.wait() == [0], alone.said()
    together = sharded(learning(tiny, obvious, tmp_path / "together", case), tmp_path, config="deepspeed_zero2")
    assert together.wait() == [0, 0], together.said()
    assert together.said().count("no training state is saved") == 1
    assert_alike(tmp_path / "together", tmp_path / "alone")
