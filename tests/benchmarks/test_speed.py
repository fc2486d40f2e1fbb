"""The speed benchmarks run and tell their rows truly; their figures are not tested."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from nlptl.kernels import KernelSettings

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = ("batch_order", "training_speed", "inference_speed", "scale", "gpu", "busy", "short_calls", "millions")
CHILDREN = ("ours", "limits", "peers.hf_trainer", "peers.frozen_features", "peers.setfit_few_shot", "peers.labelling")
SURROUNDINGS = {"machine": "a machine", "versions": {"python": "3.11"}, "date": "2026-11-23", "others_cores": 0.0}


@pytest.fixture
def module(monkeypatch):
    """Imports a script of benchmarks/ as the scripts import each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def python(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, *command], cwd=BENCHMARKS, env=own, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_explains_itself(script):
    done = python(f"{script}.py", "--help")
    assert done.returncode == 0, done.stderr
    assert "--output" in done.stdout


def test_what_the_scripts_start_can_be_imported(module):
    for name in CHILDREN:
        assert callable(module(name).main)


def test_the_savings_that_are_left_out_are_there(module):
    known = module("ours").SAVINGS
    assert {*known.values()} == {setting.name for setting in fields(KernelSettings) if setting.default is True}
    assert {one for named in module("training_speed").SAVINGS.values() for one in named} == set(known)


def test_what_a_busy_machine_costs_is_told_against_the_fair_share(module):
    busy, rows = module("busy"), []
    for load, loops, speed in ((0, 300.0, 400.0), (1, 200.0, 160.0)):
        rows.append({**SURROUNDINGS, "contender": busy.SHARE, "load": load, "examples_per_second_whole": loops})
        rows.append({**SURROUNDINGS, "contender": busy.NLPTL, "load": load, "examples_per_second_whole": speed})
    lines = busy.table(rows).splitlines()
    assert lines[2] == f"| {busy.SHARE} | - | 1.50x | - |"
    assert lines[3] == f"| {busy.NLPTL} | 2.50 s | 2.50x; 1.67 of its share's | - |"


def test_spinning_programs_spin_and_end(module):
    psutil, busy = module("psutil"), module("busy")
    with busy.spinning(2):
        loops = [child for child in psutil.Process().children() if child.cmdline()[1:] == ["-c", "while True: pass"]]
        assert len(loops) == 2
    assert not any(loop.is_running() for loop in loops)


def test_short_calls_are_told_against_what_none_can_do_without(module):
    short = module("short_calls")
    name, bar = next(iter(short.BARS.items()))
    rows = [
        {**SURROUNDINGS, "contender": who, "cpu_seconds": seconds} for who, seconds in ((short.BASE, 1.0), (name, 2.0))
    ]
    assert short.table(rows).splitlines()[3] == f"| {name} | 2.00 | 2.0x | {bar} |"


def test_time_for_a_row_is_told_beyond_start_up(module):
    millions = module("millions")
    rows = [
        {**SURROUNDINGS, "contender": name, "rows": rows, "process_seconds": seconds, "peak_mb": 700}
        for name, rows, seconds in ((millions.START, 1000, 5.0), ("20000", 20_000, 7.0), ("200000", 200_000, 27.0))
    ]
    lines = millions.table(rows).splitlines()
    assert lines[2] == "| 20 000 | 7.0 | 100 µs, +0 % | 700 |"
    assert lines[3] == "| 200 000 | 27.0 | 110 µs, +10 % | 700 |"


@pytest.mark.parametrize("choice", [("--without", "used words"), ("--set", "runtime.kernels=off")])
def test_steps_are_timed_without_one_of_the_savings_and_without_all(choice):
    sample = BENCHMARKS.parent / "tasks" / "chatbot-intent" / "sample"
    done = python("-m", "ours", "steps", "--data", str(sample), "--steps", "2", *choice)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["steps"] == 2 and said["tokens_per_second"] > 0


def test_a_single_saving_cannot_be_left_out_of_a_whole_job(tmp_path):
    done = python("-m", "ours", "job", "--data", str(tmp_path), "--without", "used words")
    assert done.returncode == 2
    assert "--set runtime.kernels=off" in done.stderr


def speed_rows(contender, seconds, **more):
    return [
        {
            "contender": contender,
            "round": i,
            "seconds": s,
            "process_seconds": s + 5,
            "threads": 2,
            **SURROUNDINGS,
            **more,
        }
        for i, s in enumerate(seconds)
    ]


def test_training_tables_hold_medians_and_ratios(module):
    def rates(contender, rate):
        more = {"section": "full", "examples_per_second": rate, "examples_per_second_whole": rate - 1}
        return speed_rows(contender, [10.0], padding_share=0.5, **more)

    limits = {
        "section": "limits",
        "rates": {"bf16": {"512x384x384": 800.0}, "fp32": {"512x384x384": 170.0}},
        "peak_gflops": 800.0,
        "rows": 10,
        "tokens": 160,
        "epoch_gflop": 10400,
        "forward_gflop_per_row": 0.4,
        "fed_random": 2.9,
        "fed_planned": 1.03,
        "threads": 2,
        **SURROUNDINGS,
    }
    job = {"section": "features", "test_accuracy": 0.93}
    goal = {"section": "target", "target": 0.925, "epoch": 1, "best_validation_accuracy": 0.93, "test_accuracy": 0.9}
    said = module("speed_tables").training(
        [
            limits,
            *rates("HF Trainer, default", 50.0),
            *rates("HF Trainer, best", 200.0),
            *rates("nlptl", 300.0),
            *speed_rows("sentence-transformers + LogisticRegression", [40.0, 30.0, 50.0], **job),
            *speed_rows("nlptl", [10.0, 8.0, 12.0], **job),
            *speed_rows("nlptl", [20.0], seconds_to_target=20.0, **goal),
            *speed_rows("HF Trainer, default, 5e-5", [900.0], seconds_to_target=None, **goal),
        ]
    )
    assert "| nlptl | 300.0 | 6.0x | 1.5x | 299.0 | 50.0 % | 45.0 % |" in said
    assert "| nlptl | 10.0 (8.0-12.0) | 4.0x |" in said
    assert "| HF Trainer, default, 5e-5 | not reached in 900 | > 45.0x |" in said
    assert "13 s at the bf16 peak" in said
    assert "(idle)" in said


def test_a_disturbed_measurement_is_called_so(module):
    rows = speed_rows("nlptl", [1.0])
    rows[0]["others_cores"] = 1.5
    assert "NOT idle" in module("measuring").disturbance(rows)


def test_inference_table(module):
    more = {"texts": 100, "load_seconds": 1.0, "same_as_pipeline": 0.999, "test_accuracy": 0.9}
    rows = speed_rows("pipeline, batch_size=32", [10.0], first_seconds=10.0, **more)
    rows += speed_rows("nlptl", [2.0], first_seconds=4.0, **more)
    assert "| nlptl | 50 | 5.0x | 25 | 1.0 | 7.0 | 99.90 % | 90.00 % |" in module("inference_speed").table(rows)


def test_scale_tables(module):
    scale = module("scale")
    rows = [
        *speed_rows("full", [10.0], part="training", rows=100, peak_mb=500),
        *speed_rows("full", [39.0], part="training", rows=400, peak_mb=510),
        *speed_rows("parquet", [9.0], part="predicting", rows=2000, peak_mb=700),
        *speed_rows(scale.ONE, [9.0], part="processes", rows=100, training_seconds=10.0, total_seconds=12.0),
        *speed_rows(scale.TWO, [9.0], part="processes", rows=100, training_seconds=11.0, total_seconds=14.0),
    ]
    said = scale.table(rows)
    assert "| full | 400 | 4x | 39.0 | 3.9x | 510 |" in said
    assert "| parquet | 2000 | 14.0 | 700 |" in said
    assert "+10 %" in said


def test_contenders_take_turns_and_a_failure_is_told(module, tmp_path, capsys):
    measuring = module("measuring")
    say = "print('noise'); print('{\"seconds\": 1.5}')"
    cast = [
        measuring.Contender("good", ["-c", say]),
        measuring.Contender("bad", ["-c", "raise SystemExit('no such thing')"]),
        measuring.Contender("elsewhere", ["-c", say], needs=("a_module_nobody_has",)),
    ]
    rows, file = [], tmp_path / "rows.json"
    failed = measuring.alternate(lambda _: cast, 2, rows, file, {"section": "s"}, idle_wait=0)
    assert failed == 2
    assert [(row["contender"], row["round"], row["seconds"]) for row in rows] == [("good", 0, 1.5), ("good", 1, 1.5)]
    assert json.loads(file.read_text()) == rows
    said = capsys.readouterr()
    assert "no such thing" in said.err
    assert said.out.count("left out: elsewhere") == 1
    assert measuring.alternate(lambda _: cast[:1], 2, rows, file, {"section": "s"}, idle_wait=0) == 0
    assert len(rows) == 2


def test_a_process_that_takes_too_long_is_stopped(module):
    finished = module("measuring").run(["-c", "import time; time.sleep(60)"], {}, limit=1)
    assert finished.error and finished.seconds < 30


def test_the_rate_leaves_out_the_first_steps(module):
    steady = module("peers.steps").steady
    marks = [0.0, 10.0, 11.0, 12.0, 13.0]
    rates = steady(marks, [8] * 4, [40] * 4, [80] * 4, skip=1)
    assert rates["examples_per_second"] == 8.0
    assert rates["examples_per_second_whole"] == pytest.approx(32 / 13)
    assert rates["padding_share"] == 0.5


def test_gpu_says_what_it_needs():
    done = python("gpu.py", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert "needs an NVIDIA GPU" in done.stderr and "Traceback" not in done.stderr


def test_gpu_runs_tiny(module, tmp_path):
    output = tmp_path / "gpu.json"
    done = python("gpu.py", "--tiny", "--rounds", "1", "--output", str(output), CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())
    speed = [row for row in rows if row["part"] == "speed"]
    assert {row["mode"] for row in speed} == {"full", "lora", "features"}
    assert all(row["tokens_per_second"] > 0 and row["share_of_peak"] > 0 for row in speed if "left_out" not in row)
    bucketed, shuffled = (
        next(row["padding_share"] for row in speed if row["contender"] == f"nlptl, {kind}")
        for kind in ("bucketed", "padded in random order")
    )
    assert bucketed < shuffled
    packed = [row for row in speed if row["contender"] == module("gpu").OURS and "padding_share" in row]
    assert {row["mode"] for row in packed} == {"full", "lora"}
    assert all(row["padding_share"] == 0 for row in packed)
    checks = {row["contender"]: row for row in rows if row["part"] == "check"}
    assert {f"{way}, {what}" for way in ("bucketed", "packed") for what in ("losses", "gradient")} < checks.keys()
    # Rounding shows, and is allowed for where numbers are rounded only.
    assert checks["packed attention, bf16 beside fp32"]["difference"] > 1e-3
    assert module("gpu").table(rows) in done.stdout
