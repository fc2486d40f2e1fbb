"""A comparison as it is asked for: the same rows for each method, ordinary runs, nothing twice, on after faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import nlptl
from nlptl import cli
from nlptl.comparison import grid
from nlptl.errors import ConfigError, NlptlError
from nlptl.runs.claims import read_inputs
from tests.conftest import QUICK

METHODS = ["naive_bayes", "feature_extraction", "full"]
SETTINGS = {**QUICK, "model.pooling": "mean"}
WAIT = 240


@pytest.fixture(scope="module")
def asked(tiny, obvious):
    return {"data": obvious, "checkpoint": tiny["bert"], "settings": SETTINGS}


@pytest.fixture(scope="module")
def compared(asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared") / "comparison"
    return nlptl.compare("sentiment", methods=METHODS, sizes=[4, "all"], seeds=2, output=folder, **asked)


def written(folder: Path) -> dict[Path, int]:
    """When each finished run was finished."""
    return {path.parent: path.stat().st_mtime_ns for path in folder.glob("*/manifest.json")}


def test_all_methods_learn_from_the_same_rows(compared):
    rows: dict[tuple[str, int], list[dict[str, str]]] = {}
    for cell in compared.facts["cells"]:
        digests = {name: value for name, value in read_inputs(Path(cell["folder"])).items() if name != "checkpoint"}
        rows.setdefault((cell["size"], cell["seed"]), []).append(digests)
    assert set(rows) == {(size, seed) for size in ("4", "all") for seed in (0, 1)}
    assert all(len(found) == len(METHODS) and all(each == found[0] for each in found) for found in rows.values())
    assert len({found[0]["test rows of sentiment"] for found in rows.values()}) == 1
    drawn = {found[0]["train rows of sentiment"] for found in rows.values()}
    assert len(drawn) == 3  # all rows are the same ones for each seed; those that are drawn are not


def test_cells_are_ordinary_runs(compared):
    for cell in compared.facts["cells"]:
        run = nlptl.load(cell["folder"])
        assert run.metrics["test"]["accuracy"] == cell["test"]["accuracy"]
        assert len(run.predict(["a good film"])) == 1
        assert cell["bytes"]["own"] <= cell["bytes"]["with_checkpoint"]
        assert cell["learning_seconds"] > 0
    frozen = [cell for cell in compared.facts["cells"] if cell["method"] == "feature_extraction"]
    assert all(cell["bytes"]["with_checkpoint"] > 2 * cell["bytes"]["own"] for cell in frozen)


def test_what_is_kept_can_be_read_again(compared):
    again = nlptl.Comparison.read(compared.folder)
    assert again.methods == METHODS
    assert again.sizes == ["4", "all"]
    assert again.verdicts() == compared.verdicts()
    assert again.markdown() == compared.markdown()
    assert len(again.frame()) == 3 * 2 * 2
    point = again.point("full", "all")
    assert point["low"] <= point["mean"] <= point["high"]
    assert point["rows"] == 88
    assert [size["rows"] for size in again.facts["sizes"]] == [16, 88]  # 4 per label, of train and of validation
    costs = again.facts["costs"]
    assert all(cost["seconds_per_thousand"] > 0 and cost["price_per_thousand"] is None for cost in costs)
    for name in ("curves.png", "curves.svg", "time.png", "time.svg"):
        assert (compared.folder / name).stat().st_size > 1000
    assert again.facts["best_classical"] == "naive_bayes"


def test_finished_cells_are_shared_and_never_repeated(compared, asked, tmp_path):
    cells = compared.folder / "cells"
    before = written(cells)
    other = nlptl.compare(
        "sentiment",
        methods="naive_bayes,feature_extraction,scratch",
        sizes="all",
        seeds=2,
        output=tmp_path / "o",
        cells=cells,
        **asked,
    )
    after = written(cells)
    assert {path: after[path] for path in before} == before
    assert {path.name.split("-")[0] for path in after.keys() - before.keys()} == {"scratch"}
    kept = {
        cell["method"]: cell["folder"] for cell in compared.facts["cells"] if (cell["size"], cell["seed"]) == ("all", 0)
    }
    assert [cell["folder"] for cell in other.facts["cells"] if cell["seed"] == 0][:2] == [
        kept["naive_bayes"],
        kept["feature_extraction"],
    ]


def test_other_settings_and_other_rows_have_runs_of_their_own(compared, obvious, tmp_path):
    cells = compared.folder / "cells"
    before = written(cells)
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for split in ("train", "validation", "test"):
        pd.read_csv(obvious / f"{split}.csv").iloc[:-1].to_csv(fewer / f"{split}.csv", index=False)
    for made in ({"data": obvious, "settings": {"data.duplicates": "drop"}}, {"data": fewer}):
        nlptl.compare(
            "sentiment", methods="naive_bayes,knn", sizes="all", seeds=1, output=tmp_path / "o", cells=cells, **made
        )
    after = written(cells)
    assert len(after) == len(before) + 4
    assert {path: after[path] for path in before} == before


def test_a_cell_that_fails_is_named_and_the_others_go_on(obvious, monkeypatch, tmp_path, caplog):
    whole = grid.train_cell

    def failing(cell, given=None):
        if cell.method.name == "knn" and cell.rows.size == "4":
            raise RuntimeError("out of memory")
        whole(cell, given)

    monkeypatch.setattr(grid, "train_cell", failing)
    made = {"methods": "naive_bayes,knn", "sizes": "4,all", "seeds": 1, "output": tmp_path / "o", "data": obvious}
    with caplog.at_level("INFO", logger="nlptl"):
        broken = nlptl.compare("sentiment", **made)
    (failed,) = broken.failed
    assert (failed["method"], failed["size"], failed["error"]) == ("knn", "4", "RuntimeError: out of memory")
    assert "[2/4] knn, 4 per label, seed 0: FAILED: RuntimeError: out of memory; 2 left" in caplog.text
    assert "[4/4] knn, all rows, seed 0: accuracy" in caplog.text
    with pytest.raises(NlptlError, match=r"1 of 4 cells failed.*give the same command again"):
        broken.raise_failures()
    assert broken.point("knn", "4") is None
    assert "| - |" in broken.markdown()
    monkeypatch.setattr(grid, "train_cell", whole)
    before = written(tmp_path / "o" / "cells")
    mended = nlptl.compare("sentiment", **made)
    assert not mended.failed
    after = written(tmp_path / "o" / "cells")
    assert len(after) == 4
    assert {path: after[path] for path in before} == before


def test_seeds_share_the_test_rows_of_a_single_file(obvious, tmp_path):
    file = tmp_path / "rows.csv"
    pd.concat([pd.read_csv(obvious / f"{split}.csv") for split in ("train", "validation", "test")]).to_csv(
        file, index=False
    )
    found = nlptl.compare(
        "sentiment", methods="naive_bayes,knn", sizes="all,400", seeds=3, data=file, output=tmp_path / "o"
    )
    assert found.sizes == ["all"]  # 400 per label would be no more than all
    inputs = [row["inputs"] for row in found.facts["row_sets"] if row["size"] == "all"]
    assert len({each["test rows of sentiment"] for each in inputs}) == 1
    assert len({each["validation rows of sentiment"] for each in inputs}) == 3
    assert {pair["seeds"] for pair in found.facts["pairs"]} == {3}
    # Each of its runs can be repeated by its own run.yaml, test rows included.
    cell = Path(found.facts["cells"][-1]["folder"])
    again = nlptl.train_baseline(config=cell / "run.yaml", output=tmp_path / "again")
    assert read_inputs(again.folder) == read_inputs(cell)


def test_targets_and_prices_are_answered(obvious, tmp_path):
    found = nlptl.compare(
        "sentiment",
        methods="naive_bayes,knn",
        sizes="4",
        seeds=1,
        target="macro_f1=0.7",
        price_per_hour=3.6,
        output=tmp_path / "o",
        data=obvious,
    )
    assert all("4 sizes or more; there are 1" in each["sentence"] for each in found.facts["labels_needed"])
    assert {each["method"] for each in found.facts["labels_needed"]} == {"naive_bayes", "knn"}
    assert all(
        each["metric"] == "macro_f1" and each["sentence"] in found.verdicts() for each in found.facts["labels_needed"]
    )
    for cost in found.facts["costs"]:
        assert cost["price_per_thousand"] == pytest.approx(cost["seconds_per_thousand"] / 1000)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"methods": "lorra,full"}, "Unknown method 'lorra'"),
        ({"sizes": "8,few"}, "'few' is no size"),
        ({"seeds": 0}, "a seed or more"),
        ({"target": "accuracy"}, "accuracy=0.9"),
        ({"target": {"accuracy": 90}}, "no share between 0 and 1"),
        ({"target": {"f1": 0.9}}, "Unknown metric 'f1'"),
        ({"price_per_hour": -1}, "more than 0"),
        ({"settings": {"data.shots": 4}}, "rows per label are the sizes"),
        ({"settings": {"mode": "lora"}}, "what the methods compare"),
        ({"settings": {"lora.rank": 4}}, "lora.rank would have no effect on any method"),
        ({"settings": {"training.epoch": 4}}, "training.epochs"),
        ({"size": 4}, "Did you mean 'sizes'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_training(more, message, obvious, tmp_path):
    asked = {"methods": "naive_bayes,full", "sizes": "4", "seeds": 1, "data": obvious, "output": tmp_path / "o"}
    with pytest.raises(ConfigError, match=message):
        nlptl.compare("sentiment", **{**asked, **more})
    assert not list(tmp_path.iterdir())


def test_a_setting_goes_to_the_methods_that_read_it(asked, tmp_path):
    from nlptl.verbs.compare import plan_of

    values = {"task": "sentiment", "lora.rank": 4, "baseline.features": ["words"], "training.epochs": 2}
    plan = plan_of(values, methods="naive_bayes,lora,full", sizes="4", output=tmp_path)
    lora, full, bayes = (next(iter(plan.configs[name].values())) for name in ("lora", "full", "naive_bayes"))
    assert (lora.lora.rank, full.lora.rank) == (4, RANK)
    assert (lora.training.epochs, full.training.epochs, bayes.training.epochs) == (2, 2, None)
    assert (bayes.baseline.features, full.baseline.features) == (["words"], None)


RANK = nlptl.RunConfig(task="sentiment").lora.rank


def test_a_folder_of_something_else_is_left_alone(obvious, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(NlptlError, match="holds no comparison"):
        nlptl.compare("sentiment", methods="naive_bayes,knn", sizes="4", seeds=1, data=obvious, output=tmp_path)


def command(obvious: Path, tiny: dict[str, str], output: Path, methods: str, *more: str) -> list[str]:
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    named = ["--data", str(obvious), "--checkpoint", tiny["bert"], "--output", str(output), "--methods", methods]
    return ["compare", "sentiment", *named, *settings, *more]


def test_the_command_says_it_all_and_fails_where_a_cell_did(obvious, tiny, monkeypatch, tmp_path):
    asked = command(obvious, tiny, tmp_path / "o", "naive_bayes,feature_extraction", "--sizes", "4", "--seeds", "1")
    done = CliRunner().invoke(cli.app, asked, env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    for said in ("accuracy on 31 test rows", "Cost on this machine", "Too few seeds", "comparison.json"):
        assert said in done.output
    facts = json.loads((tmp_path / "o" / "comparison.json").read_text())
    assert len(facts["cells"]) == 2

    def failing(cell, given=None):
        raise NlptlError("no room")

    monkeypatch.setattr(grid, "train_cell", failing)
    done = CliRunner().invoke(cli.app, asked, env={"COLUMNS": "120"})
    assert isinstance(done.exception, NlptlError)
    assert "2 of 2 cells failed" in str(done.exception)


def test_a_comparison_killed_outright_goes_on_where_it_was(obvious, tiny, tmp_path):
    output = tmp_path / "o"
    asked = command(obvious, tiny, output, "naive_bayes,feature_extraction", "--sizes", "4,all", "--seeds", "2")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        [sys.executable, "-m", "nlptl", *asked], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + WAIT
    while len(written(output / "cells")) < 3:
        assert started.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    before = written(output / "cells")
    assert not (output / "comparison.json").exists()
    assert CliRunner().invoke(cli.app, asked).exit_code == 0
    after = written(output / "cells")
    assert len(after) == 8
    assert {path: after[path] for path in before} == before
    assert not nlptl.Comparison.read(output).failed


def test_several_processes_train_encoders_and_the_first_fits_baselines(obvious, tiny, tmp_path):
    launch = ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_processes", "2"]
    asked = command(obvious, tiny, tmp_path / "o", "naive_bayes,full", "--sizes", "all", "--seeds", "1")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "1",
    }
    done = subprocess.run(
        [sys.executable, *launch, "--main_process_port", "0", "-m", "nlptl", *asked],
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = nlptl.Comparison.read(tmp_path / "o")
    assert not found.failed
    runtimes = {cell["method"]: nlptl.load(cell["folder"]).metrics["runtime"] for cell in found.facts["cells"]}
    assert {name: value["processes"] for name, value in runtimes.items()} == {"naive_bayes": 1, "full": 2}
    assert done.stdout.count("accuracy on 31 test rows") == 1
